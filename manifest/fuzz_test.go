// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

func addVectors(f *testing.F) {
	f.Helper()
	names, err := fs.Glob(vectors.SUIT(), "*/*.cbor")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		f.Add(vector(f, strings.TrimSuffix(name, ".cbor")))
	}
}

// FuzzOpen: whatever opens has the digest of a manifest that was signed.
func FuzzOpen(f *testing.F) {
	addVectors(f)
	keys, policy := allKeys(f)
	signed := make(map[string]bool)
	note := func(e indexEntry) {
		signed["sha256:"+e.Digest] = len(e.Auth) > 0 && e.Auth[0].Valid || signed["sha256:"+e.Digest]
	}
	for _, e := range vectorIndex(f) {
		note(e)
		for _, inner := range e.Integrated {
			note(inner)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := manifest.Options{Compat: ^manifest.Compat(0)}.OpenBytes(b, keys, policy)
		if err != nil {
			if v != nil {
				t.Fatal("both a manifest and an error")
			}
			return
		}
		if !signed[v.Digest().String()] {
			t.Fatalf("opened a manifest that nobody signed: %v", v.Digest())
		}
	})
}

// everything accepts all that there is.
var everything = manifest.Options{
	Compat: ^manifest.Compat(0),
	Registry: manifest.Registry{
		Commands:   []manifest.CustomCommand{{Code: -256}, {Code: -300, Condition: true}},
		Parameters: []manifest.ParameterKey{-256, -257},
	},
}

// FuzzInspect: what is read is written back byte for byte. Digests are
// mended first, so that the input gets past them.
func FuzzInspect(f *testing.F) {
	addVectors(f)
	f.Add(seal(f, goodParts().with(16, bstr(arr(num(32), bstr(arr(num(13), num(15)))))).manifest(), tstr("#a"), bstr([]byte{1})))
	f.Add(seal(f, goodParts().with(9, bstr(arr(num(12), []byte{0xf5}, num(12), arr(num(0)), num(20), dict(num(23), bstr(), num(25), bstr([]byte{1}))))).manifest()))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = mend(b)
		u, err := everything.InspectBytes(b)
		if err != nil {
			return
		}
		e := u.Envelope()
		again, err := e.Encode()
		if err != nil {
			t.Fatalf("%x: cannot be written back: %v", b, err)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("written back as\n%x\nnot\n%x", again, b)
		}
		if digest, err := e.Digest(); err != nil || digest != u.Digest() {
			t.Fatalf("digest %v, %v; read %v", digest, err, u.Digest())
		}
		second, err := everything.InspectBytes(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, second.Envelope(), cmp.Comparer(sameDigest)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// mend puts the right SHA-256 digest into an envelope in the usual form, with
// the manifest right after the authentication wrapper.
func mend(b []byte) []byte {
	const before = "\x82\x2f\x58\x20" // [-16, bytes .size 32]
	at := bytes.Index(b, []byte(before))
	if at < 0 || at+len(before)+32 > len(b) {
		return b
	}
	for i := at + len(before) + 32; i < len(b)-3; i++ {
		if b[i] != 3 {
			continue
		}
		n, head := 0, 0
		switch b[i+1] {
		case 0x58:
			n, head = int(b[i+2]), 2
		case 0x59:
			n, head = int(b[i+2])<<8|int(b[i+3]), 3
		default:
			continue
		}
		if end := i + 1 + head + n; end <= len(b) && n > 0 && b[i+1+head]>>5 == 5 {
			b = bytes.Clone(b)
			copy(b[at+len(before):], verify.Sum(verify.SHA256, b[i+1:end]).Bytes())
			return b
		}
	}
	return b
}

// FuzzFetchArguments: one encoding for each value.
func FuzzFetchArguments(f *testing.F) {
	root := verify.Sum(verify.SHA256, nil)
	for _, info := range []manifest.ChunkInfo{{Root: root, Size: 16384}, {Root: root, Size: 1 << 22, URI: "http://a/b"}} {
		b, err := info.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := manifest.ParseFetchArguments(b)
		if err != nil {
			return
		}
		if again, err := info.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x: written back as %x, %v", b, again, err)
		}
	})
}
