// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "github.com/firmament-dev/firmament/internal/cborstream"

// Encode returns the deterministic encoding of params as a SUIT_Parameters map, which may be
// empty: in reports, parameters are what was measured.
func (params *Parameters) Encode() []byte { return params.append(nil) }

// DecodeParameters reads a SUIT_Parameters map, which may be empty, and nothing else.
// Custom parameters are those of o's Registry. Errors: ErrMalformed (ErrNotCanonical), ErrLimit,
// ErrUnsupported.
func (o Options) DecodeParameters(b []byte) (*Parameters, error) {
	p := cborstream.New(b, cborstream.Limits{Size: MaxEnvelopeSize, Depth: MaxDepth, Items: maxItems})
	d := decoder{o: &o, m: new(Manifest)}
	if len(b) == 1 && b[0] == cborstream.AppendMap(nil, 0)[0] {
		return new(Parameters), nil
	}
	params, err := d.parameters(p, 0)
	if err != nil {
		return nil, err
	}
	return params, p.Done()
}
