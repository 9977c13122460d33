// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/manifest"
)

func TestCBR_10_Unknown(t *testing.T) {
	m := goodParts().manifest()
	inputs := map[string]inputTest{}
	for _, key := range []int64{1, 18, 24, 100, -1} {
		b := seal(t, m, num(key), bstr())
		if key < 3 { // in key order
			b = tag(107, dict(num(key), bstr(), num(2), bstr(), num(3), bstr(m)))
		}
		if key < 0 {
			b = tag(107, dict(num(key), bstr()))
		}
		inputs["envelope "+string(num(key))] = inputTest{b, manifest.ErrUnsupported}
	}
	checkInputs(t, inputs)

	tests := map[string]partsTest{
		"common 5":        {func(p *parts) { p.common = dict(num(2), p.components, num(5), num(0)) }, manifest.ErrUnsupported},
		"digest extended": {func(p *parts) { p.shared = params(num(3), bstr(arr(num(-16), bstr(), num(0)))) }, manifest.ErrUnsupported},
	}
	for _, key := range []int64{10, 11, 13, 17, 19, 21, 22, 25, 99, -1} {
		tests["manifest "+string(num(key))] = partsTest{func(p *parts) { *p = p.with(key, bstr()) }, manifest.ErrUnsupported}
	}
	for _, code := range []int64{0, 9, 10, 13, 16, 17, 30, 36, 100, -1, -255, -256, -1000} {
		tests["command "+manifest.Code(code).String()] = partsTest{func(p *parts) { p.validate = arr(num(code), num(0)) }, manifest.ErrUnsupported}
	}
	for _, key := range []int64{0, 6, 11, 15, 17, 20, 31, 99, -1, -255, -256} {
		tests["parameter "+manifest.ParameterKey(key).String()] = partsTest{func(p *parts) { p.shared = params(num(key), num(0)) }, manifest.ErrUnsupported}
	}
	checkParts(t, tests)

	v2 := dict(num(1), num(2), num(2), num(7), num(3), bstr(dict(num(2), goodParts().components)))
	checkInputs(t, map[string]inputTest{"version 2": {seal(t, v2), manifest.ErrUnsupported}})
}

func TestRequiredMembers(t *testing.T) {
	m := goodParts().manifest()
	common := bstr(dict(num(2), goodParts().components))
	checkInputs(t, map[string]inputTest{
		"empty envelope":     {tag(107, dict()), manifest.ErrMalformed},
		"no authentication":  {tag(107, dict(num(3), bstr(m))), manifest.ErrMalformed},
		"no manifest":        {tag(107, dict(num(2), bstr(arr(bstr(sum(nil)))))), manifest.ErrMalformed},
		"no digest":          {envelope(arr(), m), manifest.ErrMalformed},
		"empty manifest":     {seal(t, dict()), manifest.ErrMalformed},
		"no version":         {seal(t, dict(num(2), num(7), num(3), common)), manifest.ErrMalformed},
		"no sequence number": {seal(t, dict(num(1), num(1), num(3), common)), manifest.ErrMalformed},
		"no common":          {seal(t, dict(num(1), num(1), num(2), num(7))), manifest.ErrMalformed},
		"no bytes":           {nil, manifest.ErrMalformed},
	})
}

