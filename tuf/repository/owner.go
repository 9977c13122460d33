// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/tuf"
)

// owners says who is trusted with a target path, as far as metadata that was read says so, the superseded one included. What a role names
// besides is not its own: a delegate could otherwise name a file of somebody else that is not published yet, name it no longer, and so have it collected.
type owners struct {
	ways map[tuf.Role][]way // by the role that is trusted
	bins map[bins]bool
	seen map[[sha256.Size]byte]bool // delegations objects
}

// way is one delegation.
type way struct {
	from            tuf.Role
	paths, prefixes []string
}

// bins is a delegation to succinct roles.
type bins struct {
	from   tuf.Role
	prefix string
	bits   int
}

func newOwners() owners {
	return owners{map[tuf.Role][]way{}, map[bins]bool{}, map[[sha256.Size]byte]bool{}}
}

// note takes the delegations of a role.
func (o owners) note(from tuf.Role, delegations []byte) error {
	key := sha256.Sum256(append([]byte(string(from)+"\x00"), delegations...))
	if o.seen[key] {
		return nil
	}
	o.seen[key] = true
	var d map[string]json.RawMessage // maps, as in collector.targets
	if err := json.Unmarshal(delegations, &d); err != nil {
		return err
	}
	var roles []map[string]json.RawMessage
	if err := optional(d["roles"], &roles); err != nil {
		return err
	}
	for _, r := range roles {
		var name string
		w := way{from: from}
		for member, v := range map[string]any{"name": &name, "paths": &w.paths, "path_hash_prefixes": &w.prefixes} {
			if err := optional(r[member], v); err != nil {
				return err
			}
		}
		o.ways[tuf.Role(name)] = append(o.ways[tuf.Role(name)], w)
	}
	var succinct map[string]json.RawMessage
	if err := optional(d["succinct_roles"], &succinct); err != nil || succinct == nil {
		return err
	}
	b := bins{from: from}
	for member, v := range map[string]any{"name_prefix": &b.prefix, "bit_length": &b.bits} {
		if err := optional(succinct[member], v); err != nil {
			return err
		}
	}
	if b.bits >= 1 && b.bits <= tuf.MaxBinBits {
		o.bins[b] = true
	}
	return nil
}

func optional(data json.RawMessage, v any) error {
	if data == nil {
		return nil
	}
	return json.Unmarshal(data, v)
}

// owns reports whether the role that refers to a file is trusted with it: whether delegations for it lead there from the top-level role.
func (o owners) owns(r reference) bool {
	seen := map[tuf.Role]bool{r.role: true}
	for todo := []tuf.Role{r.role}; len(todo) > 0; todo = todo[1:] {
		if todo[0] == tuf.RoleTargets {
			return true
		}
		for _, from := range o.above(todo[0], r) {
			if !seen[from] {
				seen[from] = true
				todo = append(todo, from)
			}
		}
	}
	return false
}

// above is who trusts a role with the file.
func (o owners) above(role tuf.Role, r reference) (list []tuf.Role) {
	for _, w := range o.ways[role] {
		if w.matches(r) {
			list = append(list, w.from)
		}
	}
	for b := range o.bins {
		if b.matches(role, r) {
			list = append(list, b.from)
		}
	}
	return list
}

// matches reports whether the delegation is for a target path, or for target paths like a payload's name. Where roles divide paths by their hash
// they are parts of who delegates, and share the payloads.
func (w way) matches(r reference) bool {
	if len(w.prefixes) == 0 {
		return slices.ContainsFunc(w.paths, func(pattern string) bool { return tuf.MatchPath(pattern, r.name) })
	}
	if r.payload {
		return true
	}
	sum := sha256.Sum256([]byte(r.name))
	digest := hex.EncodeToString(sum[:])
	return slices.ContainsFunc(w.prefixes, func(prefix string) bool { return strings.HasPrefix(digest, prefix) })
}

func (b bins) matches(role tuf.Role, r reference) bool {
	digits, ok := strings.CutPrefix(string(role), b.prefix+"-")
	n, err := strconv.ParseUint(digits, 16, 32)
	if !ok || err != nil || tuf.BinName(b.prefix, b.bits, uint32(n)) != string(role) {
		return false
	}
	sum := sha256.Sum256([]byte(r.name))
	return r.payload || uint64(binary.BigEndian.Uint32(sum[:])>>(32-b.bits)) == n
}
