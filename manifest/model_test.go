// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

func TestUUID(t *testing.T) {
	const text = "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe"
	u, err := manifest.ParseUUID(text)
	if err != nil || u.String() != text {
		t.Errorf("got %v, %v; want %s", u, err, text)
	}
	if upper, err := manifest.ParseUUID("FA6B4A53-D5AD-5FDF-BE9D-E663E4D41FFE"); err != nil || upper != u {
		t.Errorf("upper case: got %v, %v", upper, err)
	}
	for _, s := range []string{"", text[1:], text + "0", "{" + text[1:35] + "}", "fa6b4a53d5ad-5fdf-be9d-e663e4d41ffe-", "ga6b4a53-d5ad-5fdf-be9d-e663e4d41ffe"} {
		if _, err := manifest.ParseUUID(s); !errors.Is(err, manifest.ErrMalformed) {
			t.Errorf("%q: got %v, want ErrMalformed", s, err)
		}
	}
}

func TestComponentID(t *testing.T) {
	id := manifest.ComponentID{{0}, []byte("usr"), {}}
	if got, want := id.String(), "00.757372."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !id.Equal(slices.Clone(id)) || id.Equal(id[:2]) || id.Equal(manifest.ComponentID{{0}, []byte("usr"), {1}}) {
		t.Error("Equal does not compare parts")
	}
}

func TestComponentIndexResolve(t *testing.T) {
	tests := map[string]struct {
		index manifest.ComponentIndex
		want  []int
	}{
		"zero": {manifest.ComponentIndex{}, []int{0}},
		"one":  {manifest.ComponentIndex{One: 2}, []int{2}},
		"all":  {manifest.ComponentIndex{All: true}, []int{0, 1, 2}},
		"list": {manifest.ComponentIndex{List: []uint64{2, 0}}, []int{2, 0}},
	}
	for name, test := range tests {
		if got, err := test.index.Resolve(3); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, test.want)
		}
	}
	for _, index := range []manifest.ComponentIndex{{One: 3}, {One: 1<<64 - 1}, {List: []uint64{0, 3}}} {
		if got, err := index.Resolve(3); !errors.Is(err, manifest.ErrComponent) {
			t.Errorf("%+v: got %v, %v; want ErrComponent", index, got, err)
		}
	}
}

