// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"crypto/sha256"
	"errors"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// digest is a SUIT_Digest as it stands in the input, and checked.
type digest struct {
	hash verify.Hash
	sum  []byte
}

// value returns what d is.
func (d digest) value() verify.Digest {
	v, _ := verify.NewDigest(d.hash, d.sum) // has been checked
	return v
}

// decodeDigest reads SUIT_Digest: [algorithm, bytes], without extensions.
//
// draft-ietf-suit-manifest-37, section 10.
func decodeDigest(p *cborstream.Parser) (digest, error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return digest{}, err
	}
	if n != 2 {
		class := ErrUnsupported
		if n < 2 {
			class = ErrMalformed
		}
		return digest{}, p.Refuse(at, class, "digest of %d items, expected 2", n)
	}
	algorithm, err := p.Int()
	if err != nil {
		return digest{}, err
	}
	sum, err := p.Bytes()
	if err != nil {
		return digest{}, err
	}
	p.End()
	hash := verify.Hash(algorithm)
	if int64(hash) != algorithm || !hash.Valid() {
		return digest{}, p.Refuse(at, verify.ErrAlgorithm, "digest algorithm %d, supported are SHA-256, SHA-384 and SHA-512", algorithm)
	}
	if len(sum) != hash.Size() {
		_, err := verify.NewDigest(hash, sum)
		return digest{}, p.Refuse(at, errors.Join(ErrDigest, err), "digest")
	}
	return digest{hash, sum}, nil
}

// wrappedSHA256 is the encoding of bstr .cbor SUIT_Digest up to the sum, if that is SHA-256.
const wrappedSHA256 = "\x58\x24\x82\x2f\x58\x20"

// wrappedDigest reads bstr .cbor SUIT_Digest.
func wrappedDigest(p *cborstream.Parser) (digest, error) {
	if sum, ok := p.Known(wrappedSHA256, sha256.Size, 2); ok {
		return digest{verify.SHA256, sum}, nil
	}
	outer, err := p.Enter()
	if err != nil {
		return digest{}, err
	}
	d, err := decodeDigest(p)
	if err != nil {
		return digest{}, err
	}
	return d, p.Leave(outer)
}

func appendDigest(b []byte, d verify.Digest) []byte {
	b = cborstream.AppendArray(b, 2)
	b = cborstream.AppendInt(b, int64(d.Hash()))
	return cborstream.AppendBytes(b, d.Bytes())
}

// decodeURI reads a URI reference: RFC 3986 allows printable ASCII only. The result is part of the input.
func decodeURI(p *cborstream.Parser) ([]byte, error) {
	at := p.Offset()
	uri, err := p.TextBytes()
	if err != nil {
		return nil, err
	}
	if len(uri) > MaxURILength {
		return nil, p.Refuse(at, ErrLimit, "uri of %d bytes, limit %d", len(uri), MaxURILength)
	}
	if len(uri) == 0 {
		return nil, p.Refuse(at, ErrMalformed, "empty uri")
	}
	for i, c := range uri {
		if c <= ' ' || c > '~' {
			return nil, p.Refuse(at, ErrMalformed, "byte 0x%02x at %d of a uri", c, i)
		}
	}
	return uri, nil
}

// decodeUUID reads the 16 bytes of a UUID, as a part of the input.
func decodeUUID(p *cborstream.Parser) ([]byte, error) {
	if b, ok := p.Short(len(UUID{})); ok {
		return b, nil
	}
	at := p.Offset()
	b, err := p.Bytes()
	if err == nil {
		err = p.Refuse(at, ErrMalformed, "uuid of %d bytes, expected %d", len(b), len(UUID{}))
	}
	return b, err
}
