// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"slices"
	"unicode"

	"github.com/firmament-dev/firmament/internal/cborstream"
)

// texts reads a SUIT_Text_Map.
func (d *decoder) texts(p *cborstream.Parser) ([]Text, error) {
	languages, err := p.Map()
	if err != nil {
		return nil, err
	}
	if languages.Len() == 0 {
		return nil, p.Refuse(0, ErrMalformed, "no language")
	}
	var texts []Text
	for languages.Next(p) {
		at := p.Offset()
		language, err := p.TextBytes()
		if err != nil {
			return nil, err
		}
		if !validLanguage(language) {
			return nil, p.Refuse(at, ErrMalformed, "language tag of %d bytes", len(language))
		}
		text, err := d.language(p)
		if err != nil {
			return nil, err
		}
		if d.m != nil {
			text.Language = string(language)
			texts = append(texts, text)
		}
	}
	return texts, nil
}

// validLanguage is tag38-ltag: [a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*
func validLanguage(b []byte) bool {
	for i, part := range bytes.Split(b, []byte("-")) {
		if len(part) < 1 || len(part) > 8 {
			return false
		}
		for _, c := range part {
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

// language reads SUIT_Text_LMap: integer keys for the manifest, arrays for components.
func (d *decoder) language(p *cborstream.Parser) (t Text, err error) {
	entries, err := p.Map()
	if err != nil {
		return t, err
	}
	for entries.Next(p) {
		if p.Is(cborstream.Array) {
			c, err := d.component(p)
			if err != nil {
				return t, err
			}
			if d.m != nil {
				t.Components = append(t.Components, c)
			}
			continue
		}
		key, err := p.Int()
		if err != nil {
			return t, err
		}
		text, err := d.oneText(p, false)
		if err != nil {
			return t, err
		}
		if d.m == nil {
			continue
		}
		if t.Manifest == nil {
			t.Manifest = make(map[TextKey]string)
		}
		t.Manifest[TextKey(key)] = text
	}
	return t, nil
}

func (d *decoder) component(p *cborstream.Parser) (c ComponentText, err error) {
	if c.ID, err = d.componentID(p, false); err != nil {
		return c, err
	}
	entries, err := p.Map()
	if err != nil {
		return c, err
	}
	for entries.Next(p) {
		key, err := p.Int()
		if err != nil {
			return c, err
		}
		k := ComponentTextKey(key)
		text, err := d.oneText(p, k == TextVersionRequired || k == TextCurrentVersion)
		if err != nil {
			return c, err
		}
		if d.m == nil {
			continue
		}
		if c.Text == nil {
			c.Text = make(map[ComponentTextKey]string)
		}
		c.Text[k] = text
	}
	return c, nil
}

// oneText reads one text. What could rearrange the screen or the log that shows
// it is refused; a version has no line breaks either.
func (d *decoder) oneText(p *cborstream.Parser, oneLine bool) (string, error) {
	at := p.Offset()
	b, err := p.TextBytes()
	if err != nil {
		return "", err
	}
	if d.textCount++; d.textCount > MaxTexts {
		return "", p.Refuse(at, ErrLimit, "more than %d texts", MaxTexts)
	}
	if len(b) > MaxText {
		return "", p.Refuse(at, ErrLimit, "text of %d bytes, limit %d", len(b), MaxText)
	}
	for _, r := range string(b) { // no copy
		if !printable(r, oneLine) {
			return "", p.Refuse(at, ErrMalformed, "character %U in a text", r)
		}
	}
	return d.keepText(b), nil
}

func printable(r rune, oneLine bool) bool {
	if r == '\n' || r == '\r' || r == '\t' {
		return !oneLine
	}
	if oneLine { // update-management-14, sections 3.3 and 3.4: L, M, N, P, S, Zs
		return unicode.IsOneOf([]*unicode.RangeTable{unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs}, r)
	}
	return !unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r)
}

// appendTexts returns SUIT_Text_Map.
func appendTexts(b []byte, texts []Text) []byte {
	pairs := make([]pair, len(texts))
	for i, t := range texts {
		pairs[i] = pair{key: cborstream.AppendText(nil, t.Language), value: t.encode()}
	}
	return appendPairs(b, pairs)
}

func (t *Text) encode() []byte {
	var pairs []pair
	for key, text := range t.Manifest {
		pairs = append(pairs, pair{cborstream.AppendInt(nil, int64(key)), cborstream.AppendText(nil, text)})
	}
	for _, c := range t.Components {
		var texts []pair
		for key, text := range c.Text {
			texts = append(texts, pair{cborstream.AppendInt(nil, int64(key)), cborstream.AppendText(nil, text)})
		}
		pairs = append(pairs, pair{c.ID.append(nil), appendPairs(nil, texts)})
	}
	return appendPairs(nil, pairs)
}

// A pair is an encoded key and its encoded value.
type pair struct{ key, value []byte }

// appendPairs appends a map of pairs, which it sorts by their keys.
func appendPairs(b []byte, pairs []pair) []byte {
	slices.SortFunc(pairs, func(x, y pair) int { return bytes.Compare(x.key, y.key) })
	b = cborstream.AppendMap(b, len(pairs))
	for _, p := range pairs {
		b = append(append(b, p.key...), p.value...)
	}
	return b
}
