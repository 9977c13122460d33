// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// sign returns the metadata file: m signed by every signer once, over the canonical form.
func sign[T metadata.Roles](ctx context.Context, m *metadata.Metadata[T], signers []verify.Signer) ([]byte, error) {
	text, err := json.Marshal(m.Signed)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %v", err)
	}
	canonical, err := tuf.Canonical(text)
	if err != nil {
		return nil, err
	}
	m.Signatures = []metadata.Signature{}
	signed := make(map[verify.Key]bool)
	for _, s := range signers {
		if signed[s.Public()] {
			continue
		}
		signed[s.Public()] = true
		_, id, err := tufKey(s.Public())
		if err != nil {
			return nil, err
		}
		sig, err := s.Sign(ctx, canonical)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		m.Signatures = append(m.Signatures, metadata.Signature{KeyID: id, Signature: sig})
	}
	data, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %v", err)
	}
	return data, nil
}

// tufKey returns a public key as root lists it, and its key id.
func tufKey(k verify.Key) (*metadata.Key, string, error) {
	key, err := metadata.KeyFromPublicKey(k.Public())
	if err != nil {
		return nil, "", fmt.Errorf("key %v: %v", k, err)
	}
	id, err := key.ID()
	if err != nil {
		return nil, "", fmt.Errorf("key %v: %v", k, err)
	}
	return key, id, nil
}
