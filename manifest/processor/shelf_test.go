// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// shelf is a platform that loses power in the middle of its cut-th effect: before anything of it is done, when all of it is, or
// with the content gone. What else is under way then ends in one of these ways, too.
type shelf struct {
	mu      sync.Mutex
	boxes   map[string]*box
	names   []string                          // of the boxes
	letters map[string][]byte                 // envelopes that can be fetched, by URI
	pace    func(effect string) time.Duration // how long an effect takes; nil: no time
	cut     int                               // counted down; -1: none
	torn    tear
	rnd     *rand.Rand // tears what else is under way
	dead    bool       // power is lost
	log     []string
	wrong   string // what a processor must not do, and has done
	most    int    // effects that were under way at once
}

type box struct {
	d       *shelf
	name    string
	content []byte      // nil: none
	swap    string      // the last one
	halved  *exchanging // a swap that is in the middle
	flight  *flight
	users   map[verify.Digest]bool // nil: nobody counts
}

type exchanging struct {
	a, b *box
	id   string
}

// flight is an effect that is under way.
type flight struct {
	on       []*box
	do, half func()
}

type tear int

const (
	untouched tear = iota
	complete
	halfDone
	tears
)

func newShelf(contents map[string][]byte) *shelf {
	d := &shelf{boxes: map[string]*box{}, cut: -1, rnd: rand.New(rand.NewPCG(1, 1))}
	for name, content := range contents {
		d.boxes[name] = &box{d: d, name: name, content: content}
	}
	d.names = slices.Sorted(maps.Keys(contents))
	return d
}

func (d *shelf) Component(id manifest.ComponentID) (processor.Component, error) {
	if b, ok := d.boxes[id.String()]; ok {
		return b, nil
	}
	return nil, manifest.ErrComponent
}

// effect does all of an effect, half of it, or none. id is that of a swap.
func (d *shelf) effect(name, id string, do, half func(), on ...*box) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errCut
	}
	f := &flight{on, do, half}
	for _, b := range on {
		if h := b.halved; h != nil && h.id == id {
			h.a.halved, h.b.halved = nil, nil
		}
		b.ask()
		b.alone(name)
		b.flight = f
	}
	d.log = append(d.log, name)
	d.most = max(d.most, len(d.flights()))
	if d.pace != nil {
		d.mu.Unlock()
		<-time.After(d.pace(name))
		d.mu.Lock()
	}
	if d.dead {
		return errCut // it was torn
	}
	if d.cut != 0 {
		d.cut--
		f.end(complete)
		return nil
	}
	f.end(d.torn)
	d.fail()
	return errCut
}

func (f *flight) end(how tear) {
	switch how {
	case complete:
		f.do()
	case halfDone:
		f.half()
	}
	for _, b := range f.on {
		b.flight = nil
	}
}

// flights are the effects that are under way.
func (d *shelf) flights() (list []*flight) {
	for _, name := range d.names {
		if f := d.boxes[name].flight; f != nil && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

// fail is the loss of power.
func (d *shelf) fail() {
	d.dead = true
	for _, f := range d.flights() {
		f.end(tear(d.rnd.IntN(int(tears))))
	}
}

// wire is a journal that loses power with a shelf.
type wire struct {
	*log
	d *shelf
}

func (w wire) Append(s processor.Step) error {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	if w.d.dead {
		return errCut
	}
	err := w.log.Append(s)
	if err != nil {
		w.d.fail()
	}
	return err
}

// alone notes if something is asked of b while an effect on it is under way.
func (b *box) alone(what string) {
	if b.flight != nil {
		b.d.wrong = fmt.Sprintf("%s while an effect on %s is under way", what, b.name)
	}
}

// ask is what comes before everything but the same swap: a swap that is in the middle is taken back.
func (b *box) ask() {
	if h := b.halved; h != nil {
		h.a.halved, h.b.halved = nil, nil
		b.d.wrong = fmt.Sprintf("%s was looked at while a swap was in its middle", b.name)
	}
}

// look is what comes before a question.
func (b *box) look() error {
	if b.d.dead {
		return errCut
	}
	b.ask()
	b.alone("a question")
	return nil
}

func (b *box) store(what string, data []byte) error {
	data = bytes.Clone(data)
	return b.d.effect(what+" "+b.name, "", func() { b.content, b.swap = data, "" }, func() { b.content, b.swap = nil, "" }, b)
}

func (b *box) Open(context.Context) (io.ReadCloser, int64, error) {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	if err := b.look(); err != nil {
		return nil, 0, err
	}
	if b.content == nil {
		return nil, 0, manifest.ErrComponent
	}
	return io.NopCloser(bytes.NewReader(b.content)), int64(len(b.content)), nil
}

func (b *box) Match(_ context.Context, want verify.Digest, size int64) error {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	if err := b.look(); err != nil {
		return err
	}
	if b.content == nil || int64(len(b.content)) != size || verify.Sum(want.Hash(), b.content) != want {
		return manifest.ErrDigest
	}
	return nil
}

func (b *box) Write(_ context.Context, r processor.WriteRequest) error {
	data, err := io.ReadAll(r.Content)
	if err != nil {
		return err
	}
	return b.store("write", data)
}

func (b *box) Fetch(_ context.Context, r processor.FetchRequest) error {
	data := []byte(r.URI)
	if r.Dependency {
		data = b.d.letters[r.URI]
	}
	if r.Integrated != nil {
		data = r.Integrated
	}
	return b.store("fetch", data)
}

func (b *box) References(_ context.Context, user verify.Digest) (others uint64, used bool, err error) {
	b.d.mu.Lock()
	defer b.d.mu.Unlock()
	return 0, b.users[user], b.look()
}

func (b *box) Unlink(_ context.Context, user verify.Digest) error {
	return b.d.effect("unlink "+b.name, "", func() { delete(b.users, user) }, func() {}, b)
}

func (b *box) Commands() []manifest.Code { return []manifest.Code{-257} }

func (b *box) Command(_ context.Context, r processor.CustomRequest) error {
	return b.store("custom", fmt.Append(nil, r.Argument))
}

func (b *box) Swap(_ context.Context, r processor.SwapRequest) error {
	with := r.With.(*box)
	exchange := func() {
		if b.swap != r.ID || with.swap != r.ID {
			b.content, with.content, b.swap, with.swap = with.content, b.content, r.ID, r.ID
		}
	}
	half := func() {
		if b.swap != r.ID || with.swap != r.ID {
			b.halved = &exchanging{b, with, r.ID}
			with.halved = b.halved
		}
	}
	return b.d.effect("swap "+b.name+" "+with.name, r.ID, exchange, half, b, with)
}
