// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify/cose"
)

// decrypter returns what makes plaintext out of ciphertext under info, nil if info is. That
// one of the device's keys opens the content key is found here, before any effect. If nothing but the
// cipher says that the plaintext is the author's, checked is false and the cipher must authenticate.
//
// draft-ietf-suit-firmware-encryption-25, sections 5 and 8.
func (m *machine) decrypter(ctx context.Context, info []byte, checked bool) (func(io.Reader) (io.Reader, error), error) {
	if info == nil {
		return nil, nil
	}
	if m.o.Keys == nil {
		return nil, fmt.Errorf("%w: encrypted payload, and no keys", manifest.ErrUnsupported)
	}
	parsed, err := cose.ParseEncryptionInfo(info)
	if err != nil {
		return nil, fmt.Errorf("%w: encryption info: %w", ErrParameter, err)
	}
	if !checked && !parsed.Algorithm().Authenticated() {
		return nil, fmt.Errorf("%w: %v does not authenticate, there is no image digest, and the source has not been matched", ErrParameter, parsed.Algorithm())
	}
	info = slices.Clone(info)
	if _, err := cose.NewDecrypter(ctx, info, m.o.Keys, io.Discard); err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return func(ciphertext io.Reader) (io.Reader, error) {
		p := &plaintext{ciphertext: ciphertext, chunk: make([]byte, plaintextChunk)}
		var err error
		if p.decrypter, err = cose.NewDecrypter(ctx, info, m.o.Keys, &p.ready); err != nil {
			return nil, fmt.Errorf("decrypt: %w", err)
		}
		return p, nil
	}, nil
}

// plaintextChunk is how much ciphertext is decrypted at a time.
const plaintextChunk = 32 << 10

// plaintext reads what a Decrypter writes. It ends in io.EOF only if that has been closed without
// an error.
type plaintext struct {
	ciphertext io.Reader
	decrypter  *cose.Decrypter
	chunk      []byte
	ready      bytes.Buffer
	err        error
}

func (p *plaintext) Read(b []byte) (int, error) {
	for p.ready.Len() == 0 && p.err == nil {
		n, err := p.ciphertext.Read(p.chunk)
		if n > 0 {
			if _, werr := p.decrypter.Write(p.chunk[:n]); werr != nil {
				p.err = fmt.Errorf("decrypt: %w", werr)
				break
			}
		}
		if err != nil && err != io.EOF {
			p.err = err
		}
		if err == io.EOF {
			p.err = io.EOF
			if cerr := p.decrypter.Close(); cerr != nil {
				p.err = fmt.Errorf("decrypt: %w", cerr)
				break
			}
		}
	}
	if p.ready.Len() == 0 {
		return 0, p.err
	}
	return p.ready.Read(b)
}