func TestCBR_11_Limits(t *testing.T) {
	m := goodParts().manifest()
	var payloads, components, blocks [][]byte
	for i := range manifest.MaxPayloads + 1 {
		payloads = append(payloads, tstr(string([]byte{'#', byte('!' + i)})), bstr())
	}
	for i := range manifest.MaxComponents + 1 {
		components = append(components, arr(bstr([]byte{byte(i)})))
	}
	blocks = append(blocks, bstr(sum(bstr(m))))
	for range manifest.MaxAuthentications + 1 {
		blocks = append(blocks, bstr())
	}
	manyBlocks := envelope(arr(blocks...), m)
	checkInputs(t, map[string]inputTest{
		"payloads":     {seal(t, m, payloads...), manifest.ErrLimit},
		"COS_07":       {manyBlocks, manifest.ErrLimit},
		"envelope":     {seal(t, m, tstr("#a"), bstr(make([]byte, manifest.MaxEnvelopeSize))), manifest.ErrLimit},
		"items":        {seal(t, goodParts().with(23, bstr(dict(tstr("en"), manyTexts()))).manifest()), manifest.ErrLimit},
		"10000 blocks": {envelope(arr(bytes.Split(bytes.Repeat([]byte{0x40}, 10_000), nil)...), m), manifest.ErrLimit},
	})
	deep := func(n int) []byte {
		seq := arr(num(3), num(15))
		for range n {
			seq = arr(num(32), bstr(seq))
		}
		return seq
	}
	var alternatives [][]byte
	for range manifest.MaxAlternatives + 2 {
		alternatives = append(alternatives, bstr(arr(num(3), num(15))))
	}
	var commands [][]byte
	for range manifest.MaxCommands + 1 {
		commands = append(commands, num(3), num(15))
	}
	part := bstr(make([]byte, manifest.MaxComponentPartLength+1))
	checkParts(t, map[string]partsTest{
		"components":   {func(p *parts) { p.components = arr(components...) }, manifest.ErrLimit},
		"parts":        {func(p *parts) { p.components = arr(arr(bytes.Split(bytes.Repeat([]byte{0x40}, 17), nil)...)) }, manifest.ErrLimit},
		"part length":  {func(p *parts) { p.components = arr(arr(part)) }, manifest.ErrLimit},
		"arguments":    {func(p *parts) { p.validate = params(num(23), bstr(make([]byte, manifest.MaxArguments+1))) }, manifest.ErrLimit},
		"alternatives": {func(p *parts) { p.validate = arr(num(15), arr(alternatives...)) }, manifest.ErrLimit},
		"commands":     {func(p *parts) { p.validate = arr(commands...) }, manifest.ErrLimit},
		"CBR_01 17":    {func(p *parts) { p.validate = deep(17) }, manifest.ErrLimit},
		"CBR_01 1000":  {func(p *parts) { p.validate = deep(1000) }, manifest.ErrLimit},
	})
	p := goodParts()
	p.validate = deep(8)
	if _, err := openOwn(t, seal(t, p.manifest())); err != nil {
		t.Errorf("8 nested sequences: %v", err)
	}
}

