// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Access is what a manifest wants to do with a component. Conditions need no
// permission: every author may ask what a device has.
type Access struct {
	Evidence   verify.Evidence // who has signed the manifest whose command it is
	Component  manifest.ComponentID
	Command    manifest.Code
	Parameters []manifest.ParameterKey // set by Command, ascending; nil if it sets none
	Source     bool                    // Component is what a copy or swap reads from
}

// AccessControl decides about each Access before the first effect of the manifest
// in question. Check returns nil to allow and otherwise an error that wraps verify.ErrPolicy.
// It must not block.
//
// draft-ietf-suit-manifest-37, section 9.
type AccessControl interface {
	Check(a Access) error
}

// ACL allows what one of its grants allows. The empty ACL allows nothing.
type ACL []Grant

// Grant allows the keys of Group to do something with the components below Prefix.
type Grant struct {
	Group      string                  // of verify.Entry; "" is every key that has signed
	Prefix     manifest.ComponentID    // leading parts of the identifier; empty: every component
	Commands   []manifest.Code         // nil: all
	Parameters []manifest.ParameterKey // nil: all
}

// Check returns nil if a grant covers all of a.
func (acl ACL) Check(a Access) error {
	for i := range acl {
		if acl[i].covers(a) {
			return nil
		}
	}
	return fmt.Errorf("%w: %v on %v is not granted to who signed the manifest", verify.ErrPolicy, a.Command, a.Component)
}

func (g *Grant) covers(a Access) bool {
	if len(a.Evidence.Keys(g.Group)) == 0 || len(g.Prefix) > len(a.Component) || !g.Prefix.Equal(a.Component[:len(g.Prefix)]) {
		return false
	}
	if g.Commands != nil && !slices.Contains(g.Commands, a.Command) {
		return false
	}
	for _, k := range a.Parameters {
		if g.Parameters != nil && !slices.Contains(g.Parameters, k) {
			return false
		}
	}
	return true
}

// allow asks the access control, if there is one.
func (u *unit) allow(c int, code manifest.Code, keys []manifest.ParameterKey, source bool) error {
	control := u.p.o.Access
	if control == nil || (code.IsCondition() && keys == nil) {
		return nil
	}
	return control.Check(Access{Evidence: u.v.Evidence(), Component: cloneID(u.targets[c].id), Command: code, Parameters: keys, Source: source})
}
