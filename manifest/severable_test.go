// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
)

func TestSevered(t *testing.T) {
	keys, policy := suitKeys(t)
	whole, err := manifest.OpenBytes(vector(t, "manifest/example2"), keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	if seq, ok := whole.Section(manifest.SectionInstall); !ok || len(seq) != 3 {
		t.Errorf("install of %d commands, %t; want 3", len(seq), ok)
	}
	m := whole.Manifest()
	if m.Severed(manifest.SectionInstall) || m.Install.Digest == nil || m.Text.Texts == nil {
		t.Error("install or text is not the envelope's with the manifest's digest")
	}

	severed, err := manifest.OpenBytes(vector(t, "manifest/example2-severed"), keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := severed.Section(manifest.SectionInstall); ok {
		t.Error("severed: install is there")
	}
	m = severed.Manifest()
	if !m.Severed(manifest.SectionInstall) || m.Severed(manifest.SectionPayloadFetch) || m.Severed(manifest.SectionValidate) {
		t.Error("severed: want install severed, and nothing else")
	}
	if severed.Digest() != whole.Digest() {
		t.Error("severing has changed the digest")
	}
}

func TestCMD_10_SeverableMembers(t *testing.T) {
	install := arr(num(21), num(2), num(3), num(15))
	fetch := arr(num(21), num(2))
	text := dict(tstr("en"), dict(num(1), tstr("a release")))
	byDigest := goodParts().with(20, sum(bstr(install))).manifest()
	both := goodParts().with(16, sum(bstr(fetch))).with(20, sum(bstr(install))).manifest()
	inline := goodParts().with(20, bstr(install)).manifest()

	for name, b := range map[string][]byte{
		"inline":              seal(t, inline),
		"in the envelope":     seal(t, byDigest, num(20), bstr(install)),
		"both":                seal(t, both, num(16), bstr(fetch), num(20), bstr(install)),
		"one of both severed": seal(t, both, num(16), bstr(fetch)),
		"text":                seal(t, goodParts().with(23, sum(bstr(text))).manifest(), num(23), bstr(text)),
		"text inline":         seal(t, goodParts().with(23, bstr(text)).manifest()),
	} {
		if _, err := openOwn(t, b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	checkInputs(t, map[string]inputTest{
		"other bytes":            {seal(t, byDigest, num(20), bstr(fetch)), manifest.ErrDigest},
		"digest of content only": {seal(t, goodParts().with(20, sum(install)).manifest(), num(20), bstr(install)), manifest.ErrDigest},
		"twice":                  {seal(t, inline, num(20), bstr(install)), manifest.ErrDigest},
		"not in the manifest":    {seal(t, goodParts().manifest(), num(20), bstr(install)), manifest.ErrDigest},
		"swapped":                {seal(t, both, num(16), bstr(install), num(20), bstr(fetch)), manifest.ErrDigest},
		"text not in manifest":   {seal(t, goodParts().manifest(), num(23), bstr(text)), manifest.ErrDigest},
		"bad sequence":           {seal(t, goodParts().with(20, sum(bstr(arr()))).manifest(), num(20), bstr(arr())), manifest.ErrMalformed},
		"text not a map":         {seal(t, goodParts().with(23, bstr(arr())).manifest()), manifest.ErrMalformed},
		"not a digest":           {seal(t, goodParts().with(20, arr(num(3), num(15))).manifest()), manifest.ErrMalformed},
	})
}

// Encode writes a severable member where its digest says, and nothing else.
func TestEncodeSeverable(t *testing.T) {
	u, err := manifest.InspectBytes(vector(t, "manifest/example2"))
	if err != nil {
		t.Fatal(err)
	}
	e := u.Envelope()
	e.Manifest.Install.Sequence[1].Policy++
	if _, err := e.Encode(); !errors.Is(err, manifest.ErrDigest) {
		t.Errorf("changed behind its digest: got %v, want ErrDigest", err)
	}
	e = u.Envelope()
	e.Manifest.Install.Sequence, e.Manifest.Text.Texts = nil, nil
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := vector(t, "manifest/example2-severed"); string(b) != string(want) {
		t.Errorf("severed: got\n%x\nwant\n%x", b, want)
	}
}
