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
//
// A copy is two accesses: to the component that it changes and, with Source, to the one that it reads. A swap
// changes both components, and is two without Source. Where another manifest has set suit-parameter-source-component than the one
// whose command it is, the access to the source is asked for both, each with its own Evidence: neither lends the other its rights.
type Access struct {
	Evidence   verify.Evidence // who has signed the manifest
	Component  manifest.ComponentID
	Command    manifest.Code
	Parameters []manifest.ParameterKey // set by Command, or with Source read by copy-params, ascending; nil if none
	Source     bool                    // Component is only read: by copy its content, by copy-params its Parameters
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
	Commands   []manifest.Code         // to change the component with; nil: all, and to read it
	Parameters []manifest.ParameterKey // to set or to read; nil: all
	Source     bool                    // to read it only, whatever Commands says: see Access
}

// Check returns nil if a grant covers all of a.
func (acl ACL) Check(a Access) error {
	for i := range acl {
		if acl[i].covers(a) {
			return nil
		}
	}
	preposition := "on"
	if a.Source {
		preposition = "from"
	}
	return fmt.Errorf("%w: %v %s %v is not granted to who signed the manifest", verify.ErrPolicy, a.Command, preposition, a.Component)
}

func (g *Grant) covers(a Access) bool {
	if len(a.Evidence.Keys(g.Group)) == 0 || len(g.Prefix) > len(a.Component) || !g.Prefix.Equal(a.Component[:len(g.Prefix)]) {
		return false
	}
	switch {
	case g.Source && !a.Source:
		return false
	case !g.Source && g.Commands != nil && (a.Source || !slices.Contains(g.Commands, a.Command)):
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
	if code.IsCondition() && keys == nil {
		return nil
	}
	return u.allowTarget(u.targets[c], code, keys, source)
}

// allowTarget asks about a component that u perhaps does not name itself.
func (u *unit) allowTarget(t *target, code manifest.Code, keys []manifest.ParameterKey, source bool) error {
	control := u.p.o.Access
	if control == nil {
		return nil
	}
	return control.Check(Access{Evidence: u.v.Evidence(), Component: cloneID(t.id), Command: code, Parameters: keys, Source: source})
}
