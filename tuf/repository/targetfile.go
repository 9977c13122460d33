// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// file is a target file to write. A copy is written for each of the digests, under a name that begins with it: a client
// picks one of those that are listed (section 5.7).
type file struct {
	data    []byte
	digests []verify.Digest
}

func newFile(data []byte) file {
	return file{data, []verify.Digest{verify.Sum(verify.SHA256, data)}}
}

func (f file) entry() *metadata.TargetFiles {
	m := metadata.TargetFile()
	m.Length = int64(len(f.data))
	m.Hashes = metadata.Hashes{"sha256": f.digests[0].Bytes()}
	return m
}

// targetPaths is where a target's copies lie (consistent snapshots).
func targetPaths(name string, digests []verify.Digest) ([]string, error) {
	if err := tuf.CheckPath(name); err != nil {
		return nil, err
	}
	dir, base := path.Split(name)
	var paths []string
	for _, d := range digests {
		paths = append(paths, fmt.Sprintf("targets/%s%x.%s", dir, d.Bytes(), base))
	}
	return paths, nil
}

// setCustom replaces what the signer says of a target in its own words.
func setCustom(m *metadata.Metadata[metadata.TargetsType], name string, custom json.RawMessage) error {
	entry := m.Signed.Targets[name]
	if entry == nil {
		return fmt.Errorf("custom: %w: %.200q", tuf.ErrTargetUnknown, name)
	}
	if custom == nil {
		entry.Custom = nil
		return nil
	}
	canonical, err := tuf.Canonical(custom)
	if err == nil && canonical[0] != '{' {
		err = tuf.ErrMalformed
	}
	if err != nil {
		return fmt.Errorf("custom of %.200q: %w: a JSON object expected", name, err)
	}
	text := json.RawMessage(canonical)
	entry.Custom = &text
	return nil
}

// writeFiles makes the target files durable. Their names carry their digests, so nobody sees them before metadata lists them.
func (e *edit) writeFiles(ctx context.Context) error {
	if len(e.files)+len(e.stored) == 0 {
		return nil
	}
	doomed, err := e.p.s.doomed(ctx)
	if err != nil {
		return err
	}
	for _, at := range e.stored {
		if _, gone := slices.BinarySearch(doomed, at); gone {
			return fmt.Errorf("%s: %w", at, ErrCollecting)
		}
		f, err := e.p.s.Open(ctx, at)
		if err != nil {
			return fmt.Errorf("%s was there a moment ago: %w", at, err)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		f := e.files[name]
		paths, err := targetPaths(name, f.digests)
		if err != nil {
			return err
		}
		for _, at := range paths {
			there, err := e.p.s.createExact(ctx, at, f.data)
			if err != nil {
				return err
			}
			if _, gone := slices.BinarySearch(doomed, at); there && gone {
				return fmt.Errorf("write %s: %w", at, ErrCollecting)
			}
		}
	}
	return nil
}

// createExact makes a file whose name stands for its content, and reports whether it was there. Damaged ones are replaced.
func (s store) createExact(ctx context.Context, name string, data []byte) (there bool, err error) {
	err = s.Put(ctx, name, bytes.NewReader(data), "")
	for errors.Is(err, ErrConflict) {
		old, tag, rerr := s.Get(ctx, name, MaxMetadata)
		if rerr == nil && bytes.Equal(old, data) {
			return true, nil
		}
		if rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			return false, rerr
		}
		err = s.Put(ctx, name, bytes.NewReader(data), tag)
	}
	return false, err
}
