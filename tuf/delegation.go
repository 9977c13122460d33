// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxRoleName is the longest name of a delegated role, in bytes.
const MaxRoleName = 255

// Delegation is one entry of targets metadata that trusts another role with some target paths. It is immutable.
//
// TUF 1.0.34, section 4.5, DELEGATIONS.
type Delegation struct {
	name        string
	signers     *roleKeys
	paths       []string
	prefixes    []string
	terminating bool
}

// Name is the delegated role. It is the signer's text, any characters of it: never a path.
func (d Delegation) Name() string { return d.name }

// Terminating reports whether no later delegation is looked at once this one matches a target path.
func (d Delegation) Terminating() bool { return d.terminating }

// Matches reports whether the role is trusted with a target path: whether one of its path patterns matches, or one of its
// path_hash_prefixes begins the SHA-256 of the path in lower-case hexadecimal. A delegation that lists neither matches nothing.
func (d Delegation) Matches(target string) bool {
	if slices.ContainsFunc(d.paths, func(pattern string) bool { return MatchPath(pattern, target) }) {
		return true
	}
	if len(d.prefixes) == 0 {
		return false
	}
	sum := sha256.Sum256([]byte(target))
	digest := hex.EncodeToString(sum[:])
	return slices.ContainsFunc(d.prefixes, func(prefix string) bool { return strings.HasPrefix(digest, prefix) })
}

// MatchPath reports whether a PATHPATTERN matches a target path: both have equally many elements between slashes, and each matches
// its counterpart, where * stands for any characters and ? for one. Every other character, brackets and backslashes among them, stands for
// itself, on every system, in either case of letters.
func MatchPath(pattern, target string) bool {
	for {
		p, moreP := cutElement(&pattern)
		t, moreT := cutElement(&target)
		if moreP != moreT || !matchElement(p, t) {
			return false
		}
		if !moreP {
			return true
		}
	}
}

func cutElement(s *string) (element string, more bool) {
	element, *s, more = strings.Cut(*s, "/")
	return element, more
}

// matchElement goes back to the last * only, so its cost is at most the product of the two lengths.
func matchElement(pattern, s string) bool {
	star, retry := -1, ""
	for p := 0; ; {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, retry = p, s
			continue
		}
		if s == "" && p == len(pattern) {
			return true
		}
		if p < len(pattern) && s != "" {
			_, n := utf8.DecodeRuneInString(s)
			if pattern[p] == '?' {
				p, s = p+1, s[n:]
				continue
			}
			if pattern[p] == s[0] {
				p, s = p+1, s[1:]
				continue
			}
		}
		if star < 0 || retry == "" {
			return false
		}
		_, n := utf8.DecodeRuneInString(retry)
		retry = retry[n:]
		p, s = star, retry
	}
}

// delegations is the DELEGATIONS object: roles by name, or bins.
type delegations struct {
	roles []Delegation
	bins  *bins
}

// matching returns the delegations for a target path, in the order in which they are to be searched.
func (d delegations) matching(target string) []Delegation {
	if d.bins != nil {
		return []Delegation{d.bins.of(target)}
	}
	var list []Delegation
	for _, role := range d.roles {
		if role.Matches(target) {
			list = append(list, role)
		}
	}
	return list
}

// Delegations returns the roles that t trusts with a target path, in the order of the list.
func (t *Targets) Delegations(target string) []Delegation { return t.delegations.matching(target) }

// Delegation returns the delegation to a role, if t has one. A bin of succinct_roles counts as one.
func (t *Targets) Delegation(role string) (Delegation, bool) {
	if b := t.delegations.bins; b != nil {
		digits, ok := strings.CutPrefix(role, b.prefix+"-")
		n, err := strconv.ParseUint(digits, 16, 32)
		if !ok || err != nil || n>>b.bits != 0 || BinName(b.prefix, b.bits, uint32(n)) != role {
			return Delegation{}, false
		}
		return Delegation{name: role, signers: b.signers}, true
	}
	i := slices.IndexFunc(t.delegations.roles, func(d Delegation) bool { return d.name == role })
	if i < 0 {
		return Delegation{}, false
	}
	return t.delegations.roles[i], true
}

// DelegatedRoles returns the names of the roles that t lists one by one; nil if it has succinct_roles.
func (t *Targets) DelegatedRoles() []string {
	var names []string
	for _, d := range t.delegations.roles {
		names = append(names, d.name)
	}
	return names
}

