// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/firmament-dev/firmament/tuf"
)

// Memory is a Storage that lasts as long as the process: for tests, and for repositories that are made anew and then exported.
type Memory struct {
	mu     sync.Mutex
	files  map[string]memoryFile
	writes int
}

type memoryFile struct {
	data []byte // never changed
	tag  Tag
}

// NewMemory returns an empty Storage.
func NewMemory() *Memory { return &Memory{files: map[string]memoryFile{}} }

func (m *Memory) file(ctx context.Context, name string) (memoryFile, error) {
	if err := ctx.Err(); err != nil {
		return memoryFile{}, err
	}
	if err := tuf.CheckPath(name); err != nil {
		return memoryFile{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[name]
	if !ok {
		return f, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
	}
	return f, nil
}

// Get implements Storage. The data is the caller's.
func (m *Memory) Get(ctx context.Context, name string, max int64) ([]byte, Tag, error) {
	f, err := m.file(ctx, name)
	if err != nil {
		return nil, "", err
	}
	if size := int64(len(f.data)); size > max {
		return nil, "", tooLong(name, size, max)
	}
	return bytes.Clone(f.data), f.tag, nil
}

// Open implements Storage.
func (m *Memory) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := m.file(ctx, name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(f.data)), nil
}

// Put implements Storage.
func (m *Memory) Put(ctx context.Context, name string, data io.Reader, old Tag) error {
	if err := tuf.CheckPath(name); err != nil {
		return err
	}
	if f, _ := m.file(ctx, name); f.tag != old {
		return errors.Join(ctx.Err(), conflict(name)) // data is not read then
	}
	all, err := io.ReadAll(data)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name].tag != old {
		return conflict(name)
	}
	m.writes++
	m.files[name] = memoryFile{all, Tag(strconv.Itoa(m.writes))}
	return nil
}

// List implements Storage.
func (m *Memory) List(ctx context.Context, dir string) ([]string, error) {
	if err := tuf.CheckPath(dir); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(m.files))
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, dir+"/") }), ctx.Err()
}

// Delete implements Storage.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := tuf.CheckPath(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
	return nil
}
