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
	"slices"

	"github.com/firmament-dev/firmament/tuf"
)

// Garbage collection and publishers meet in one file, the mark. The collector sets it to deciding, reads all metadata, sets it to the list of what it
// deletes, deletes that, and removes the mark. A publisher writes metadata that lists a file, looks at the mark, and only then at whether the file
// is there:
//
//   - no mark: the collector, who sets it before it reads, will see that the file is wanted;
//   - deciding: the publisher sets it to stopped, and the collector, whose list then conflicts, reads once more;
//   - a list: what is not in it stays. What is in it may go at any time, and cannot be published until it has (ErrCollecting).
//
// So no clock and no lock is needed, and a collector that was killed stands in the way of nothing but what it was about to delete.
const (
	markName = "collecting"
	maxMark  = MaxMetadata
)

type mark struct {
	State  string   `json:"state"`
	Delete []string `json:"delete,omitempty"`
}

const (
	deciding = "deciding"
	stopped  = "stopped"
	deleting = "deleting"
)

func (s store) mark(ctx context.Context) (m mark, tag Tag, err error) {
	data, tag, err := s.Get(ctx, markName, maxMark)
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, "", nil
	}
	if err == nil && json.Unmarshal(data, &m) != nil {
		err = fmt.Errorf("%s: %w", markName, tuf.ErrMalformed)
	}
	return m, tag, err
}

func (s store) putMark(ctx context.Context, m mark, old Tag) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode mark: %v", err)
	}
	return s.Put(ctx, markName, bytes.NewReader(data), old)
}

// beginMark says that somebody decides, whatever an earlier collection left, and returns the tag for setMark.
func (s store) beginMark(ctx context.Context) (Tag, error) {
	_, tag, err := s.mark(ctx)
	if err != nil {
		return "", err
	}
	if err := s.putMark(ctx, mark{State: deciding}, tag); err != nil {
		return "", err
	}
	m, tag, err := s.mark(ctx)
	if err == nil && m.State != deciding {
		err = conflict(markName)
	}
	return tag, err
}

func (s store) setMark(ctx context.Context, tag Tag, names []string) error {
	return s.putMark(ctx, mark{deleting, names}, tag)
}

// doomed returns the files, in ascending order, that cannot be relied on although they are there.
func (s store) doomed(ctx context.Context) ([]string, error) {
	for range maxTries {
		m, tag, err := s.mark(ctx)
		if err != nil {
			return nil, err
		}
		if m.State != deciding {
			slices.Sort(m.Delete)
			return m.Delete, nil
		}
		if err := s.putMark(ctx, mark{State: stopped}, tag); !errors.Is(err, ErrConflict) {
			return nil, err
		}
	}
	return nil, conflict(markName)
}
