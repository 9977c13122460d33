// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"context"
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/verify"
)

// streamBuffer is how much of a payload is in memory at a time, whatever its size.
const streamBuffer = 32 << 10

// Decrypter turns the ciphertext of one payload into plaintext while it comes, in constant memory for every
// content algorithm.
//
// What it writes is not authentic before Close has returned nil, and with AES-CTR not even then. So
// dst is a place that nothing executes or believes, and what it holds after an error is to be thrown away. Who has
// chunk digests of the ciphertext writes only verified chunks here; then the plaintext is
// as good as the manifest at every moment.
//
// A Decrypter is not safe for concurrent use.
type Decrypter struct {
	dst    io.Writer
	cipher contentCipher
	alg    ContentAlgorithm
	room   int64 // bytes of plaintext that may still come
	held   int   // bytes in buf that are not released: they may be the tag
	buf    []byte
	err    error // the first error, which all later calls return
	closed bool
}

// NewDecrypter decodes info (see ParseEncryptionInfo), gets at the content key with one of keys, and
// returns a Decrypter that writes to dst. Recipients that name one of the keys are tried first, then those without a name,
// then all by keys without one, at most verify.MaxCandidates attempts. Besides the errors of
// ParseEncryptionInfo:
//
//   - verify.ErrKeyUnknown: no key for any of the recipients;
//   - verify.ErrDecrypt: keys that fit by name and kind, but do not open their recipient;
//   - verify.ErrLimit: too many attempts;
//   - verify.ErrAlgorithm: only recipients that this package cannot serve;
//   - verify.ErrUnsupported: an authenticated algorithm under strict FIPS 140 enforcement (GODEBUG=fips140=only).
//
// ctx is for the work on the key alone. It keeps no reference to info.
func NewDecrypter(ctx context.Context, info []byte, keys *RecipientKeys, dst io.Writer) (*Decrypter, error) {
	i, err := ParseEncryptionInfo(info)
	if err != nil {
		return nil, err
	}
	return i.decrypter(ctx, keys, suitContext, dst)
}

func (i *EncryptionInfo) decrypter(ctx context.Context, keys *RecipientKeys, other []byte, dst io.Writer) (*Decrypter, error) {
	c, err := i.open(ctx, keys, other)
	if err != nil {
		return nil, err
	}
	return &Decrypter{
		dst: dst, cipher: c, alg: i.alg,
		room: i.alg.MaxPlaintext(),
		buf:  make([]byte, streamBuffer),
	}, nil
}

// Write decrypts the next bytes of ciphertext and writes what can be released to dst: all but the last 16
// bytes seen, which may be the tag. It returns how many bytes of p it took. Errors are those of
// dst, verify.ErrLimit above the algorithm's MaxPlaintext, and io.ErrClosedPipe after Close.
func (d *Decrypter) Write(p []byte) (int, error) {
	if d.closed {
		return 0, io.ErrClosedPipe
	}
	taken := 0
	for len(p) > 0 && d.err == nil {
		n := copy(d.buf[d.held:], p)
		d.held += n
		p = p[n:]
		taken += n
		d.release(d.held - int(d.alg.Overhead()))
	}
	return taken, d.err
}

// release decrypts the first n bytes of buf into dst.
func (d *Decrypter) release(n int) {
	if n <= 0 {
		return
	}
	if d.room -= int64(n); d.room < 0 {
		d.err = fmt.Errorf("more than %d bytes of %v: %w", d.alg.MaxPlaintext(), d.alg, verify.ErrLimit)
		return
	}
	d.cipher.absorb(d.buf[:n])
	d.cipher.xor(d.buf[:n], d.buf[:n])
	written, err := d.dst.Write(d.buf[:n])
	if err == nil && written < n {
		err = io.ErrShortWrite
	}
	if err != nil {
		d.err = fmt.Errorf("write plaintext: %w", err)
	}
	d.held = copy(d.buf, d.buf[n:d.held])
}

// Close checks the tag and returns verify.ErrDecrypt if it is wrong or the ciphertext too short to have
// one, or the first error of Write. It does not close dst. Further calls return the same.
func (d *Decrypter) Close() error {
	if d.closed {
		return d.err
	}
	d.closed = true
	if d.err == nil && d.alg.Authenticated() {
		want := d.cipher.tag()
		if d.held != tagSize || subtle.ConstantTimeCompare(want[:], d.buf[:d.held]) != 1 {
			d.err = fmt.Errorf("%v: tag of the ciphertext: %w", d.alg, verify.ErrDecrypt)
		}
	}
	clear(d.buf)
	return d.err
}

// Decrypt decrypts a ciphertext that is in memory, such as the content of directive-write. With an
// authenticated algorithm no plaintext is returned before its tag is checked. Errors are those of NewDecrypter and
// Decrypter.Close.
func Decrypt(ctx context.Context, info, ciphertext []byte, keys *RecipientKeys) ([]byte, error) {
	var plaintext bytes.Buffer
	d, err := NewDecrypter(ctx, info, keys, &plaintext)
	if err != nil {
		return nil, err
	}
	_, err = d.Write(ciphertext)
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		clear(plaintext.Bytes())
		return nil, err
	}
	return plaintext.Bytes(), nil
}
