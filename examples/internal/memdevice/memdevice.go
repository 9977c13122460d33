// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package memdevice is a device in memory, to try manifests on: every component exists, and holds bytes.
package memdevice

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// Device is a processor.Platform. Fill the maps before a run. Its slot is always 0, its clock the one of Now, and
// invocation does nothing. It has power and a network, so a wait for these is over at once, but no battery, no versions and nobody to ask for
// permission; nor does it wait for anything else, but a time that has come. Manifests that need that are refused, and so are those that want more of a
// component than that it is a plain file.
type Device struct {
	Payloads map[string][]byte // what fetch finds, by URI
	Contents map[string][]byte // of components, by identifier
	Time     func() time.Time

	mu      sync.Mutex
	changed map[string]bool
	swapped map[string]bool
}

// Changed returns the identifiers of the components that were written or have lost what they held, sorted.
func (d *Device) Changed() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var ids []string
	for id := range d.changed {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Content returns what a component holds, nil if nothing.
func (d *Device) Content(id string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Contents[id]
}

func (d *Device) put(id string, content []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set(id, content)
}

func (d *Device) set(id string, content []byte) {
	if d.changed == nil {
		d.changed = map[string]bool{}
	}
	if d.Contents == nil {
		d.Contents = map[string][]byte{}
	}
	d.Contents[id], d.changed[id] = content, true
}

// Now implements [processor.Clock].
func (d *Device) Now(context.Context) (time.Time, error) {
	if d.Time == nil {
		return time.Time{}, verify.ErrClock
	}
	return d.Time(), nil
}

// CanWait implements [processor.Waiter].
func (d *Device) CanWait(info manifest.WaitInfo) error {
	if info.Time != nil && d.Time != nil && uint64(d.Time().Unix()) >= *info.Time {
		info.Time = nil
	}
	info.Power, info.Network = nil, nil
	if info != (manifest.WaitInfo{}) {
		return fmt.Errorf("%w: a device in memory has power and a network, and waits for nothing else", manifest.ErrUnsupported)
	}
	return nil
}

// Wait implements [processor.Waiter].
func (d *Device) Wait(_ context.Context, _ manifest.ComponentID, info manifest.WaitInfo) error {
	return d.CanWait(info)
}

// maxName is the longest name of a file on common file systems.
const maxName = 255

// Component implements [processor.Platform]. An identifier that cannot name a file, because it has an empty part or is too
// long, is manifest.ErrComponent.
func (d *Device) Component(id manifest.ComponentID) (processor.Component, error) {
	empty := func(part []byte) bool { return len(part) == 0 }
	if name := id.String(); len(name) == 0 || len(name) > maxName || slices.ContainsFunc(id, empty) {
		return nil, fmt.Errorf("%w: %q cannot name a file", manifest.ErrComponent, name)
	}
	return &component{d, id.String()}, nil
}

type component struct {
	d  *Device
	id string
}

func (c *component) payload(uri string) ([]byte, error) {
	data, ok := c.d.Payloads[uri]
	if !ok {
		return nil, fmt.Errorf("%w: no payload for %q", fetch.ErrRefused, uri)
	}
	return data, nil
}

func (c *component) Fetch(_ context.Context, r processor.FetchRequest) error {
	data := r.Integrated
	if data == nil {
		var err error
		if data, err = c.payload(r.URI); err != nil {
			return err
		}
	}
	if err := fits(r, len(data)); err != nil {
		return err
	}
	if !r.Dependency && !r.Digest.IsZero() {
		if seen := verify.Sum(r.Digest.Hash(), data); seen != r.Digest {
			return &processor.Mismatch{Want: r.Digest, Seen: seen, Size: int64(len(data))}
		}
	}
	c.d.put(c.id, bytes.Clone(data))
	return nil
}

// fits compares the size of what was fetched with the request's.
func fits(r processor.FetchRequest, size int) error {
	switch {
	case r.Size < 0 && int64(size) > r.Limit:
		return fmt.Errorf("%w: payload of %d bytes, at most %d", manifest.ErrBudget, size, r.Limit)
	case r.Size >= 0 && int64(size) != r.Size:
		return fmt.Errorf("%w: payload of %d bytes, expected %d", manifest.ErrDigest, size, r.Size)
	}
	return nil
}

func (c *component) FetchEncrypted(_ context.Context, r processor.FetchRequest, decrypt func(io.Reader) (io.Reader, error)) error {
	data, err := c.payload(r.URI)
	if err != nil {
		return err
	}
	plain, err := decrypt(bytes.NewReader(data))
	if err != nil {
		return err
	}
	out, err := io.ReadAll(plain)
	if err != nil {
		return err
	}
	if err := fits(r, len(out)); err != nil {
		return err
	}
	if !r.Dependency && !r.Digest.IsZero() {
		if seen := verify.Sum(r.Digest.Hash(), out); seen != r.Digest {
			return &processor.Mismatch{Want: r.Digest, Seen: seen, Size: int64(len(out))}
		}
	}
	c.d.put(c.id, out)
	return nil
}

func (c *component) Open(context.Context) (io.ReadCloser, int64, error) {
	data := c.d.Content(c.id)
	if data == nil {
		return nil, 0, fmt.Errorf("%w: %s is empty", manifest.ErrComponent, c.id)
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

func (c *component) Write(_ context.Context, r processor.WriteRequest) error {
	data, err := io.ReadAll(r.Content)
	if err != nil {
		return err
	}
	c.d.put(c.id, data)
	return nil
}

func (c *component) Swap(_ context.Context, r processor.SwapRequest) error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.d.swapped[r.ID] {
		return nil
	}
	other := r.Source.String()
	mine, its := c.d.Contents[c.id], c.d.Contents[other]
	if mine == nil || its == nil {
		return fmt.Errorf("%w: swap with nothing", manifest.ErrComponent)
	}
	c.d.set(c.id, its)
	c.d.set(other, mine)
	if c.d.swapped == nil {
		c.d.swapped = map[string]bool{}
	}
	c.d.swapped[r.ID] = true
	return nil
}

func (c *component) Match(_ context.Context, want verify.Digest, size int64) error {
	data := c.d.Content(c.id)
	if seen := verify.Sum(want.Hash(), data); seen != want || int64(len(data)) != size {
		return &processor.Mismatch{Want: want, Seen: seen, Size: int64(len(data))}
	}
	return nil
}

// References says of what holds anything that whoever asks uses it, and nobody else.
func (c *component) References(context.Context, verify.Digest) (others uint64, used bool, err error) {
	return 0, c.d.Content(c.id) != nil, nil
}

func (c *component) Unlink(context.Context, verify.Digest) error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.d.Contents[c.id] != nil {
		c.d.set(c.id, nil)
	}
	return nil
}

// CanApply implements [processor.MetadataApplier]: a component is a plain file, of which nothing more is known.
func (c *component) CanApply(md manifest.ComponentMetadata) error {
	if !reflect.DeepEqual(md, manifest.ComponentMetadata{FileType: manifest.FileRegular}) {
		return fmt.Errorf("%w: a component here is a plain file", manifest.ErrUnsupported)
	}
	return nil
}

func (c *component) Slot(context.Context) (uint64, error) { return 0, nil }

func (c *component) Invoke(context.Context, []byte) error { return nil }
