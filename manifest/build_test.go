// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// Encoded items, so that tests can write down envelopes that no typed model
// can express. Maps keep the order they are given.

func num(v int64) []byte      { return cborstream.AppendInt(nil, v) }
func bstr(b ...[]byte) []byte { return cborstream.AppendBytes(nil, slices.Concat(b...)) }
func tstr(s string) []byte    { return cborstream.AppendText(nil, s) }

func arr(items ...[]byte) []byte {
	return append(cborstream.AppendArray(nil, len(items)), bytes.Join(items, nil)...)
}

func dict(keysAndValues ...[]byte) []byte {
	return append(cborstream.AppendMap(nil, len(keysAndValues)/2), bytes.Join(keysAndValues, nil)...)
}

func tag(n uint64, content []byte) []byte { return append(cborstream.AppendTag(nil, n), content...) }

func sum(b []byte) []byte { // encoded SUIT_Digest
	return arr(num(-16), bstr(verify.Sum(verify.SHA256, b).Bytes()))
}

// parts are the encoded parts of a small valid manifest for tests to spoil.
type parts struct {
	components []byte // array
	shared     []byte // content of the sequence
	validate   []byte
	common     []byte // if not nil, instead of components and shared
	extra      []byte // key and value after validate
	extras     int
}

func goodParts() parts {
	return parts{components: arr(arr(bstr([]byte{0}))), shared: arr(num(1), num(15)), validate: arr(num(3), num(15))}
}

func (p parts) manifest() []byte {
	common := p.common
	if common == nil {
		common = dict(num(2), p.components, num(4), bstr(p.shared))
	}
	m := dict(num(1), num(1), num(2), num(7), num(3), bstr(common), num(7), bstr(p.validate))
	m[0] += byte(p.extras)
	return append(m, p.extra...)
}

// with adds one member at the end of the manifest.
func (p parts) with(key int64, value []byte) parts {
	p.extra = slices.Concat(p.extra, num(key), value)
	p.extras++
	return p
}

// signer signs everything in these tests.
var signer = testkeys.P256(1)

// seal signs an encoded manifest and returns the envelope; more are keys and
// values after the manifest.
func seal(tb testing.TB, m []byte, more ...[]byte) []byte {
	tb.Helper()
	digest := sum(bstr(m))
	block, err := cose.SignSign1(tb.Context(), signer, cose.ESP256, digest)
	if err != nil {
		tb.Fatal(err)
	}
	return envelope(arr(bstr(digest), bstr(block)), m, more...)
}

func envelope(auth, m []byte, more ...[]byte) []byte {
	return tag(107, dict(append([][]byte{num(2), bstr(auth), num(3), bstr(m)}, more...)...))
}

// openOwn opens what seal has signed.
func openOwn(tb testing.TB, b []byte) (*manifest.Verified, error) {
	tb.Helper()
	keys, policy := oneOf(tb, signer.Public())
	return manifest.OpenBytes(b, keys, policy)
}
