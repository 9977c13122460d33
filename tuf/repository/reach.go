// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/firmament-dev/firmament/tuf"
)

// Step is one file that a client takes on its way. Err says why it would stop there, nil if it would not.
type Step struct {
	Role    tuf.Role
	Version int64
	Err     error
}

// Reach answers whether a client that holds root version from can follow to root version to: it walks the roots one by one, with the rules of a client,
// and from the newest root on takes timestamp, snapshot and targets at the time of Options. If to is 0 it is the newest root
// that is published. It may be the one that is staged, so that a ceremony can be tried before Complete: what Complete would then sign anew is
// looked at as it is now.
//
// The steps end with the first that fails. err is nil whether a step fails or not; it says that the question could not be answered, for
// example because there is no root of version from (fs.ErrNotExist).
func (r *Repository) Reach(ctx context.Context, from, to int64) (steps []Step, err error) {
	data, err := r.s.read(ctx, tuf.RoleRoot, from)
	if err != nil {
		return nil, fmt.Errorf("reach: root %d: %w", from, err)
	}
	set, err := tuf.NewSet(data)
	if err != nil {
		return nil, fmt.Errorf("reach: root %d: %w", from, err)
	}
	w := &walk{s: r.s, set: set, steps: []Step{{tuf.RoleRoot, from, nil}}}
	if err := w.walk(ctx, to, r.options()); err != nil {
		return nil, fmt.Errorf("reach: %w", err)
	}
	return w.steps, nil
}

type walk struct {
	s     store
	set   *tuf.Set
	steps []Step
}

// step notes one file and reports whether the client goes on.
func (w *walk) step(role tuf.Role, version int64, err error) bool {
	w.steps = append(w.steps, Step{role, version, err})
	return err == nil
}

func (w *walk) walk(ctx context.Context, to int64, o Options) error {
	for {
		version := w.set.Root().Version() + 1
		data, err := w.s.read(ctx, tuf.RoleRoot, version)
		if errors.Is(err, fs.ErrNotExist) {
			if version > to {
				break
			}
			if data, err = w.stagedRoot(ctx, version); errors.Is(err, fs.ErrNotExist) {
				w.step(tuf.RoleRoot, version, err)
				return nil
			}
		} else if err == nil && to != 0 && version > to {
			return nil // older than what is published: it says nothing of the other roles
		}
		if err != nil {
			return err
		}
		if !w.step(tuf.RoleRoot, version, w.set.UpdateRoot(data)) {
			return nil
		}
	}
	at := o.Now()
	if err := w.set.Root().CheckFresh(at); err != nil { // the last one only: section 5.3.10
		w.steps[len(w.steps)-1].Err = &tuf.RoleError{Role: tuf.RoleRoot, Version: w.set.Root().Version(), Err: err}
		return nil
	}
	data, err := w.s.read(ctx, tuf.RoleTimestamp, 0)
	if err != nil {
		return err
	}
	_, err = w.set.UpdateTimestamp(data, at)
	if !w.step(tuf.RoleTimestamp, versionOf(data), err) {
		return nil
	}
	listed := w.set.Timestamp().Snapshot().Version
	data, err = w.s.read(ctx, tuf.RoleSnapshot, listed)
	if err == nil {
		err = w.set.UpdateSnapshot(data, at)
	}
	if !w.step(tuf.RoleSnapshot, listed, err) {
		return nil
	}
	meta, _ := w.set.Snapshot().Meta(tuf.RoleTargets.Filename())
	data, err = w.s.read(ctx, tuf.RoleTargets, meta.Version)
	if err == nil {
		err = w.set.UpdateTargets(data, at)
	}
	w.step(tuf.RoleTargets, meta.Version, err)
	return nil
}

// stagedRoot is the staged root if it has the version, and otherwise fs.ErrNotExist.
func (w *walk) stagedRoot(ctx context.Context, version int64) ([]byte, error) {
	data, _, err := w.s.Get(ctx, stagedPath(tuf.RoleRoot), MaxMetadata)
	if err == nil && versionOf(data) != version {
		err = fmt.Errorf("version %d is staged: %w", versionOf(data), fs.ErrNotExist)
	}
	return data, err
}

// versionOf is what unverified metadata says its version is, 0 if it says nothing.
func versionOf(data []byte) int64 {
	var m struct {
		Signed struct{ Version int64 }
	}
	if json.Unmarshal(data, &m) != nil {
		return 0
	}
	return m.Signed.Version
}