func TestCMD_01_ComponentIndex(t *testing.T) {
	two := arr(arr(bstr([]byte{0})), arr(bstr([]byte{1})))
	yes, no := []byte{0xf5}, []byte{0xf4}
	index := func(arg []byte) func(*parts) {
		return func(p *parts) {
			p.components = two
			p.shared = arr(num(12), num(0), num(1), num(15))
			p.validate = arr(num(12), arg, num(3), num(15))
		}
	}
	for name, arg := range map[string][]byte{"0": num(0), "1": num(1), "true": yes, "list": arr(num(1), num(0)), "list of one": arr(num(1))} {
		p := goodParts()
		index(arg)(&p)
		if _, err := openOwn(t, seal(t, p.manifest())); err != nil {
			t.Errorf("index %s: %v", name, err)
		}
	}
	checkParts(t, map[string]partsTest{
		"out of range":         {index(num(2)), manifest.ErrComponent},
		"2^64-1":               {index([]byte{0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), manifest.ErrComponent},
		"negative":             {index(num(-1)), manifest.ErrMalformed},
		"false":                {index(no), manifest.ErrMalformed},
		"empty list":           {index(arr()), manifest.ErrComponent},
		"repeated in list":     {index(arr(num(1), num(1))), manifest.ErrComponent},
		"out of range in list": {index(arr(num(0), num(2))), manifest.ErrComponent},
		"long list":            {index(arr(num(0), num(1), num(0))), manifest.ErrComponent},
		"text":                 {index(tstr("0")), manifest.ErrMalformed},
		"no components":        {func(p *parts) { p.components = arr() }, manifest.ErrComponent},
		"components absent":    {func(p *parts) { p.common = dict(num(4), bstr(p.shared)) }, manifest.ErrComponent},
		"component twice":      {func(p *parts) { p.components = arr(arr(bstr([]byte{0})), arr(bstr([]byte{0}))) }, manifest.ErrComponent},
		"component no parts":   {func(p *parts) { p.components = arr(arr()) }, manifest.ErrComponent},
		"two without index":    {func(p *parts) { p.components = two }, manifest.ErrCommand},
	})
}

func TestCommandsInTheirPlace(t *testing.T) {
	match := bstr(arr(num(3), num(15)))
	soft := params(num(13), []byte{0xf5})
	try := func(items ...[]byte) []byte { return arr(num(15), arr(items...)) }
	null := []byte{0xf6}
	checkParts(t, map[string]partsTest{
		"fetch in shared":        {func(p *parts) { p.shared = arr(num(21), num(2)) }, manifest.ErrCommand},
		"invoke in shared":       {func(p *parts) { p.shared = arr(num(23), num(2)) }, manifest.ErrCommand},
		"fetch deep in shared":   {func(p *parts) { p.shared = arr(num(32), bstr(arr(num(21), num(2)))) }, manifest.ErrCommand},
		"fetch in try in shared": {func(p *parts) { p.shared = try(match, bstr(arr(num(21), num(2)))) }, manifest.ErrCommand},
		"CMD_04 in section":      {func(p *parts) { p.validate = soft }, manifest.ErrCommand},
		"CMD_04 in shared":       {func(p *parts) { p.shared = soft }, manifest.ErrCommand},
		"empty sequence":         {func(p *parts) { p.validate = arr() }, manifest.ErrMalformed},
		"command alone":          {func(p *parts) { p.validate = arr(num(3)) }, manifest.ErrMalformed},
		"no parameters":          {func(p *parts) { p.validate = params() }, manifest.ErrMalformed},
		"try-each of none":       {func(p *parts) { p.validate = try() }, manifest.ErrMalformed},
		"try-each of one":        {func(p *parts) { p.validate = try(match) }, manifest.ErrMalformed},
		"try-each of one, nil":   {func(p *parts) { p.validate = try(match, null) }, manifest.ErrMalformed},
		"try-each nil first":     {func(p *parts) { p.validate = try(null, match, match) }, manifest.ErrMalformed},
		"try-each nil twice":     {func(p *parts) { p.validate = try(match, match, null, null) }, manifest.ErrMalformed},
		"sequence not wrapped":   {func(p *parts) { p.validate = arr(num(32), arr(num(3), num(15))) }, manifest.ErrMalformed},
		"uuid of 15 bytes":       {func(p *parts) { p.shared = params(num(1), bstr(make([]byte, 15))) }, manifest.ErrMalformed},
		"bool as integer":        {func(p *parts) { p.shared = params(num(12), num(1)) }, manifest.ErrMalformed},
	})
	for name, seq := range map[string][]byte{
		"soft-failure in try":  try(bstr(soft), match),
		"soft-failure in run":  arr(num(32), bstr(soft)),
		"try-each then nil":    try(match, match, null),
		"abort":                arr(num(14), num(0)),
		"strict-order anyhow":  params(num(12), []byte{0xf4}),
		"device id in section": arr(num(24), num(15)),
	} {
		p := goodParts()
		p.validate = seq
		if _, err := openOwn(t, seal(t, p.manifest())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOffsets(t *testing.T) {
	keys, policy := suitKeys(t)
	v, err := manifest.OpenBytes(vector(t, "manifest/example3"), keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	install, ok := v.Section(manifest.SectionInstall)
	if !ok {
		t.Fatal("no install section")
	}
	// 86 | 0f 82 5828(40 bytes) 5828(40 bytes) | 15 02 | 03 0f
	for i, want := range []int{1, 87, 89} {
		if got := install[i].Offset; got != want {
			t.Errorf("command %d, %v: offset %d, want %d", i, install[i].Code, got, want)
		}
	}
	for i, want := range []int{1, 5, 7} { // 86 | 14 a1 05 00 | 05 05 | 14 …
		if got := install[0].Sequences[1][i].Offset; got != want {
			t.Errorf("nested command %d: offset %d, want %d", i, got, want)
		}
	}
	if _, ok := v.Section(manifest.SectionLoad); ok {
		t.Error("a load section that is not there")
	}
}

// An error deep inside names the byte of the envelope it is about.
func TestErrorsHaveAPlace(t *testing.T) {
	p := goodParts()
	p.validate = arr(num(3), num(23))
	b := seal(t, p.manifest())
	_, err := manifest.InspectBytes(b)
	var place *cborstream.Error
	if !errors.As(err, &place) || place.Offset != len(b)-1 {
		t.Errorf("got %v, want byte %d", err, len(b)-1)
	}
}

// manyTexts returns a map of more texts than MaxTexts.
func manyTexts() []byte {
	var pairs [][]byte
	for i := range manifest.MaxTexts + 1 {
		pairs = append(pairs, num(int64(i)), tstr("a"))
	}
	return dict(pairs...)
}
