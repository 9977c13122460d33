// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// Encrypter encrypts one payload while it comes, in constant memory. Its content key and IV are
// its own: nobody can bring one, and so none is ever used twice. It is not safe for concurrent use.
type Encrypter struct {
	dst    io.Writer
	cipher contentCipher
	alg    ContentAlgorithm
	info   []byte
	room   int64
	buf    []byte
	err    error
	closed bool
}

// NewEncrypter draws a content key and an IV, seals the key to each of recipients, and returns
// an Encrypter that writes the ciphertext to dst. An unknown algorithm, a key of the wrong kind, is
// verify.ErrAlgorithm; no or more than MaxRecipients, more than verify.MaxCandidates of them without a KID or with the same, or a
// KID of no or more than verify.MaxKIDSize bytes, verify.ErrLimit; a recipient without or with several keys verify.ErrPolicy; one with a Macer
// verify.ErrUnsupported. Errors of a KeyWrapper come back wrapped.
func NewEncrypter(ctx context.Context, alg ContentAlgorithm, dst io.Writer, recipients ...Recipient) (*Encrypter, error) {
	return newEncrypter(ctx, rand.Reader, alg, dst, recipients, suitContext)
}

func newEncrypter(ctx context.Context, random io.Reader, alg ContentAlgorithm, dst io.Writer, recipients []Recipient, other []byte) (*Encrypter, error) {
	if alg.keySize() == 0 {
		return nil, fmt.Errorf("encrypt with %v: %w", alg, verify.ErrAlgorithm)
	}
	key, nonce := make([]byte, alg.keySize()), make([]byte, alg.nonceSize())
	defer clear(key)
	for _, b := range [][]byte{key, nonce} {
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, fmt.Errorf("content key: %w", err)
		}
	}
	sealed, err := sealTo(ctx, random, key, recipients, other)
	if err != nil {
		return nil, err
	}
	info, protected := appendEncrypt(alg, nonce)
	info = append(info, sealed...)
	if len(info) > MaxEncryptionInfoSize {
		return nil, fmt.Errorf("encryption info of %d bytes, expected at most %d: %w", len(info), MaxEncryptionInfoSize, verify.ErrLimit)
	}
	c, err := newContentCipher(alg, key, nonce, encStructure("Encrypt", protected))
	if err != nil {
		return nil, err
	}
	return &Encrypter{
		dst: dst, cipher: c, alg: alg, info: info,
		room: alg.MaxPlaintext(),
		buf:  make([]byte, streamBuffer),
	}, nil
}

// appendEncrypt encodes all of a COSE_Encrypt_Tagged but the recipients.
func appendEncrypt(alg ContentAlgorithm, nonce []byte) (info, protected []byte) {
	b := cborstream.AppendArray(bytes.Clone(tagEncrypt), 4)
	if alg.Authenticated() {
		protected = protectedHeader(int64(alg), nil)
		b = cborstream.AppendBytes(b, protected)
		b = cborstream.AppendMap(b, 1)
	} else {
		b = cborstream.AppendBytes(b, nil)
		b = cborstream.AppendMap(b, 2)
		b = cborstream.AppendInt(b, labelAlg)
		b = cborstream.AppendInt(b, int64(alg))
	}
	b = cborstream.AppendInt(b, labelIV)
	b = cborstream.AppendBytes(b, nonce)
	return cborstream.AppendNil(b), protected
}

// Info returns the encoded SUIT_Encryption_Info, the content of suit-parameter-encryption-info. The
// caller owns the result.
func (e *Encrypter) Info() []byte { return bytes.Clone(e.info) }

// Write encrypts the next bytes of the payload into dst. Errors are those of dst, verify.ErrLimit above the
// algorithm's MaxPlaintext, and io.ErrClosedPipe after Close.
func (e *Encrypter) Write(p []byte) (int, error) {
	if e.closed {
		return 0, io.ErrClosedPipe
	}
	taken := 0
	for len(p) > 0 && e.err == nil {
		n := min(len(p), len(e.buf))
		if e.room -= int64(n); e.room < 0 {
			e.err = fmt.Errorf("more than %d bytes for %v: %w", e.alg.MaxPlaintext(), e.alg, verify.ErrLimit)
			break
		}
		e.cipher.xor(e.buf[:n], p[:n])
		e.cipher.absorb(e.buf[:n])
		e.put(e.buf[:n])
		p = p[n:]
		taken += n
	}
	return taken, e.err
}

func (e *Encrypter) put(b []byte) {
	n, err := e.dst.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		e.err = fmt.Errorf("write ciphertext: %w", err)
	}
}

// Close writes the tag, if the algorithm has one, and returns the first error. It does not close
// dst. Further calls return the same.
func (e *Encrypter) Close() error {
	if e.closed {
		return e.err
	}
	e.closed = true
	if e.err == nil && e.alg.Authenticated() {
		tag := e.cipher.tag()
		e.put(tag[:])
	}
	clear(e.buf)
	return e.err
}

// Encrypt encrypts a payload that is in memory. Errors are those of NewEncrypter.
func Encrypt(ctx context.Context, alg ContentAlgorithm, plaintext []byte, recipients ...Recipient) (info, ciphertext []byte, err error) {
	var out bytes.Buffer
	e, err := NewEncrypter(ctx, alg, &out, recipients...)
	if err != nil {
		return nil, nil, err
	}
	_, err = e.Write(plaintext)
	if closeErr := e.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, nil, err
	}
	return e.Info(), out.Bytes(), nil
}
