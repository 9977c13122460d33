// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/firmament-dev/firmament/tuf"
)

// payload is what a signer is shown: every member of the signed part, those without a meaning included.
type payload struct {
	Type        string
	Version     int64
	Expires     time.Time
	Targets     map[string]payloadTarget
	Delegations payloadDelegations

	root      *tuf.Root // of the type root
	rootKeys  map[string]payloadKey
	rootRoles map[string]payloadRole
	other     others
}

type payloadTarget struct {
	length int64
	hashes payloadHashes
	custom json.RawMessage
	other  others
}

type payloadHashes map[string]string

// knownHashes are those that clients compare.
var knownHashes = []string{"sha256", "sha384", "sha512"}

type payloadDelegations struct {
	keys     map[string]payloadKey
	roles    []payloadRole
	succinct *payloadBins
	other    others
}

type payloadKey struct {
	text  json.RawMessage
	key   tuf.Key // zero if it is of a kind that clients do not know
	other others
}

type payloadRole struct {
	name            string
	paths, prefixes []string
	terminating     bool
	signers
}

type payloadBins struct {
	prefix string
	bits   int
	signers
}

// signers is who signs for a role.
type signers struct {
	ids       []string
	threshold int
	keys      []tuf.Key // the distinct ones that clients know
	other     others
}

// others are members that have no meaning to clients of this project.
type others map[string]json.RawMessage

func (o others) String() string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(o)) {
		text += fmt.Sprintf(", also %s: %s", quoted(name), quoted(string(compact(o[name]))))
	}
	return text
}

// maxText is how many characters of a text are shown.
const maxText = 200

// quoted is a text of the signer's as it can be printed, no two alike: what is longer than maxText ends with its digest.
func quoted(text string) string {
	if utf8.RuneCountInString(text) <= maxText {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%.*q... (%d bytes, SHA-256 %x)", maxText, text, len(text), sha256.Sum256([]byte(text)))
}

func quotedAll(texts []string) string {
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = quoted(text)
	}
	return "[" + strings.Join(list, " ") + "]"
}

func compact(text json.RawMessage) []byte {
	if canonical, err := tuf.Canonical(text); err == nil {
		return canonical
	}
	return text
}

var (
	errPayload = errors.New("not the signed part of metadata of root or targets")
	errFolded  = errors.New("member that some readers take for another")
)

