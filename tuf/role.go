// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"strings"
	"time"
)

// Role names a role as metadata spells it: one of the four top-level roles ("_type" and the keys of "roles"), or a delegated
// role, whose name is any text of its delegator's.
type Role string

// The top-level roles, in the order in which a client updates them.
const (
	RoleRoot      Role = "root"
	RoleTimestamp Role = "timestamp"
	RoleSnapshot  Role = "snapshot"
	RoleTargets   Role = "targets"
)

// Filename is the role's METAPATH: its name followed by ".json".
func (r Role) Filename() string { return string(r) + ".json" }

func (r Role) topLevel() bool {
	return r == RoleRoot || r == RoleTimestamp || r == RoleSnapshot || r == RoleTargets
}

// header is what every role's signed part has in common.
type header struct {
	version int64
	expires time.Time
}

// Version is the metadata's version number, at least 1.
func (h header) Version() int64 { return h.version }

// Expires is the first instant at which the metadata is no longer valid.
func (h header) Expires() time.Time { return h.expires }

// CheckFresh returns ErrFreeze unless at is before the expiry; at the expiry itself the metadata is already stale
// (section 5: the expiration must be higher than the update start time).
func (h header) CheckFresh(at time.Time) error {
	if at.Before(h.expires) {
		return nil
	}
	return freeze(h.expires, at)
}

// parseHeader reads the members that all roles share and hands every other one to rest.
func parseHeader(signed value, role Role, rest func(name string, v value) error) (h header, err error) {
	if err := signed.object("signed"); err != nil {
		return h, err
	}
	var kind, spec string
	for name, v := range signed.members() {
		switch name {
		case "_type":
			kind, err = v.text(name)
		case "spec_version":
			spec, err = v.text(name)
		case "version":
			h.version, err = v.integer(name, 1)
		case "expires":
			h.expires, err = v.time(name)
		default:
			err = rest(name, v)
		}
		if err != nil {
			return h, err
		}
	}
	switch {
	case kind != string(role):
		return h, malformed("_type: %q expected, seen %.30q", role, kind)
	case spec != "1" && !strings.HasPrefix(spec, "1."):
		return h, malformed("spec_version: 1.x expected, seen %.30q", spec)
	case h.version == 0:
		return h, malformed("version: missing")
	case h.expires.IsZero():
		return h, malformed("expires: missing")
	}
	return h, nil
}
