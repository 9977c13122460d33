// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/firmament-dev/firmament/verify"
)

// maxDepth of nested arrays and objects, those of others included.
const maxDepth = 16

type object map[string]any

// parseObject reads exactly one JSON object, in which no member stands twice, at any depth.
func parseObject(b []byte) (object, error) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return nil, fmt.Errorf("not JSON: %w", ErrOffers)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	v, err := parseValue(dec, maxDepth)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if _, err := dec.Token(); !ok || err != io.EOF {
		return nil, fmt.Errorf("not one JSON object: %w", ErrOffers)
	}
	return o, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrOffers, err)
	}
	open, nested := t.(json.Delim)
	if !nested {
		return t, nil
	}
	if depth == 0 {
		return nil, fmt.Errorf("nested deeper than %d: %w", maxDepth, ErrOffers)
	}
	var list []any
	members := object{}
	for dec.More() {
		var name string
		if open == '{' {
			t, err := dec.Token()
			if err != nil {
				return nil, fmt.Errorf("%w: %v", ErrOffers, err)
			}
			name, _ = t.(string) // json.Valid
			if _, twice := members[name]; twice {
				return nil, fmt.Errorf("%.60q twice: %w", name, ErrOffers)
			}
		}
		v, err := parseValue(dec, depth-1)
		if err != nil {
			return nil, err
		}
		if open == '{' {
			members[name] = v
		} else {
			list = append(list, v)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrOffers, err)
	}
	if open == '{' {
		return members, nil
	}
	return list, nil
}

// A reader takes a parsed object apart and keeps the first thing that is wrong with it.
type reader struct{ err error }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format+": %w", append(args, ErrOffers)...)
	}
}

// object wants v to be an object with all the members named required, and besides at most those named optional.
func (r *reader) object(what string, v any, required, optional []string) object {
	o, ok := v.(object)
	if !ok {
		r.fail("%s is no object", what)
		return nil
	}
	known := 0
	for _, name := range required {
		if _, ok := o[name]; !ok {
			r.fail("%s without %q", what, name)
		}
		known++
	}
	for _, name := range optional {
		if _, ok := o[name]; ok {
			known++
		}
	}
	if len(o) > known {
		r.fail("%s with %d unknown members", what, len(o)-known)
	}
	return o
}

// list returns the elements of a member that is an array, none if it is not there.
func (r *reader) list(o object, name string, most int) []any {
	v, there := o[name]
	l, ok := v.([]any)
	if there && !ok || len(l) > most {
		r.fail("%s is no array of at most %d", name, most)
	}
	return l
}

func (r *reader) integer(what string, v any, least, most int64) int64 {
	text, _ := v.(json.Number)
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || text[0] == '-' || n < least || n > most {
		r.fail("%s is %.30q, want %d to %d", what, string(text), least, most)
		return 0
	}
	return n
}

func (r *reader) digest(what string, v any) verify.Digest {
	text, _ := v.(string)
	d, err := verify.ParseDigest(text)
	if err != nil {
		r.fail("%s: %v", what, err)
	}
	return d
}

// sha256 is digest for what is SHA-256 by its format.
func (r *reader) sha256(what string, v any) verify.Digest {
	d := r.digest(what, v)
	if r.err == nil && d.Hash() != verify.SHA256 {
		r.fail("%s is %v, want SHA-256", what, d.Hash())
	}
	return d
}

func (r *reader) uri(what string, v any) string {
	text, _ := v.(string)
	if text == "" || len(text) > maxURI {
		r.fail("%s has %d bytes, want 1 to %d", what, len(text), maxURI)
	}
	return text
}

func (r *reader) offers(v any) *Offers {
	o := r.object("it", v, []string{"version", "payloads"}, nil)
	r.integer("version", o["version"], 1, 1)
	offers := &Offers{}
	for _, v := range r.list(o, "payloads", maxPayloads) {
		p := r.payload(v)
		for _, other := range offers.Payloads {
			if other.Digest == p.Digest {
				r.fail("payload %v twice", p.Digest)
			}
		}
		offers.Payloads = append(offers.Payloads, p)
	}
	return offers
}

func (r *reader) payload(v any) (p Payload) {
	o := r.object("payload", v, []string{"digest", "size"}, []string{"deltas", "index"})
	p.Digest = r.digest("payload digest", o["digest"])
	p.Size = r.integer("payload size", o["size"], 1, maxSize)
	for _, v := range r.list(o, "deltas", maxListed) {
		o := r.object("delta", v, []string{"from", "uri", "size", "digest", "memory"}, nil)
		p.Deltas = append(p.Deltas, Delta{
			From:   r.old(o["from"]),
			URI:    r.uri("delta uri", o["uri"]),
			Size:   r.integer("delta size", o["size"], 1, maxSize),
			Digest: r.sha256("delta digest", o["digest"]),
			Memory: r.integer("memory", o["memory"], 1, 1<<32-1),
		})
	}
	x, ok := o["index"]
	if !ok {
		return p
	}
	o = r.object("index", x, []string{"uri", "size", "digest"}, []string{"from"})
	p.Index = &Index{URI: r.uri("index uri", o["uri"]), Size: r.integer("index size", o["size"], 1, MaxIndexSize), Digest: r.digest("index digest", o["digest"])}
	for _, v := range r.list(o, "from", maxListed) {
		o := r.object("from", v, []string{"image", "missing"}, nil)
		p.Index.From = append(p.Index.From, Missing{r.old(o["image"]), r.integer("missing", o["missing"], 0, maxSize)})
	}
	return p
}

func (r *reader) old(v any) Old {
	o := r.object("old image", v, []string{"digest", "size"}, nil)
	return Old{r.sha256("old image's digest", o["digest"]), r.integer("old image's size", o["size"], 0, maxSize)}
}
