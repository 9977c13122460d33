// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"context"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// When several people sign one release, each on their own machine, the builder sends them the
// encoded envelope. Each reads it (manifest.Inspect), makes their Block over what ToSign returns for
// it, and sends only that back. The builder attaches the blocks; Missing says who has not signed yet.

// ToSign returns what authentication blocks for e are computed over: the encoded manifest digest. It
// is also how two people make sure that they talk about the same manifest. Errors as
// manifest.Envelope.Encode.
func ToSign(e *manifest.Envelope) ([]byte, error) {
	if _, err := e.Encode(); err != nil {
		return nil, fmt.Errorf("to sign: %w", err)
	}
	return e.SignedBytes()
}

// DigestToSign returns the manifest digest that toSign is, for a signer to whom nothing else was sent. Whoever signs compares it with what the
// others see. Error: manifest.ErrMalformed if it is not what ToSign returns.
func DigestToSign(toSign []byte) (verify.Digest, error) {
	p := cborstream.New(toSign, cborstream.Limits{Size: 8 + verify.MaxHashSize, Depth: 1, Items: 3})
	n, err := p.Array()
	if err == nil && n != 2 {
		err = p.Refuse(0, manifest.ErrMalformed, "digest of %d items, expected 2", n)
	}
	algorithm, _ := p.Int() // after an error it stays
	sum, _ := p.Bytes()
	p.End()
	if err == nil {
		err = p.Done()
	}
	var d verify.Digest
	if err == nil {
		d, err = verify.NewDigest(verify.Hash(algorithm), sum)
	}
	if err != nil {
		return verify.Digest{}, fmt.Errorf("to sign: %w: not an encoded digest: %v", manifest.ErrMalformed, err)
	}
	return d, nil
}

// Block returns one authentication block over what ToSign has returned; anything else is refused as by DigestToSign. It blocks
// as long as the signer does.
func Block(ctx context.Context, toSign []byte, s Signature) ([]byte, error) {
	if _, err := DigestToSign(toSign); err != nil {
		return nil, fmt.Errorf("authentication block: %w", err)
	}
	block, err := s.sign(ctx, toSign)
	if err != nil {
		return nil, fmt.Errorf("authentication block: %w", err)
	}
	return block, nil
}

// Attach adds authentication blocks to e, if each of them is over e and by keys. A block that e has
// already, or whose every signer has a good one by the same algorithm there, is not added. On an error e is as it was.
//
// Errors: those of the block that is not good (verify.ErrSignature, verify.ErrKeyUnknown…), and those of
// manifest.Envelope.Encode.
func Attach(e *manifest.Envelope, keys *verify.KeySet, blocks ...[]byte) error {
	toSign, err := ToSign(e)
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	after := *e
	after.Authentication = slices.Clone(e.Authentication)
	for i, block := range blocks {
		for _, s := range cose.Verify(block, toSign, keys) {
			if s.Err != nil {
				return fmt.Errorf("attach block %d: %w", i, s.Err)
			}
		}
		there := authorities(after.Authentication, toSign, keys)
		if slices.ContainsFunc(authorities([][]byte{block}, toSign, keys), func(new authority) bool {
			return !slices.ContainsFunc(there, func(a authority) bool { return a.key == new.key && a.algorithm == new.algorithm })
		}) {
			after.Authentication = append(after.Authentication, slices.Clone(block))
		}
	}
	if _, err := after.Encode(); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	e.Authentication = after.Authentication
	return nil
}

// Missing returns the keys of group, "" for all, that have not authenticated e yet, in
// the key set's order. Blocks that are not good count for nobody. Errors as ToSign.
func Missing(e *manifest.Envelope, keys *verify.KeySet, group string) ([]verify.Key, error) {
	toSign, err := ToSign(e)
	if err != nil {
		return nil, fmt.Errorf("missing: %w", err)
	}
	var evidence verify.Evidence
	for _, block := range e.Authentication {
		evidence.Signatures = append(evidence.Signatures, cose.Verify(block, toSign, keys)...)
	}
	done := evidence.Keys(group)
	var missing []verify.Key
	for _, key := range keys.Group(group) {
		if !slices.Contains(done, key) {
			missing = append(missing, key)
		}
	}
	return missing, nil
}
