// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"fmt"
	"math"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// decodeDigest reads SUIT_Digest: [algorithm, bytes], without extensions.
//
// draft-ietf-suit-manifest-37, section 10.
func decodeDigest(p *cborstream.Parser) (verify.Digest, error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return verify.Digest{}, err
	}
	if n != 2 {
		class := ErrUnsupported
		if n < 2 {
			class = ErrMalformed
		}
		return verify.Digest{}, p.Refuse(at, class, "digest of %d items, expected 2", n)
	}
	algorithm, err := p.Int()
	if err != nil {
		return verify.Digest{}, err
	}
	sum, err := p.Bytes()
	if err != nil {
		return verify.Digest{}, err
	}
	if algorithm < math.MinInt32 || algorithm > math.MaxInt32 || !verify.Hash(algorithm).Valid() {
		return verify.Digest{}, p.Refuse(at, verify.ErrAlgorithm, "digest algorithm %d", algorithm)
	}
	d, err := verify.NewDigest(verify.Hash(algorithm), sum)
	if err != nil {
		return verify.Digest{}, p.Refuse(at, errors.Join(ErrDigest, err), "digest")
	}
	return d, nil
}

// wrappedDigest reads bstr .cbor SUIT_Digest, and returns what is in the byte string, too.
func wrappedDigest(p *cborstream.Parser) (d verify.Digest, encoded []byte, err error) {
	part, err := p.Part()
	if err != nil {
		return d, nil, err
	}
	outer := p.Enter(part)
	encoded = p.Content()
	if d, err = decodeDigest(p); err != nil {
		return d, nil, err
	}
	return d, encoded, p.Leave(outer)
}

func appendDigest(b []byte, d verify.Digest) []byte {
	b = cborstream.AppendArray(b, 2)
	b = cborstream.AppendInt(b, int64(d.Hash()))
	return cborstream.AppendBytes(b, d.Bytes())
}

// decodeURI reads a URI reference: RFC 3986 allows printable ASCII only.
func decodeURI(p *cborstream.Parser) (string, error) {
	at := p.Offset()
	uri, err := p.Text()
	if err != nil {
		return "", err
	}
	if len(uri) > MaxURILength {
		return "", p.Refuse(at, ErrLimit, "uri of %d bytes, limit %d", len(uri), MaxURILength)
	}
	if err := checkURI(uri); err != nil {
		return "", p.Refuse(at, err, "uri")
	}
	return uri, nil
}

func checkURI(uri string) error {
	if uri == "" {
		return fmt.Errorf("%w: empty uri", ErrMalformed)
	}
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] > '~' {
			return fmt.Errorf("%w: byte 0x%02x at %d of a uri", ErrMalformed, uri[i], i)
		}
	}
	return nil
}

func decodeUUID(p *cborstream.Parser) (UUID, error) {
	at := p.Offset()
	b, err := p.Bytes()
	if err != nil {
		return UUID{}, err
	}
	if len(b) != len(UUID{}) {
		return UUID{}, p.Refuse(at, ErrMalformed, "uuid of %d bytes, expected %d", len(b), len(UUID{}))
	}
	return UUID(b), nil
}
