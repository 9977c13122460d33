// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// dependent returns a manifest with one component and a dependency of index 1.
func dependent(install ...[]byte) parts {
	p := goodParts()
	p.common = dict(num(1), dict(num(1), dict(num(1), arr(bstr([]byte("d"))))), num(2), p.components)
	p.validate = arr(num(12), num(0), num(3), num(15))
	if len(install) > 0 {
		p = p.with(20, bstr(arr(install...)))
	}
	return p
}

func TestDependencies(t *testing.T) {
	common := func(dependencies, components []byte) parts {
		p := dependent()
		p.common = dict(num(1), dependencies)
		p.validate = arr(num(12), []byte{0xf5}, num(3), num(15))
		if components != nil {
			p.common = dict(num(1), dependencies, num(2), components)
		}
		return p
	}
	one := arr(arr(bstr([]byte{0})))
	prefix := dict(num(1), arr(bstr([]byte("d"))))
	for name, p := range map[string]parts{
		"beyond":        common(dict(num(1), prefix), one),
		"far beyond":    common(dict(num(manifest.MaxIndex), prefix), one),
		"a component":   common(dict(num(0), dict()), one),
		"no components": common(dict(num(0), prefix), nil),
	} {
		if _, err := openOwn(t, seal(t, p.manifest())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := [][]byte{}
	for i := range manifest.MaxDependencies + 1 {
		many = append(many, num(int64(i)), prefix)
	}
	tests := map[string]inputTest{
		"none":             {seal(t, common(dict(), one).manifest()), manifest.ErrMalformed},
		"twice":            {seal(t, common(dict(num(1), prefix, num(1), prefix), one).manifest()), manifest.ErrMalformed},
		"unsorted":         {seal(t, common(dict(num(2), prefix, num(1), prefix), one).manifest()), manifest.ErrNotCanonical},
		"negative":         {seal(t, common(dict(num(-1), prefix), one).manifest()), manifest.ErrMalformed},
		"too far":          {seal(t, common(dict(num(manifest.MaxIndex+1), prefix), one).manifest()), manifest.ErrLimit},
		"many":             {seal(t, common(dict(many...), one).manifest()), manifest.ErrLimit},
		"no identifier":    {seal(t, common(dict(num(1), dict()), one).manifest()), manifest.ErrComponent},
		"empty identifier": {seal(t, common(dict(num(1), dict(num(1), arr())), one).manifest()), manifest.ErrComponent},
		"unknown member":   {seal(t, common(dict(num(1), dict(num(2), num(0))), one).manifest()), manifest.ErrUnsupported},
		"index 2 of 2":     {seal(t, dependent(num(12), num(2), num(3), num(15)).manifest()), manifest.ErrComponent},
		"no index first":   {seal(t, dependent(num(3), num(15)).manifest()), manifest.ErrCommand},
	}
	checkInputs(t, tests)
}

// A dependency is checked before it is processed, within the same procedure.
func TestCMD_DependencyIntegrityFirst(t *testing.T) {
	check, process, select1 := []([]byte){num(7), num(15)}, [][]byte{num(11), num(0)}, [][]byte{num(12), num(1)}
	seq := func(groups ...[][]byte) [][]byte {
		var all [][]byte
		for _, g := range groups {
			all = append(all, g...)
		}
		return all
	}
	both := func(section int64, first [][]byte, install ...[]byte) parts {
		p := dependent()
		p = p.with(section, bstr(arr(first...)))
		return p.with(20, bstr(arr(install...)))
	}
	severed := dependent().with(15, sum(bstr(arr(seq(select1, check)...)))).with(20, bstr(arr(seq(select1, process)...)))
	for name, p := range map[string]parts{
		"just before":        dependent(seq(select1, check, process)...),
		"for all":            dependent(seq([][]byte{num(12), {0xf5}}, check, process)...),
		"in a run-sequence":  dependent(seq(select1, [][]byte{num(32), bstr(arr(check...))}, process)...),
		"an earlier section": both(15, seq(select1, check), seq(select1, process)...),
		"perhaps, severed":   severed,
	} {
		if _, err := openOwn(t, seal(t, p.manifest())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := dependent(seq(select1, check)...)
	other.validate = arr(seq(select1, process)...)
	tests := map[string]inputTest{
		"never":             {seal(t, dependent(seq(select1, process)...).manifest()), manifest.ErrCommand},
		"after":             {seal(t, dependent(seq(select1, process, check)...).manifest()), manifest.ErrCommand},
		"of another index":  {seal(t, dependent(seq([][]byte{num(12), num(0)}, check, select1, process)...).manifest()), manifest.ErrCommand},
		"image-match only":  {seal(t, dependent(seq(select1, [][]byte{num(3), num(15)}, process)...).manifest()), manifest.ErrCommand},
		"other procedure":   {seal(t, other.manifest()), manifest.ErrCommand},
		"in one of several": {seal(t, dependent(seq(select1, [][]byte{num(15), arr(bstr(arr(process...)), bstr(arr(check...)))})...).manifest()), manifest.ErrCommand},
	}
	checkInputs(t, tests)
	o := manifest.Options{Compat: manifest.CompatUncheckedDependency}
	if _, err := o.InspectBytes(tests["never"].input); err != nil {
		t.Errorf("never, with the relaxation: %v", err)
	}
}

func TestCMD_11_IntegratedPayloads(t *testing.T) {
	digest := func(b []byte) []byte { return bstr(sum(b)) }
	fetch := func(params []byte, more ...[]byte) []byte {
		return goodParts().with(20, bstr(arr(append([][]byte{num(20), params, num(21), num(0)}, more...)...))).manifest()
	}
	image, other := []byte("image"), []byte("other")
	named := fetch(dict(num(3), digest(image), num(21), tstr("#a")))
	info := fetch(dict(num(3), digest(image), num(19), bstr(encryptionInfo), num(21), tstr("#a")))
	either := fetch(dict(num(3), digest(other), num(21), tstr("#a")), num(20), dict(num(3), digest(image)))
	settable := goodParts().with(20, bstr(arr(num(19), dict(num(3), digest(other), num(21), tstr("#a"))))).manifest()
	for name, b := range map[string][]byte{
		"right":              seal(t, named, tstr("#a"), bstr(image)),
		"absent":             seal(t, named),
		"not named":          seal(t, named, tstr("#b"), bstr(other)),
		"encrypted":          seal(t, info, tstr("#a"), bstr(other)),
		"one of two":         seal(t, either, tstr("#a"), bstr(image)),
		"others may replace": seal(t, settable, tstr("#a"), bstr(image)),
	} {
		if _, err := openOwn(t, b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkInputs(t, map[string]inputTest{
		"wrong":      {seal(t, named, tstr("#a"), bstr(other)), manifest.ErrDigest},
		"wrong case": {seal(t, named, tstr("#A"), bstr(other), tstr("#a"), bstr(other)), manifest.ErrDigest},
		"neither":    {seal(t, either, tstr("#a"), bstr([]byte("third"))), manifest.ErrDigest},
	})

	inner := seal(t, goodParts().manifest())
	innerDigest := digest(bstr(goodParts().manifest()))
	dependency := dependent(num(12), num(1), num(20), dict(num(3), innerDigest, num(21), tstr("#d")), num(21), num(0)).manifest()
	resigned := seal(t, goodParts().manifest(), tstr("#more"), bstr(image))
	for name, payload := range map[string][]byte{"dependency": inner, "dependency with more": resigned} {
		if _, err := openOwn(t, seal(t, dependency, tstr("#d"), bstr(payload))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	another := goodParts()
	another.validate = arr(num(3), num(14))
	checkInputs(t, map[string]inputTest{
		"dependency of another manifest": {seal(t, dependency, tstr("#d"), bstr(seal(t, another.manifest()))), manifest.ErrDigest},
		"dependency is no envelope":      {seal(t, dependency, tstr("#d"), bstr(image)), manifest.ErrMalformed},
		"dependency cut short":           {seal(t, dependency, tstr("#d"), bstr(inner[:len(inner)-1])), manifest.ErrMalformed},
	})
}

func TestCompat(t *testing.T) {
	good := seal(t, goodParts().manifest())
	keys, policy := oneOf(t, signer.Public())
	if _, err := openOwn(t, good[2:]); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("untagged: got %v, want ErrMalformed", err)
	}
	o := manifest.Options{Compat: manifest.CompatUntagged}
	for name, b := range map[string][]byte{"untagged": good[2:], "tagged": good} {
		v, err := o.OpenBytes(b, keys, policy)
		if err != nil || v.Options().Compat != o.Compat {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.OpenBytes(tag(108, good[2:]), keys, policy); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("another tag: got %v, want ErrMalformed", err)
	}
	content := arr(num(3), num(15))
	severed := seal(t, goodParts().with(18, sum(bstr(content))).manifest(), num(18), bstr(content))
	if _, err := openOwn(t, severed); !errors.Is(err, manifest.ErrUnsupported) {
		t.Errorf("severed candidate-verification: got %v, want ErrUnsupported", err)
	}
	if _, err := openOwn(t, seal(t, goodParts().with(18, sum(bstr(content))).manifest())); !errors.Is(err, manifest.ErrUnsupported) {
		t.Errorf("candidate-verification by digest: got %v, want ErrUnsupported", err)
	}
	o = manifest.Options{Compat: manifest.CompatSeveredCandidateVerification}
	v, err := o.OpenBytes(severed, keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Section(manifest.SectionCandidateVerification); !ok {
		t.Error("no candidate-verification")
	}
}

func TestSeverAndAttach(t *testing.T) {
	keys, policy := allKeys(t)
	whole := vector(t, "manifest/example2")
	u, err := manifest.InspectBytes(whole)
	check(t, err)
	e := u.Envelope()
	severed, err := e.Manifest.Sever(manifest.SectionInstall, manifest.MemberText)
	check(t, err)
	small := mustEncode(t, e)
	if string(small) != string(vector(t, "manifest/example2-severed")) {
		t.Errorf("severed: got %x", small)
	}
	for i, member := range []manifest.Section{manifest.SectionInstall, manifest.MemberText} {
		check(t, e.Manifest.Attach(member, severed[i], manifest.Options{}))
	}
	if string(mustEncode(t, e)) != string(whole) {
		t.Error("attached again: other bytes")
	}

	v, err := manifest.OpenBytes(small, keys, policy)
	check(t, err)
	attached, err := v.Attach(manifest.SectionInstall, severed[0])
	check(t, err)
	seq, ok := attached.Section(manifest.SectionInstall)
	if _, before := v.Section(manifest.SectionInstall); !ok || before || len(seq) != 3 || seq[1].Offset == 0 {
		t.Errorf("attached %+v, %t; before %t", seq, ok, before)
	}
	changed := append([]byte{}, severed[0]...)
	changed[len(changed)-1] ^= 1
	for name, test := range map[string]struct {
		member  manifest.Section
		content []byte
		want    error
	}{
		"changed":        {manifest.SectionInstall, changed, manifest.ErrDigest},
		"another member": {manifest.SectionInstall, severed[1], manifest.ErrDigest},
		"nothing":        {manifest.SectionInstall, nil, manifest.ErrDigest},
		"here already":   {manifest.SectionValidate, severed[0], manifest.ErrUnsupported},
		"without digest": {manifest.SectionPayloadFetch, severed[0], manifest.ErrDigest},
		"no such":        {99, severed[0], manifest.ErrUnsupported},
	} {
		if _, err := v.Attach(test.member, test.content); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	if _, err := attached.Attach(manifest.SectionInstall, severed[0]); !errors.Is(err, manifest.ErrComponent) {
		t.Errorf("twice: got %v, want ErrComponent", err)
	}
	// What the author has signed a digest of is still read by all rules.
	bad := arr(num(21), num(16))
	v, err = openOwn(t, seal(t, goodParts().with(20, sum(bstr(bad))).manifest()))
	check(t, err)
	if _, err := v.Attach(manifest.SectionInstall, bad); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("malformed: got %v, want ErrMalformed", err)
	}
	m := v.Manifest()
	if _, err := m.Sever(manifest.SectionInstall); !errors.Is(err, manifest.ErrComponent) {
		t.Errorf("sever what is severed: got %v, want ErrComponent", err)
	}
	if err := m.MakeSeverable(verify.SHA256, manifest.SectionValidate); !errors.Is(err, manifest.ErrUnsupported) {
		t.Errorf("sever validate: got %v, want ErrUnsupported", err)
	}
	if err := m.MakeSeverable(0, manifest.SectionInstall); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("no hash: got %v, want ErrAlgorithm", err)
	}
}

// What is severed may name other digests, and may check dependencies; what is attached is judged
// with the rest.
func TestFlowOfSeveredSections(t *testing.T) {
	process := arr(num(12), num(1), num(11), num(0))
	b := seal(t, dependent().with(20, sum(bstr(process))).manifest())
	v, err := openOwn(t, b)
	check(t, err)
	if _, err := v.Attach(manifest.SectionInstall, process); !errors.Is(err, manifest.ErrCommand) {
		t.Errorf("attached: got %v, want ErrCommand", err)
	}

	other := []byte("other")
	p := goodParts()
	p.shared = arr(num(20), dict(num(3), bstr(sum([]byte("image"))), num(21), tstr("#a")))
	install := arr(num(20), dict(num(3), bstr(sum(other))), num(21), num(0))
	v, err = openOwn(t, seal(t, p.with(20, sum(bstr(install))).manifest(), tstr("#a"), bstr(other)))
	check(t, err)
	if _, err := v.Attach(manifest.SectionInstall, install); err != nil {
		t.Errorf("attached with the digest: %v", err)
	}
	install = arr(num(21), num(0))
	v, err = openOwn(t, seal(t, p.with(20, sum(bstr(install))).manifest(), tstr("#a"), bstr(other)))
	check(t, err)
	if _, err := v.Attach(manifest.SectionInstall, install); !errors.Is(err, manifest.ErrDigest) {
		t.Errorf("attached without the digest: got %v, want ErrDigest", err)
	}
}
