// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// ErrIncomplete means that the signers at hand are too few for a role.
var ErrIncomplete = errors.New("signers missing")

// ErrExists means that a file which must not change is there with other content, or that Create found a repository.
var ErrExists = errors.New("exists already")

// roles in the order in which they are written.
var roles = []tuf.Role{tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp}

// Options says who signs and for how long. Signers is required; for Create each role needs at least its threshold of
// them, for Open only the roles that will be written.
type Options struct {
	// Signers are who signs for each role.
	//
	// Delegated roles stand beside the top-level ones, under their names. All bins of a Bins have the signers of its prefix.
	Signers map[tuf.Role][]verify.Signer

	// Keys are further signers. Each signs for the roles of an existing repository whose keys include its own, and for no other.
	Keys []verify.Signer

	// Thresholds are for Create: how many must sign, 1 where absent.
	Thresholds map[tuf.Role]int

	// Expiry is how long a signature is good for; where absent: root 365 days, targets and delegated roles 90, snapshot 14, timestamp 2.
	Expiry map[tuf.Role]time.Duration

	// Jitter is how much earlier than usual Refresh signs a role, 0 if nil. Random numbers spread the work of many bins over time.
	Jitter func(tuf.Role) time.Duration

	// Now is the publisher's clock, time.Now if nil.
	Now func() time.Time
}

var defaultExpiry = map[tuf.Role]time.Duration{
	tuf.RoleRoot: 365 * 24 * time.Hour, tuf.RoleTargets: 90 * 24 * time.Hour,
	tuf.RoleSnapshot: 14 * 24 * time.Hour, tuf.RoleTimestamp: 2 * 24 * time.Hour,
}

// complete returns a copy of o with the defaults filled in.
func (o Options) complete() (Options, error) {
	signers, expiry := make(map[tuf.Role][]verify.Signer), maps.Clone(defaultExpiry)
	for role, list := range o.Signers {
		if slices.Contains(list, nil) {
			return o, fmt.Errorf("signers of role %q: nil signer", role)
		}
		if err := checkRole(role); err != nil {
			return o, err
		}
		signers[role] = slices.Clone(list)
	}
	for role, d := range o.Expiry {
		if d < time.Second {
			return o, fmt.Errorf("expiry of role %q: %v: at least a second expected", role, d)
		}
		if err := checkRole(role); err != nil {
			return o, err
		}
		expiry[role] = d
	}
	if slices.Contains(o.Keys, nil) {
		return o, errors.New("nil signer among the keys")
	}
	o.Signers, o.Expiry, o.Keys = signers, expiry, slices.Clone(o.Keys)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

// expires is the end of validity of what role signs now, in the whole seconds that metadata can say.
func (o Options) expires(role tuf.Role) time.Time {
	return o.Now().UTC().Add(o.validity(role)).Truncate(time.Second)
}

func (o Options) validity(role tuf.Role) time.Duration {
	if d, ok := o.Expiry[role]; ok {
		return d
	}
	return o.Expiry[tuf.RoleTargets]
}

// signersOf is who may sign for a role, as far as its keys are theirs: its own signers, those of the bins that it is one of, and Keys.
func (o Options) signersOf(role tuf.Role) []verify.Signer {
	list := o.Signers[role]
	if list == nil && isBin(string(role)) {
		list = o.Signers[role[:strings.LastIndexByte(string(role), '-')]]
	}
	return slices.Concat(list, o.Keys)
}

func (o Options) topSigners() map[tuf.Role][]verify.Signer {
	all := make(map[tuf.Role][]verify.Signer)
	for _, role := range roles {
		all[role] = o.signersOf(role)
	}
	return all
}

// canSign reports whether the signers at hand reach the threshold of a delegation.
func (o Options) canSign(d tuf.Delegation) bool {
	keys, threshold := d.Keys()
	have := 0
	for _, key := range keys {
		if slices.ContainsFunc(o.signersOf(tuf.Role(d.Name())), func(s verify.Signer) bool { return keyOf(s) == key }) {
			have++
		}
	}
	return have >= threshold
}

// isBin reports whether a role is called like a bin.
func isBin(role string) bool {
	i := strings.LastIndexByte(role, '-')
	return i > 0 && i < len(role)-1 && strings.Trim(role[i+1:], "0123456789abcdef") == ""
}

// checkRole returns tuf.ErrDelegation unless role is top-level or a name that a delegated role can have here: since it becomes part of
// a file name and of a URL, it is made of ASCII letters, digits, hyphens, underscores and dots, and does not begin with a dot.
func checkRole(role tuf.Role) error {
	if slices.Contains(roles, role) {
		return nil
	}
	if err := tuf.CheckRoleName(string(role)); err != nil {
		return err
	}
	for i, b := range []byte(role) {
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_'
		if !letter && (b != '.' || i == 0) {
			return fmt.Errorf("%w: role name %.60q: letters, digits, hyphen, underscore and dot expected", tuf.ErrDelegation, role)
		}
	}
	return nil
}
