// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// device is a platform in memory. A component's content is modelled by its
// digest. log has everything that was asked of it, in order.
type device struct {
	components map[string]*memory
	log        []string
	requests   []processor.FetchRequest

	slot      uint64
	slotErr   error
	fetchErr  error // returned by the next Fetch, which then stores nothing
	matchErr  error // returned by every Match instead of an answer
	invokeErr error
}

type memory struct {
	d       *device
	name    string
	content verify.Digest
}

func newDevice(n int) *device {
	d := &device{components: map[string]*memory{}}
	for i := range n {
		id := componentID(i).String()
		d.components[id] = &memory{d: d, name: id}
	}
	return d
}

func componentID(i int) manifest.ComponentID { return manifest.ComponentID{{byte(i)}} }

func (d *device) Component(id manifest.ComponentID) (processor.Component, error) {
	c, ok := d.components[id.String()]
	if !ok {
		return nil, fmt.Errorf("%w: none on this device", manifest.ErrComponent)
	}
	return c, nil
}

func (d *device) note(format string, args ...any) {
	d.log = append(d.log, fmt.Sprintf(format, args...))
}

// effects are the entries of the log that are not questions.
func (d *device) effects() []string {
	var out []string
	for _, e := range d.log {
		if e[0] == 'f' || e[0] == 'i' {
			out = append(out, e)
		}
	}
	return out
}

func (c *memory) Fetch(_ context.Context, r processor.FetchRequest) error {
	c.d.note("fetch %s %s", c.name, r.URI)
	c.d.requests = append(c.d.requests, r)
	if err := c.d.fetchErr; err != nil {
		c.d.fetchErr = nil
		return err
	}
	c.content = r.Digest
	return nil
}

func (c *memory) Match(_ context.Context, want verify.Digest, size int64) error {
	c.d.note("match %s", c.name)
	if c.d.matchErr != nil {
		return c.d.matchErr
	}
	if c.content != want {
		return fmt.Errorf("%w: expected %v, seen %v", manifest.ErrDigest, want, c.content)
	}
	return nil
}

func (c *memory) Slot(context.Context) (uint64, error) { return c.d.slot, c.d.slotErr }

func (c *memory) Invoke(_ context.Context, args []byte) error {
	c.d.note("invoke %s %s", c.name, args)
	return c.d.invokeErr
}

// log is a Journal that keeps what it would have on disk, and can be cut.
type log struct {
	steps [][]byte
	cut   int // appends that still succeed; -1: all
	after bool
}

var errCut = errors.New("power cut")

func (l *log) Append(s processor.Step) error {
	if l.cut == 0 && !l.after {
		return errCut
	}
	b, err := s.MarshalBinary()
	if err != nil {
		return err
	}
	l.steps = append(l.steps, b)
	if l.cut == 0 {
		return errCut // durable, but nobody learns of it
	}
	l.cut--
	return nil
}

func (l *log) Steps() ([]processor.Step, error) {
	steps := make([]processor.Step, len(l.steps))
	for i, b := range l.steps {
		if err := steps[i].UnmarshalBinary(b); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

var (
	vendor = manifest.UUID{0xfa, 0x6b, 0x4a, 0x53, 0xd5, 0xad, 0x5f, 0xdf, 0xbe, 0x9d, 0xe6, 0x63, 0xe4, 0xd4, 0x1f, 0xfe}
	class  = manifest.UUID{0x14, 0x92, 0xaf, 0x14, 0x25, 0x69, 0x5e, 0x48, 0xbf, 0x42, 0x9b, 0x2d, 0x51, 0xf2, 0xab, 0x45}
	other  = manifest.UUID{1}

	identity = processor.Identity{VendorID: vendor, ClassID: class}
)

func digest(s string) *verify.Digest {
	d := verify.Sum(verify.SHA256, []byte(s))
	return &d
}

// The commands, short.

func override(p manifest.Parameters) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveOverrideParameters, Parameters: &p}
}

func command(code manifest.Code) manifest.Command { return manifest.Command{Code: code} }

