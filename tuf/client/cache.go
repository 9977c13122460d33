// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// cache is the directory. Its methods are called with the lock held.
type cache struct {
	fsys   simfs.FS
	limits Limits
	record *durable.Record // nil until something is to be stored
	tidied bool            // what power cuts left was removed
	state  state
	seq    uint64 // of the record that state was read from
	dirty  bool   // files were written since the record was

	timestamp []byte // the file as it was last read or written here
}

// settleEvery is how much time may pass before it is recorded although no metadata changed.
const settleEvery = 24 * time.Hour

func cacheError(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", tuf.ErrCache, what, err)
}

// lockWait is how long a call waits for another process that uses the cache, lockPoll how often it looks.
const (
	lockWait = 30 * time.Second
	lockPoll = 20 * time.Millisecond
)

// lock takes the lock of the directory, and waits for another process that holds it.
func (c *cache) lock(ctx context.Context) (unlock func() error, err error) {
	end := time.NewTimer(lockWait)
	defer end.Stop()
	for {
		unlock, err := c.tryLock()
		if !errors.Is(err, simfs.ErrBusy) {
			return unlock, err
		}
		poll := time.NewTimer(lockPoll)
		select {
		case <-poll.C:
			continue
		case <-ctx.Done():
			err = errors.Join(err, ctx.Err())
		case <-end.C:
		}
		poll.Stop()
		return nil, err
	}
}

func (c *cache) tryLock() (unlock func() error, err error) {
	l, err := c.fsys.Lock("lock")
	if err != nil {
		return nil, cacheError("lock", err)
	}
	return func() error {
		if err := l.Close(); err != nil {
			return cacheError("unlock", err)
		}
		return nil
	}, nil
}

// open reads the record, and reports whether the directory is still as this process left it after a complete update. It writes nothing: a start
// that finds nothing new costs the medium one sync.
func (c *cache) open() (same bool, err error) {
	if !c.tidied {
		if err := durable.RemoveTemps(c.fsys, "."); err != nil {
			return false, cacheError("remove temporary files", err)
		}
		c.tidied = true
	}
	data, seq, err := durable.LoadRecord(c.fsys, recordName, c.seq)
	if errors.Is(err, durable.ErrCorrupt) {
		if err = c.openRecord(); err != nil {
			return false, cacheError("open state", err)
		}
		data, seq, err = c.record.Load()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		data, seq = nil, 0
	case err != nil:
		return false, cacheError("load state", err)
	}
	timestamp := c.read(tuf.RoleTimestamp.Filename(), tuf.RoleTimestamp)
	if seq == c.seq && seq > 0 && !c.dirty && bytes.Equal(timestamp, c.timestamp) {
		return true, nil
	}
	var next state
	if seq > 0 {
		if next, err = decodeState(data); err != nil {
			return false, cacheError("load state", err)
		}
	}
	c.state, c.seq, c.dirty, c.timestamp = next, seq, false, timestamp
	return false, nil
}

const recordName = "state"

// openRecord opens the record for writing. It starts a new one if both copies of the old one are damaged, which no power cut does. The
// versions and the clock floor in it are then lost; the metadata files still have theirs.
func (c *cache) openRecord() error {
	record, err := durable.OpenRecord(c.fsys, recordName)
	if err == nil {
		_, _, err = record.Load()
	}
	if errors.Is(err, durable.ErrCorrupt) {
		for _, name := range []string{recordName + ".0", recordName + ".1"} {
			if err := c.fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		record, err = durable.OpenRecord(c.fsys, recordName)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c.record = record
	return nil
}

func (c *cache) store(next state) error {
	var err error
	if c.record == nil {
		err = c.openRecord()
	}
	if err == nil {
		err = c.record.Store(next.encode())
	}
	if err != nil {
		c.record = nil // it may be poisoned: open it again
		return cacheError("store state", err)
	}
	c.state, c.dirty = next, false
	_, c.seq, err = c.record.Load()
	if err != nil {
		return cacheError("load state", err)
	}
	return nil
}

// read returns a cached file, nil if there is none or it cannot be read: it is then fetched again.
func (c *cache) read(name string, role tuf.Role) []byte {
	data, err := durable.ReadFile(c.fsys, name, c.limits.of(role))
	if err != nil {
		return nil
	}
	return data
}

// write keeps a verified file. Equal bytes are not written again.
func (c *cache) write(name string, data []byte) error {
	old, err := durable.ReadFile(c.fsys, name, int64(len(data)))
	if err == nil && bytes.Equal(old, data) {
		return nil
	}
	c.dirty = true
	return c.replace(name, data, err)
}

// replace writes a file; err is what reading it led to.
func (c *cache) replace(name string, data []byte, err error) error {
	if errors.Is(err, fs.ErrInvalid) { // no regular file, which a rename might not replace
		_ = c.fsys.Remove(name)
	}
	if err := durable.WriteFile(c.fsys, name, data); err != nil {
		return cacheError("write "+name, err)
	}
	if name == tuf.RoleTimestamp.Filename() {
		c.timestamp = data
	}
	return nil
}

// reachRoot compares the root that the chain led to with the record, and moves the record on. If keys of the timestamp
// or the snapshot role were revoked since, both files and the versions go first (section 5.3.11); the record is what remembers to do that,
// so it follows when they are durably gone.
func (c *cache) reachRoot(root *tuf.Root) error {
	if root.Version() < c.state.Root {
		return cacheError("root", fmt.Errorf("version %d was trusted, the chain ends at %d", c.state.Root, root.Version()))
	}
	if root.Version() == c.state.Root {
		return nil
	}
	next := c.state
	next.Root, next.Keys = root.Version(), make(map[tuf.Role][]verify.Digest)
	revoked := false
	for _, role := range onlineRoles {
		revoked = revoked || root.Revoked(role, c.state.Keys[role])
		for _, key := range root.Keys(role) {
			next.Keys[role] = append(next.Keys[role], key.ID())
		}
	}
	if revoked {
		if err := c.forget(tuf.RoleTimestamp.Filename(), tuf.RoleSnapshot.Filename()); err != nil {
			return err
		}
		next.Floor = tuf.Floor{}
	}
	return c.store(next)
}

func (c *cache) forget(names ...string) error {
	for _, name := range names {
		if err := c.fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return cacheError("remove "+name, err)
		}
	}
	if err := c.fsys.SyncDir("."); err != nil {
		return cacheError("remove", err)
	}
	return nil
}

// settle records a complete update. It writes if metadata changed, else at most once in settleEvery.
func (c *cache) settle(floor tuf.Floor, at time.Time, seen *seen) error {
	next := c.state
	next.Floor, next.Seen = floor, seen
	if at.After(next.Time) {
		next.Time = at.UTC().Truncate(time.Second)
	}
	if c.state.Floor == floor && !c.dirty && next.Time.Sub(c.state.Time) < settleEvery {
		return nil
	}
	return c.store(next)
}