func TestFetchArguments(t *testing.T) {
	root := verify.Sum(verify.SHA256, []byte("page"))
	for _, want := range []manifest.ChunkInfo{
		{Root: root, Size: manifest.MinChunkSize},
		{Root: root, Size: manifest.MaxChunkSize, URI: "http://a/pages"},
	} {
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := manifest.ParseFetchArguments(b); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		for n := range b {
			if _, err := manifest.ParseFetchArguments(b[:n]); err == nil {
				t.Errorf("truncated to %d bytes: accepted", n)
			}
		}
	}
	sha := bstr(root.Bytes())
	tests := map[string]inputTest{
		"version 2":       {arr(num(2)), manifest.ErrUnsupported},
		"sha-512":         {arr(num(1), num(-44), bstr(make([]byte, 64)), num(16384)), verify.ErrAlgorithm},
		"short root":      {arr(num(1), num(-16), bstr(make([]byte, 31)), num(16384)), manifest.ErrMalformed},
		"size 0":          {arr(num(1), num(-16), sha, num(0)), manifest.ErrMalformed},
		"size 8 KiB":      {arr(num(1), num(-16), sha, num(8192)), manifest.ErrMalformed},
		"size 8 MiB":      {arr(num(1), num(-16), sha, num(8<<20)), manifest.ErrMalformed},
		"size 2^32+16384": {arr(num(1), num(-16), sha, num(1<<32+16384)), manifest.ErrMalformed},
		"no power of two": {arr(num(1), num(-16), sha, num(16385)), manifest.ErrMalformed},
		"empty uri":       {arr(num(1), num(-16), sha, num(16384), tstr("")), manifest.ErrMalformed},
		"six items":       {arr(num(1), num(-16), sha, num(16384), tstr("a"), num(0)), manifest.ErrMalformed},
		"three items":     {arr(num(1), num(-16), sha), manifest.ErrMalformed},
		"trailing":        {append(arr(num(1), num(-16), sha, num(16384)), 0), manifest.ErrMalformed},
		"not canonical":   {append([]byte{0x98, 4}, arr(num(1), num(-16), sha, num(16384))[1:]...), manifest.ErrNotCanonical},
		"long":            {arr(bstr(make([]byte, manifest.MaxArguments))), manifest.ErrLimit},
	}
	for name, test := range tests {
		if _, err := manifest.ParseFetchArguments(test.input); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	for name, info := range map[string]manifest.ChunkInfo{
		"zero": {}, "no root": {Size: 16384}, "size": {Root: root, Size: 1}, "uri": {Root: root, Size: 16384, URI: "a b"},
		"hash": {Root: verify.Sum(verify.SHA384, nil), Size: 16384},
	} {
		if b, err := info.Encode(); err == nil {
			t.Errorf("encode %s: got %x", name, b)
		}
	}
}

// A command that carries more, less or other than its code's argument would be
// written as something else than its author meant.
func TestEncodeRefusesStrayArguments(t *testing.T) {
	slot := uint64(1)
	params := &manifest.Parameters{Slot: &slot}
	match := manifest.Sequence{{Code: manifest.ConditionImageMatch}}
	tests := map[string]manifest.Command{
		"override without parameters":  {Code: manifest.DirectiveOverrideParameters},
		"override with policy":         {Code: manifest.DirectiveOverrideParameters, Parameters: params, Policy: 1},
		"condition with parameters":    {Code: manifest.ConditionImageMatch, Parameters: params},
		"condition with sequences":     {Code: manifest.ConditionImageMatch, Sequences: []manifest.Sequence{match}},
		"condition with index":         {Code: manifest.ConditionImageMatch, Index: &manifest.ComponentIndex{}},
		"condition with nil":           {Code: manifest.ConditionImageMatch, Nil: true},
		"index without argument":       {Code: manifest.DirectiveSetComponentIndex},
		"index all and one":            {Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{All: true, One: 1}},
		"run-sequence without":         {Code: manifest.DirectiveRunSequence},
		"run-sequence with two":        {Code: manifest.DirectiveRunSequence, Sequences: []manifest.Sequence{match, match}},
		"run-sequence with nil":        {Code: manifest.DirectiveRunSequence, Sequences: []manifest.Sequence{match}, Nil: true},
		"try-each without alternative": {Code: manifest.DirectiveTryEach},
	}
	for name, cmd := range tests {
		e := &manifest.Envelope{Manifest: manifest.Manifest{
			Components: []manifest.ComponentID{{{0}}},
			Validate:   manifest.Sequence{cmd},
		}}
		if _, err := e.Encode(); !errors.Is(err, manifest.ErrCommand) {
			t.Errorf("%s: got %v, want ErrCommand", name, err)
		}
	}
	e := &manifest.Envelope{Manifest: manifest.Manifest{Components: []manifest.ComponentID{{{0}}}}, Hash: -1}
	if _, err := e.Encode(); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("unknown hash: got %v, want ErrAlgorithm", err)
	}
}

// A sequence that contains itself ends in an error, not in an exhausted stack.
func TestEncodeRefusesCycles(t *testing.T) {
	seq := manifest.Sequence{{Code: manifest.DirectiveRunSequence}}
	seq[0].Sequences = []manifest.Sequence{seq}
	e := &manifest.Envelope{Manifest: manifest.Manifest{Components: []manifest.ComponentID{{{0}}}, Validate: seq}}
	if _, err := e.Encode(); !errors.Is(err, manifest.ErrLimit) {
		t.Errorf("got %v, want ErrLimit", err)
	}
}
