// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
)

const (
	// MaxCandidates bounds the entries of a KeySet, and with it the number of verifications
	// that one signature without a key id can cost.
	MaxCandidates = 64

	// MaxKIDSize bounds a key id, in bytes.
	MaxKIDSize = 128
)

// Entry is one key of a KeySet.
type Entry struct {
	// KID is the name under which signatures refer to the key (COSE kid, TUF keyid). Nil: the
	// key has no name here and is tried whatever name a signature carries, after the keys of that name.
	KID []byte

	// Key is the public key. Required, unless Secret is set: NewKeySet then fills it in.
	Key Key

	// Secret makes the entry one of a secret key, a Macer or a KeyWrapper, that checks MACs instead
	// of signatures. Whoever holds it can also make them. Nil for a public key.
	Secret Secret

	// Groups are the names a Policy may ask for, such as "author" or "release". May be empty.
	Groups []string

	// Revoked keeps the key known, so that its signatures are reported as ErrKeyRevoked and never
	// count. It revokes the public key, under whatever other name the set lists it.
	Revoked bool

	parsed parsedKey // what a KeySet knows about Key
}

// parsedKey is a public key and what its Public returns, which nobody changes.
type parsedKey struct {
	key    Key
	public crypto.PublicKey
}

// VerifyRaw is Key.VerifyRaw. It is faster for the entries of a KeySet, which has parsed the key once.
func (e Entry) VerifyRaw(message, sig []byte) error {
	if e.parsed.key.IsZero() || e.parsed.key != e.Key {
		return e.Key.VerifyRaw(message, sig)
	}
	return e.Key.verifyRaw(e.parsed.public, message, sig)
}

// In reports whether the entry belongs to group; every entry belongs to "".
func (e Entry) In(group string) bool { return group == "" || slices.Contains(e.Groups, group) }

func (e Entry) clone() Entry {
	e.KID = bytes.Clone(e.KID)
	e.Groups = slices.Clone(e.Groups)
	return e
}

// KeySet is an immutable set of trusted keys, safe for concurrent use.
type KeySet struct{ entries []Entry }

// NewKeySet copies and checks entries. One public key may stand under several key ids (it
// counts once), and several keys under one key id (each is tried). An empty set, the zero
// Key, an empty non-nil KID, the same key twice under one key id, and a Secret that does not
// go with its Key are ErrPolicy; more than MaxCandidates entries or a KID above MaxKIDSize are ErrLimit.
// A Macer whose secret is the encoding of a public key of the set is ErrAlgorithm: everybody knows it.
func NewKeySet(entries ...Entry) (*KeySet, error) {
	if len(entries) == 0 {
		return nil, fmt.Errorf("key set without keys: %w", ErrPolicy)
	}
	if len(entries) > MaxCandidates {
		return nil, fmt.Errorf("key set of %d keys, expected at most %d: %w", len(entries), MaxCandidates, ErrLimit)
	}
	s := &KeySet{entries: make([]Entry, 0, len(entries))}
	revoked := make(map[Key]bool)
	for i, e := range entries {
		if e.Secret != nil && e.Key.IsZero() {
			e.Key = e.Secret.Key()
		}
		if err := s.check(e); err != nil {
			return nil, fmt.Errorf("key set entry %d: %w", i, err)
		}
		if e.Key.Type() == P256 { // the others are quick to parse, or big when they are
			e.parsed = parsedKey{e.Key, e.Key.Public()}
		}
		s.entries = append(s.entries, e.clone())
		revoked[e.Key] = revoked[e.Key] || e.Revoked
	}
	for i := range s.entries {
		s.entries[i].Revoked = revoked[s.entries[i].Key]
	}
	if err := s.checkConfusion(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *KeySet) check(e Entry) error {
	switch {
	case e.Key.IsZero():
		return fmt.Errorf("no key: %w", ErrPolicy)
	case e.KID != nil && len(e.KID) == 0:
		return fmt.Errorf("empty key id (nil means none): %w", ErrPolicy)
	case len(e.KID) > MaxKIDSize:
		return fmt.Errorf("key id of %d bytes, expected at most %d: %w", len(e.KID), MaxKIDSize, ErrLimit)
	}
	if err := checkSecret(e); err != nil {
		return err
	}
	for _, old := range s.entries {
		if old.Key == e.Key && bytes.Equal(old.KID, e.KID) {
			return fmt.Errorf("%v listed twice under one key id: %w", e.Key, ErrPolicy)
		}
	}
	return nil
}

// Lookup returns the entries a signature with this key id may be by, revoked ones included: all
// entries for nil, otherwise those with exactly this KID, and then those without one; none for an empty one. The result is a
// copy of at most MaxCandidates entries, else in the order given to NewKeySet. A nil KeySet has none.
func (s *KeySet) Lookup(kid []byte) []Entry {
	if s == nil {
		return nil
	}
	var found, nameless []Entry
	for _, e := range s.entries {
		switch {
		case kid == nil || (len(kid) > 0 && bytes.Equal(e.KID, kid)):
			found = append(found, e.clone())
		case e.KID == nil && len(kid) > 0:
			nameless = append(nameless, e.clone())
		}
	}
	return append(found, nameless...)
}

// Group returns the distinct public keys of a group that are not revoked, in set order; "" is every key.
func (s *KeySet) Group(name string) []Key {
	if s == nil {
		return nil
	}
	var keys []Key
	for _, e := range s.entries {
		if e.In(name) && !e.Revoked && !slices.Contains(keys, e.Key) {
			keys = append(keys, e.Key)
		}
	}
	return keys
}

// Len returns the number of entries, 0 for nil.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.entries)
}
