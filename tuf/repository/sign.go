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
	signed := make(map[tuf.Key]bool)
	for _, s := range signers {
		public := keyOf(s)
		if signed[public] {
			continue
		}
		signed[public] = true
		_, id, err := tufKey(public)
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

// tufKey returns a public key as metadata lists it, and its key id.
func tufKey(k tuf.Key) (*metadata.Key, string, error) {
	keyType, scheme, public := k.KeyVal()
	if keyType == "" {
		return nil, "", fmt.Errorf("key of a type that metadata cannot list: %w", verify.ErrAlgorithm)
	}
	key := &metadata.Key{Type: keyType, Scheme: scheme, Value: metadata.KeyVal{PublicKey: public}}
	id, err := key.ID()
	if err != nil {
		return nil, "", fmt.Errorf("key id: %v", err)
	}
	return key, id, nil
}