// Keys returns the distinct public keys that can sign for the role, and how many must.
func (d Delegation) Keys() (keys []Key, threshold int) {
	if d.signers == nil {
		return nil, 0
	}
	return d.signers.distinct(), int(min(d.signers.threshold, math.MaxInt32))
}

// bins is succinct_roles (TAP 15): 2^bits roles that share keys and threshold.
type bins struct {
	signers *roleKeys
	bits    int
	prefix  string
}

// of returns the bin for a target path: its number is the first bits of the path's SHA-256.
func (b *bins) of(target string) Delegation {
	sum := sha256.Sum256([]byte(target))
	return Delegation{name: BinName(b.prefix, b.bits, binary.BigEndian.Uint32(sum[:])>>(32-b.bits)), signers: b.signers}
}

// MaxBinBits is the largest bit_length of succinct_roles.
const MaxBinBits = 32

// BinName is the name of one of the 2^bits roles of succinct_roles: the prefix, a hyphen and the number in hexadecimal, as long
// as the largest number is.
func BinName(prefix string, bits int, number uint32) string {
	return fmt.Sprintf("%s-%0*x", prefix, (bits+3)/4, number)
}

// CheckRoleName returns ErrDelegation unless name can be a delegated role's: not empty, at most MaxRoleName bytes, and none of the four top-level roles.
func CheckRoleName(name string) error {
	switch {
	case name == "" || len(name) > MaxRoleName:
		return fmt.Errorf("%w: role name of %d bytes, 1 to %d expected", ErrDelegation, len(name), MaxRoleName)
	case Role(name).topLevel():
		return fmt.Errorf("%w: %q is a top-level role", ErrDelegation, name)
	}
	return nil
}

func parseDelegations(v value) (d delegations, err error) {
	if err := v.object("delegations"); err != nil {
		return d, err
	}
	var roles, succinct value
	keys := map[string]Key{}
	for name, v := range v.members() {
		switch name {
		case "keys":
			keys, err = parseKeys(v)
		case "roles":
			if roles = v; !v.is('[') {
				err = malformed("delegations: roles: array expected")
			}
		case "succinct_roles":
			succinct = v
		}
		if err != nil {
			return d, err
		}
	}
	if roles != nil && succinct != nil {
		return d, malformed("delegations: roles or succinct_roles expected, seen both")
	}
	if succinct != nil {
		d.bins, err = parseBins(succinct, keys)
		return d, err
	}
	names := make(map[string]bool)
	for v := range roles.elements() {
		role, err := parseDelegation(v, keys)
		if err != nil {
			return d, err
		}
		if names[role.name] {
			return d, malformed("delegations: role %.60q given twice", role.name)
		}
		names[role.name] = true
		d.roles = append(d.roles, role)
	}
	return d, nil
}

func parseDelegation(v value, keys map[string]Key) (d Delegation, err error) {
	if d.signers, err = parseRoleKeys("delegation", v, keys); err != nil {
		return d, err
	}
	listed := 0
	for name, v := range v.members() {
		switch name {
		case "name":
			d.name, err = v.text("delegation name")
		case "terminating":
			if string(v) != "true" && string(v) != "false" {
				err = malformed("terminating: boolean expected")
			}
			d.terminating = string(v) == "true"
		case "paths":
			listed++
			d.paths, err = v.texts(name)
		case "path_hash_prefixes":
			listed++
			d.prefixes, err = v.texts(name)
		}
		if err != nil {
			return d, err
		}
	}
	if listed > 1 {
		return d, malformed("delegation to %.60q: paths or path_hash_prefixes expected, seen both", d.name)
	}
	if err := CheckRoleName(d.name); err != nil {
		return d, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return d, nil
}

func parseBins(v value, keys map[string]Key) (*bins, error) {
	signers, err := parseRoleKeys("succinct_roles", v, keys)
	if err != nil {
		return nil, err
	}
	b := &bins{signers: signers}
	for name, v := range v.members() {
		switch name {
		case "bit_length":
			var n int64
			if n, err = v.integer(name, 1); err == nil && n > MaxBinBits {
				err = malformed("bit_length: 1 to %d expected, seen %d", MaxBinBits, n)
			}
			b.bits = int(min(n, MaxBinBits))
		case "name_prefix":
			b.prefix, err = v.text(name)
		}
		if err != nil {
			return nil, err
		}
	}
	if b.bits == 0 || b.prefix == "" || len(b.prefix) > MaxRoleName-9 {
		return nil, malformed("succinct_roles: bit_length and a name_prefix of 1 to %d bytes expected", MaxRoleName-9)
	}
	return b, nil
}
