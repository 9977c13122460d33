// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/verify"
)

// The classes of refusal, one per attack where the specification names one. They are matched with errors.Is; the
// error returned is usually a *RoleError around one of them.
var (
	// ErrThreshold: fewer distinct trusted keys signed than the role demands (arbitrary software attack). It wraps
	// verify.ErrThreshold.
	ErrThreshold = fmt.Errorf("threshold of signatures not met: %w", verify.ErrThreshold)

	// ErrRollback: a version older than the trusted one, a root that is not exactly the next, or a role that vanished
	// from the snapshot.
	ErrRollback = errors.New("rollback attack")

	// ErrFreeze: metadata that is no longer valid at the update's start time (indefinite freeze attack). It wraps
	// verify.ErrExpired.
	ErrFreeze = fmt.Errorf("freeze attack: %w", verify.ErrExpired)

	// ErrMixAndMatch: metadata that is not the one its parent lists, by length, hash or version.
	ErrMixAndMatch = errors.New("mix-and-match attack")

	// ErrLength: longer than the limit or the listed length (endless data attack), or shorter than listed.
	ErrLength = errors.New("wrong length")

	// ErrHash: a digest differs from the listed one, or none of the listed digests is of a known algorithm.
	ErrHash = errors.New("wrong hash")

	// ErrMalformed: not strict JSON, or not the shape the specification gives the role. It wraps verify.ErrMalformed.
	ErrMalformed = fmt.Errorf("metadata %w", verify.ErrMalformed)

	// ErrTargetUnknown: the trusted targets metadata does not list the target.
	ErrTargetUnknown = errors.New("target unknown")

	// ErrDelegation: a delegated role that is not followed: its name is unusable, the snapshot does not list it, or the search
	// reached a limit.
	ErrDelegation = errors.New("delegation not followed")

	// ErrPath: a target path that is not a clean relative slash-separated path.
	ErrPath = errors.New("unsafe target path")

	// ErrCache: the client's durable cache cannot be used: it cannot be read or written, another process holds it, or
	// the trusted root it once held is lost and the repository does not offer it.
	ErrCache = errors.New("cache")

	// ErrSlowRetrieval: the transport gave up on a repository that delivered too slowly (slow retrieval attack).
	ErrSlowRetrieval = errors.New("slow retrieval")

	// ErrTransport: a file could not be obtained for another reason; trying again later may help.
	ErrTransport = errors.New("transport")
)

// RoleError says which role's metadata was refused. Version is the version at hand, 0 where it is not known.
type RoleError struct {
	Role    Role
	Version int64
	Err     error
}

// Error names the role, the version if known, and the cause.
func (e *RoleError) Error() string {
	name := string(e.Role)
	if !e.Role.topLevel() {
		name = fmt.Sprintf("delegated role %.80q", name)
	}
	if e.Version > 0 {
		return fmt.Sprintf("%s version %d: %v", name, e.Version, e.Err)
	}
	return fmt.Sprintf("%s: %v", name, e.Err)
}

// Unwrap returns the cause.
func (e *RoleError) Unwrap() error { return e.Err }

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
