// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"go.yaml.in/yaml/v4"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
)

// fromYAML returns a description that is written in YAML in JSON. What begins with { is JSON already, and read as strictly as
// author.ParseDescription reads it.
//
// Of what is written plainly, without quotes, only true, false, null and decimal numbers mean more than their text: 00,
// 0x10, 1e10 and yes are strings, since most of what looks like a number in a description is hexadecimal. Names that
// are there twice, anchors' repetitions and the rest are as they are written; it is author.ParseDescription that refuses.
func fromYAML(description []byte) ([]byte, error) {
	if bytes.HasPrefix(bytes.TrimLeft(description, " \t\r\n"), []byte("{")) {
		return description, nil
	}
	var document yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(description))
	if err := in.Decode(&document); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("description: %w: nothing is in it", manifest.ErrMalformed)
	} else if err != nil {
		return nil, fmt.Errorf("description: %w: %v", manifest.ErrMalformed, err)
	}
	if err := in.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("description: %w: more than one document", manifest.ErrMalformed)
	}
	var out bytes.Buffer
	if err := writeJSON(&out, &document, 0); err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	return out.Bytes(), nil
}

// maxYAMLDepth is more than a description's; it ends an alias that contains itself.
const maxYAMLDepth = 100

func writeJSON(out *bytes.Buffer, n *yaml.Node, depth int) error {
	switch {
	case depth == maxYAMLDepth:
		return fmt.Errorf("%w: line %d: nested deeper than %d", manifest.ErrLimit, n.Line, depth)
	case out.Len() > author.MaxDescription:
		return fmt.Errorf("%w: line %d: what is repeated makes it longer than %d bytes", manifest.ErrLimit, n.Line, author.MaxDescription)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("%w: line %d: tag %.80q", manifest.ErrMalformed, n.Line, n.Tag)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return writeJSON(out, n.Content[0], depth+1)
	case yaml.AliasNode:
		return writeJSON(out, n.Alias, depth+1)
	case yaml.SequenceNode:
		return writeList(out, n, "[]", ",", depth)
	case yaml.MappingNode:
		return writeList(out, n, "{}", ":,", depth)
	}
	text := []byte(n.Value)
	switch {
	case n.Style == 0 && n.ShortTag() == "!!null":
		text = []byte("null")
	case n.Style != 0 || !plainJSON.Match(text):
		var err error
		if text, err = json.Marshal(n.Value); err != nil {
			return err
		}
	}
	out.Write(text)
	return nil
}

// plainJSON is what is the same in both languages.
var plainJSON = regexp.MustCompile(`^(true|false|0|-?[1-9][0-9]*)$`)

// writeList writes what n has, between these separators in turn.
func writeList(out *bytes.Buffer, n *yaml.Node, brackets, separators string, depth int) error {
	out.WriteByte(brackets[0])
	for i, inner := range n.Content {
		if i > 0 {
			out.WriteByte(separators[(i-1)%len(separators)])
		}
		if brackets == "{}" && i%2 == 0 {
			// A name is a string, and 0 of a text's is one in JSON only in quotes.
			if inner.Kind != yaml.ScalarNode {
				return fmt.Errorf("%w: line %d: a name that is no string", manifest.ErrMalformed, inner.Line)
			}
			inner = &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: inner.Value, Line: inner.Line}
		}
		if err := writeJSON(out, inner, depth+1); err != nil {
			return err
		}
	}
	out.WriteByte(brackets[1])
	return nil
}
