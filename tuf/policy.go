// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"fmt"
	"maps"
	"slices"
)

// Policy is what a device demands of signatures by its own configuration, beside the thresholds that metadata states. It can only
// refuse more. The zero Policy demands nothing.
//
// It is how hybrid signatures are enforced. A root that lists an Ed25519 and an ML-DSA-65 key with threshold 2 is safe as long as one of the
// two schemes is; but a root with threshold 1, or a rotation to two keys of the broken scheme, would undo that. With
//
//	Policy{Groups: map[Role][]Group{RoleRoot: {{SchemeEd25519, SchemeP256}, {SchemeMLDSA65}}}}
//
// every root, the provisioned one included, needs a valid signature of each kind.
type Policy struct {
	// Groups lists for a role the groups of which each must have signed: one of its keys, in one of the group's schemes.
	Groups map[Role][]Group

	// Delegated is the same for every delegated role that is not in Groups.
	Delegated []Group
}

// Group is a set of schemes, such as SchemeEd25519.
type Group []string

// of returns the groups for a role.
func (p *Policy) of(role Role) []Group {
	if p == nil {
		return nil
	}
	if groups, ok := p.Groups[role]; ok || role.topLevel() {
		return groups
	}
	return p.Delegated
}

// clone is a Policy that the caller cannot change.
func (p Policy) clone() *Policy {
	c := &Policy{Groups: maps.Clone(p.Groups), Delegated: slices.Clone(p.Delegated)}
	for role, groups := range c.Groups {
		c.Groups[role] = slices.Clone(groups)
		for i, group := range groups {
			c.Groups[role][i] = slices.Clone(group)
		}
	}
	for i, group := range c.Delegated {
		c.Delegated[i] = slices.Clone(group)
	}
	return c
}

// under is k with the groups that p demands of the role.
func (k *roleKeys) under(p *Policy, role Role) *roleKeys {
	if k == nil || len(p.of(role)) == 0 {
		return k
	}
	c := *k
	c.groups = p.of(role)
	return &c
}

// judge is the verdict on the distinct keys that signed.
func (k *roleKeys) judge(signers map[Key]bool) error {
	if int64(len(signers)) < k.threshold {
		return fmt.Errorf("%w: %d of %d keys signed", ErrThreshold, len(signers), k.threshold)
	}
	for _, group := range k.groups {
		signed := false
		for key := range signers {
			signed = signed || slices.Contains(group, key.scheme)
		}
		if !signed {
			return fmt.Errorf("%w: no key signed in one of the schemes %q that local policy demands", ErrThreshold, []string(group))
		}
	}
	return nil
}