var (
	checkVendor = command(manifest.ConditionVendorID)
	checkClass  = command(manifest.ConditionClassID)
	checkDevice = command(manifest.ConditionDeviceID)
	imageMatch  = command(manifest.ConditionImageMatch)
	checkSlot   = command(manifest.ConditionComponentSlot)
	abort       = command(manifest.ConditionAbort)
	fetch       = command(manifest.DirectiveFetch)
	invoke      = command(manifest.DirectiveInvoke)

	hardly = override(manifest.Parameters{SoftFailure: new(false)})
	softly = override(manifest.Parameters{SoftFailure: new(true)})
)

func image(name string) manifest.Command {
	return override(manifest.Parameters{ImageDigest: digest(name), ImageSize: new(uint64(1000))})
}

func uri(s string) manifest.Command { return override(manifest.Parameters{URI: &s}) }

func slot(n uint64) manifest.Command { return override(manifest.Parameters{Slot: &n}) }

func try(alternatives ...manifest.Sequence) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveTryEach, Sequences: alternatives}
}

func tryOrNil(alternatives ...manifest.Sequence) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveTryEach, Sequences: alternatives, Nil: true}
}

func run(commands ...manifest.Command) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveRunSequence, Sequences: []manifest.Sequence{commands}}
}

func index(i uint64) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{One: i}}
}

func indices(list ...uint64) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{List: list}}
}

func all() manifest.Command {
	return manifest.Command{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{All: true}}
}

type seq = manifest.Sequence

// shared returns a shared sequence that is for this device and then goes on.
func shared(more ...manifest.Command) seq {
	s := seq{index(0), override(manifest.Parameters{VendorID: &vendor, ClassID: &class}), checkVendor, checkClass}
	return append(s, more...)
}

// release returns a manifest for n components.
func release(n int, sharedSequence, install, validate seq) manifest.Manifest {
	m := manifest.Manifest{SequenceNumber: 7, Shared: sharedSequence, Validate: validate}
	m.Install.Sequence = install
	for i := range n {
		m.Components = append(m.Components, componentID(i))
	}
	return m
}

var signer = testkeys.Ed25519(1)

// open signs and opens m.
func open(tb testing.TB, m manifest.Manifest, payloads ...manifest.Payload) *manifest.Verified {
	tb.Helper()
	v, err := tryOpen(tb, m, payloads...)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func tryOpen(tb testing.TB, m manifest.Manifest, payloads ...manifest.Payload) (*manifest.Verified, error) {
	tb.Helper()
	return openWith(tb, manifest.Options{}, m, payloads...)
}

func openWith(tb testing.TB, o manifest.Options, m manifest.Manifest, payloads ...manifest.Payload) (*manifest.Verified, error) {
	tb.Helper()
	b, err := sign(tb, o, m, payloads...)
	if err != nil {
		return nil, err
	}
	return o.OpenBytes(b, keySet(tb, signer.Public()), one(tb))
}

// sign returns an envelope with m.
func sign(tb testing.TB, o manifest.Options, m manifest.Manifest, payloads ...manifest.Payload) ([]byte, error) {
	tb.Helper()
	e := manifest.Envelope{Manifest: m, Payloads: payloads, Options: o}
	signed, err := e.SignedBytes()
	if err != nil {
		return nil, err
	}
	block, err := cose.SignSign1(tb.Context(), signer, cose.Ed25519, signed)
	if err != nil {
		tb.Fatal(err)
	}
	e.Authentication = [][]byte{block}
	return e.Encode()
}

func keySet(tb testing.TB, key verify.Key) *verify.KeySet {
	tb.Helper()
	keys, err := verify.NewKeySet(verify.Entry{Key: key})
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func one(tb testing.TB) verify.Policy {
	tb.Helper()
	policy, err := verify.Threshold(1, "")
	if err != nil {
		tb.Fatal(err)
	}
	return policy
}

// start makes a processor and runs the sections.
func start(tb testing.TB, v *manifest.Verified, d *device, sections ...manifest.Section) error {
	tb.Helper()
	return startWith(tb, v, processor.Options{Platform: d, Identity: identity}, sections...)
}

func startWith(tb testing.TB, v *manifest.Verified, o processor.Options, sections ...manifest.Section) error {
	tb.Helper()
	p, err := processor.New(tb.Context(), v, o)
	if err != nil {
		return err
	}
	return p.Run(tb.Context(), sections...)
}

// update is the Update Procedure.
var update = []manifest.Section{manifest.SectionPayloadFetch, manifest.SectionInstall, manifest.SectionValidate}
