// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// store is a platform in memory whose components have contents, and can do everything.
type store struct {
	mu      sync.Mutex
	cells   map[string]*cell
	uris    map[string][]byte
	log     []string
	swapped map[string]bool

	fail      string // the effect, as in log, that fails next
	cut       bool   // and whether it is done all the same
	now       time.Time
	battery   uint64
	denied    bool
	waits     []manifest.WaitInfo
	waitErr   error
	busy, max int
	together  int // effects wait until so many have begun
	waiting   int
	gathered  chan struct{}
}

type cell struct {
	s       *store
	name    string
	content []byte // nil: none
	version []int64
	refs    uint64                 // manifests that use it, save those that are run
	linked  bool                   // each of those uses it, too
	gone    map[verify.Digest]bool // save these
	custom  error
}

func newStore(contents map[string]string) *store {
	s := &store{cells: map[string]*cell{}, uris: map[string][]byte{}, swapped: map[string]bool{}, now: time.Unix(1000, 0)}
	for name, content := range contents {
		s.add(name)
		if content != "" {
			s.cells[name].content = []byte(content)
		}
	}
	return s
}

func (s *store) add(name string) *cell {
	s.cells[name] = &cell{s: s, name: name, gone: map[verify.Digest]bool{}}
	return s.cells[name]
}

func (s *store) Component(id manifest.ComponentID) (processor.Component, error) {
	if c, ok := s.cells[id.String()]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("%w: %v", manifest.ErrComponent, id)
}

func (s *store) Now(context.Context) (time.Time, error)  { return s.now, nil }
func (s *store) Battery(context.Context) (uint64, error) { return s.battery, nil }
func (s *store) CanWait(i manifest.WaitInfo) error {
	if i.TimeOfDay != nil {
		return manifest.ErrUnsupported
	}
	return nil
}
func (s *store) Authorized(_ context.Context, _ manifest.ComponentID, priority int64) (bool, error) {
	return !s.denied && priority <= 5, nil
}
func (s *store) Wait(_ context.Context, _ manifest.ComponentID, i manifest.WaitInfo) error {
	s.waits = append(s.waits, i)
	return s.waitErr
}

// effect notes an effect and does it, unless it is to fail.
func (s *store) effect(do func(), format string, args ...any) error {
	s.mu.Lock()
	s.busy++
	s.max = max(s.max, s.busy)
	s.gather()
	defer s.mu.Unlock()
	s.busy--
	entry := fmt.Sprintf(format, args...)
	fails := s.fail == entry
	if fails {
		s.fail = ""
	}
	s.log = append(s.log, entry)
	if !fails || s.cut {
		do()
	}
	if fails {
		return errCut
	}
	return nil
}

// gather waits, under mu, until together effects have begun since it last did.
func (s *store) gather() {
	if s.together == 0 {
		return
	}
	if s.gathered == nil {
		s.gathered = make(chan struct{})
	}
	wait := s.gathered
	if s.waiting++; s.waiting == s.together {
		close(wait)
		s.gathered, s.waiting = nil, 0
	}
	s.mu.Unlock()
	<-wait
	s.mu.Lock()
}

func (s *store) refused(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) || len(s.log) > 0 {
		tb.Errorf("got %v after %v, want %v before any effect", err, s.log, want)
	}
}

func (c *cell) Fetch(_ context.Context, r processor.FetchRequest) error {
	data, ok := c.s.uris[r.URI]
	if r.Integrated != nil {
		data, ok = r.Integrated, true
	}
	if !ok || !fits(r, data) || (!r.Dependency && !r.Digest.IsZero() && verify.Sum(r.Digest.Hash(), data) != r.Digest) {
		return fmt.Errorf("%w: %q has %d bytes", manifest.ErrDigest, r.URI, len(data))
	}
	return c.s.effect(func() { c.content = bytes.Clone(data) }, "fetch %s", c.name)
}

// fits compares the size of what was fetched with the request's.
func fits(r processor.FetchRequest, data []byte) bool {
	n := int64(len(data))
	return n == r.Size || r.Size < 0 && n <= r.Limit
}

func (c *cell) FetchEncrypted(ctx context.Context, r processor.FetchRequest, decrypt func(io.Reader) (io.Reader, error)) error {
	plain, err := decrypt(bytes.NewReader(c.s.uris[r.URI]))
	if err != nil {
		return err
	}
	data, err := io.ReadAll(plain)
	if err != nil {
		return err
	}
	if !fits(r, data) || (!r.Dependency && !r.Digest.IsZero() && verify.Sum(r.Digest.Hash(), data) != r.Digest) {
		return manifest.ErrDigest
	}
	return c.s.effect(func() { c.content = data }, "fetch %s", c.name)
}

func (c *cell) Open(context.Context) (io.ReadCloser, int64, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.content == nil {
		return nil, 0, manifest.ErrComponent
	}
	return io.NopCloser(bytes.NewReader(c.content)), int64(len(c.content)), nil
}

func (c *cell) Write(_ context.Context, r processor.WriteRequest) error {
	data, err := io.ReadAll(r.Content)
	if err != nil {
		return err
	}
	return c.s.effect(func() { c.content = data }, "write %s", c.name)
}

func (c *cell) Swap(_ context.Context, r processor.SwapRequest) error {
	other := r.With.(*cell)
	return c.s.effect(func() {
		if !c.s.swapped[r.ID] {
			c.content, other.content = other.content, c.content
			c.s.swapped[r.ID] = true
		}
	}, "swap %s %s", c.name, other.name)
}

func (c *cell) Match(_ context.Context, want verify.Digest, size int64) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if seen := verify.Sum(want.Hash(), c.content); seen != want || int64(len(c.content)) != size {
		return &processor.Mismatch{Want: want, Seen: seen, Size: int64(len(c.content))}
	}
	return nil
}

func (c *cell) References(_ context.Context, user verify.Digest) (others uint64, used bool, err error) {
	return c.refs, c.linked && !c.gone[user], nil
}

func (c *cell) Unlink(_ context.Context, user verify.Digest) error {
	return c.s.effect(func() { c.gone[user] = true }, "unlink %s", c.name)
}

// Version is the length of the content, unless the test has set one.
func (c *cell) Version(context.Context) ([]int64, error) {
	if c.version != nil {
		return c.version, nil
	}
	return []int64{int64(len(c.content))}, nil
}
func (c *cell) Slot(context.Context) (uint64, error) { return 0, nil }
func (c *cell) Commands() []manifest.Code            { return []manifest.Code{-256, -257} }
func (c *cell) Invoke(_ context.Context, args []byte) error {
	return c.s.effect(func() {}, "invoke %s %s", c.name, args)
}
func (c *cell) Command(_ context.Context, r processor.CustomRequest) error {
	if r.Code == -256 {
		return c.custom
	}
	return c.s.effect(func() { c.content = fmt.Append(nil, r.Argument) }, "custom %s", c.name)
}
