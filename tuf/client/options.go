// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// Remote delivers files of a repository. It is not trusted. Get returns the whole file called name, which is relative and slash-separated and may
// hold any character that a target path may: a Remote that makes it part of a URL escapes it. In the file name of a delegated role whose
// name has characters that do not belong in a path element, those are percent-escaped already. It reads at most max
// bytes, ends when ctx does, and never waits without limit for a slow server. It is called by one goroutine at a time.
//
// Errors: one that matches fs.ErrNotExist if the file is absent; one with a method TooLong() bool that is true if there
// are more than max bytes; one with a method Timeout() bool that is true if delivery was too slow; any other is taken for network trouble.
type Remote interface {
	Get(ctx context.Context, name string, max int64) ([]byte, error)
}

// Limits bounds what is read from a Remote and from the cache. A field that is 0 has the default in its comment.
type Limits struct {
	Root      int64 // bytes of one root, 512 KiB
	Timestamp int64 // bytes, 16 KiB
	Snapshot  int64 // bytes, 2 MiB
	Targets   int64 // bytes of one role's targets metadata, 8 MiB
	Target    int64 // bytes of a target that Find holds in memory, 1 MiB
	Memory    int64 // bytes of targets metadata that are held in memory, 1 MiB; a longer file is read from the cache in part
	Roots     int   // root rotations in one refresh, 256; the next refresh goes on from there

	Delegations int // delegated roles that the search for one target visits, 32
	Depth       int // delegations from the top-level targets role to one of them, 16
}

// written is when this package was written. No clock that shows an earlier time can be right.
var written = time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)

// Options says what a Client works with. Root, Remote, Storage and Now are required.
type Options struct {
	Root      []byte           // root metadata that the device was provisioned with
	Remote    Remote           // where the repository is
	Storage   Storage          // the cache directory, used by nothing else
	Now       func() time.Time // the device's clock; it may be wrong
	BuildTime time.Time        // when the program was built: the clock cannot be right before; if zero, when this package was written
	Limits    Limits

	// Policy is what the device demands of signatures beside the thresholds that metadata states, such as one in each of two schemes.
	Policy tuf.Policy

	// Mirrors are asked when Remote fails, lies or stalls; whoever failed least often is asked first. What one of them delivered and was
	// verified is kept when the next one takes over.
	Mirrors []Remote

	// Seal, if not nil, is a key of the device's own, such as one in a secure element, that whoever can write Storage does not have. With it, a start
	// does not verify again the targets metadata that an earlier one verified: what it then knew is kept beside the file under a MAC, and what
	// is read of the file is still compared by digest. Without it, every start verifies every signature.
	Seal verify.Macer

	// Floor, if not nil, is raised with each update to a number made of the versions of root and timestamp, so that neither goes back
	// even if the whole cache is lost. It belongs to this Client alone.
	Floor verify.Counter
}

func (o *Options) validate() error {
	switch {
	case len(o.Root) == 0:
		return errors.New("tuf client: no root")
	case o.Remote == nil:
		return errors.New("tuf client: no remote")
	case slices.Contains(o.Mirrors, nil):
		return errors.New("tuf client: a mirror is nil")
	case o.Storage == nil:
		return errors.New("tuf client: no storage")
	case o.Now == nil:
		return fmt.Errorf("tuf client: %w", verify.ErrClock)
	}
	if o.BuildTime.IsZero() {
		o.BuildTime = written
	}
	l := &o.Limits
	for _, field := range []struct {
		value    *int64
		fallback int64
	}{{&l.Root, 512 << 10}, {&l.Timestamp, 16 << 10}, {&l.Snapshot, 2 << 20}, {&l.Targets, 8 << 20}, {&l.Target, 1 << 20}, {&l.Memory, 1 << 20}} {
		if *field.value < 0 {
			return fmt.Errorf("tuf client: negative limit %d", *field.value)
		}
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	for _, field := range []struct {
		value    *int
		fallback int
	}{{&l.Roots, 256}, {&l.Delegations, 32}, {&l.Depth, 16}} {
		if *field.value < 0 {
			return fmt.Errorf("tuf client: negative limit %d", *field.value)
		}
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	return nil
}

func (l Limits) of(role tuf.Role) int64 {
	switch role {
	case tuf.RoleRoot:
		return l.Root
	case tuf.RoleTimestamp:
		return l.Timestamp
	case tuf.RoleSnapshot:
		return l.Snapshot
	}
	return l.Targets
}