// readPayload reads the signed part of metadata as clients do.
func readPayload(data []byte) (*payload, error) {
	p := new(payload)
	if _, err := members(data, map[string]any{"_type": &p.Type}); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	known := map[string]any{"_type": nil, "spec_version": nil, "version": &p.Version, "expires": &p.Expires}
	var err error
	switch tuf.Role(p.Type) {
	case tuf.RoleRoot:
		known["keys"], known["roles"], known["consistent_snapshot"] = &p.rootKeys, &p.rootRoles, nil
		p.root, err = tuf.InspectRoot(data)
	case tuf.RoleTargets:
		known["targets"], known["delegations"] = &p.Targets, &p.Delegations
	default:
		return nil, errPayload
	}
	if err == nil {
		p.other, err = members(data, known)
	}
	if err == nil && p.Version < 1 {
		err = fmt.Errorf("version %d", p.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	return p, nil
}

// readPublished reads a metadata file. It is only shown, not believed.
func readPublished(file []byte) (*payload, error) {
	var signed json.RawMessage
	if _, err := members(file, map[string]any{"signed": &signed}); err != nil {
		return nil, err
	}
	canonical, err := tuf.Canonical(signed)
	if err != nil {
		return nil, err
	}
	return readPayload(canonical)
}

// members reads the members of an object that have a meaning, each into its place, and returns the others. A name is exactly itself, as it is to clients; to
// encoding/json "Targets" and "targetſ" are "targets", too, so what has such a member is not signed.
func members(data []byte, known map[string]any) (other others, err error) {
	if err := json.Unmarshal(data, &other); err != nil {
		return nil, err
	}
	if other == nil {
		return nil, errors.New("null where an object is expected")
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		into, ok := known[name]
		if !ok {
			for meant := range known {
				if strings.EqualFold(name, meant) {
					return nil, fmt.Errorf("%w: %.60q, not %q", errFolded, name, meant)
				}
			}
			continue
		}
		if bytes.Equal(other[name], []byte("null")) {
			return nil, fmt.Errorf("%s: null", name)
		}
		if into != nil {
			if err := json.Unmarshal(other[name], into); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		delete(other, name)
	}
	return other, nil
}

// UnmarshalJSON reads an entry of the targets.
func (t *payloadTarget) UnmarshalJSON(data []byte) (err error) {
	t.other, err = members(data, map[string]any{"length": &t.length, "hashes": &t.hashes, "custom": &t.custom})
	return err
}

// UnmarshalJSON reads digests, those of unknown algorithms included.
func (h *payloadHashes) UnmarshalJSON(data []byte) error {
	known := map[string]any{}
	for _, name := range knownHashes {
		known[name] = nil
	}
	if _, err := members(data, known); err != nil {
		return err
	}
	return json.Unmarshal(data, (*map[string]string)(h))
}

// UnmarshalJSON reads delegations and finds the keys of their roles.
func (d *payloadDelegations) UnmarshalJSON(data []byte) (err error) {
	if d.other, err = members(data, map[string]any{"keys": &d.keys, "roles": &d.roles, "succinct_roles": &d.succinct}); err != nil {
		return err
	}
	for i := range d.roles {
		d.roles[i].find(d.keys)
	}
	if d.succinct != nil {
		d.succinct.find(d.keys)
	}
	return nil
}

func (s *signers) find(keys map[string]payloadKey) {
	for _, id := range s.ids {
		if k := keys[id].key; k != (tuf.Key{}) && !slices.Contains(s.keys, k) {
			s.keys = append(s.keys, k)
		}
	}
}

// UnmarshalJSON reads a key, by way of a root that lists it: so it is the one that clients find there.
func (k *payloadKey) UnmarshalJSON(data []byte) (err error) {
	k.text = bytes.Clone(data)
	var value json.RawMessage
	k.other, err = members(data, map[string]any{"keytype": nil, "scheme": nil, "keyval": &value})
	if err == nil && value != nil {
		_, err = members(value, map[string]any{"public": nil})
	}
	if err != nil {
		return err
	}
	roles := map[tuf.Role]any{}
	for _, role := range topRoles {
		roles[role] = map[string]any{"keyids": []string{"k"}, "threshold": 1}
	}
	text, err := json.Marshal(map[string]any{
		"_type": tuf.RoleRoot, "spec_version": "1.0.34", "version": 1, "expires": "2000-01-01T00:00:00Z", "consistent_snapshot": true,
		"keys": map[string]json.RawMessage{"k": data}, "roles": roles,
	})
	if err != nil {
		return err
	}
	root, err := tuf.InspectRoot(text)
	if err != nil {
		return err
	}
	for _, key := range root.Keys(tuf.RoleRoot) {
		k.key = key
	}
	return nil
}

// UnmarshalJSON reads a delegation, or a role of a root.
func (d *payloadRole) UnmarshalJSON(data []byte) (err error) {
	d.other, err = members(data, map[string]any{
		"name": &d.name, "paths": &d.paths, "path_hash_prefixes": &d.prefixes, "terminating": &d.terminating, "keyids": &d.ids, "threshold": &d.threshold,
	})
	return err
}

// UnmarshalJSON reads succinct_roles.
func (b *payloadBins) UnmarshalJSON(data []byte) (err error) {
	b.other, err = members(data, map[string]any{"name_prefix": &b.prefix, "bit_length": &b.bits, "keyids": &b.ids, "threshold": &b.threshold})
	if err == nil && (b.bits < 1 || b.bits > tuf.MaxBinBits) {
		err = fmt.Errorf("bit_length: %d", b.bits)
	}
	return err
}
