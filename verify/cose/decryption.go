// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"context"
	"io"
)

// Decryption finds out whether s opens info, before there is any ciphertext, and returns a function that makes readers of
// plaintext from readers of ciphertext, as often as it is called. The plaintext is authentic when its
// reader has returned io.EOF, not before, and only if authenticated is true (see ContentAlgorithm.Authenticated). Errors, also those
// of the readers, are those of NewDecrypter and Decrypter.Close, a nil s being verify.ErrKeyUnknown, and the ciphertext's own.
//
// With it, RecipientKeys are a Decrypter of package manifest/processor.
func (s *RecipientKeys) Decryption(ctx context.Context, info []byte) (decrypt func(ciphertext io.Reader) (io.Reader, error), authenticated bool, err error) {
	i, err := ParseEncryptionInfo(info)
	if err != nil {
		return nil, false, err
	}
	if _, err := i.open(ctx, s, suitContext); err != nil {
		return nil, false, err
	}
	return func(ciphertext io.Reader) (io.Reader, error) {
		p := &plaintext{ciphertext: ciphertext, chunk: make([]byte, streamBuffer)}
		var err error
		if p.decrypter, err = i.decrypter(ctx, s, suitContext, &p.ready); err != nil {
			return nil, err
		}
		return p, nil
	}, i.alg.Authenticated(), nil
}

// plaintext reads what a Decrypter writes. It ends in io.EOF only if that has been closed without
// an error.
type plaintext struct {
	ciphertext io.Reader
	decrypter  *Decrypter
	chunk      []byte
	ready      bytes.Buffer
	err        error
}

func (p *plaintext) Read(b []byte) (int, error) {
	for p.ready.Len() == 0 && p.err == nil {
		n, err := p.ciphertext.Read(p.chunk)
		if n > 0 {
			if _, werr := p.decrypter.Write(p.chunk[:n]); werr != nil {
				p.err = werr
				break
			}
		}
		if err != nil && err != io.EOF {
			p.err = err
		}
		if err == io.EOF {
			p.err = io.EOF
			if cerr := p.decrypter.Close(); cerr != nil {
				p.err = cerr
				break
			}
		}
	}
	if p.ready.Len() == 0 {
		return 0, p.err
	}
	return p.ready.Read(b)
}
