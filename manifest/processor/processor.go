// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// Options configure a Processor.
type Options struct {
	Platform Platform // required
	Identity Identity // required

	// Journal makes runs resumable; without one, an interrupted run starts over.
	Journal Journal

	// SequenceFloor is the highest sequence number ever accepted. A lower one is
	// refused; the same may be applied again.
	SequenceFloor uint64

	Limits Limits

	// OnEvent is told of every command that has been run, softened failures
	// included, from the goroutine of Run. It must not call the Processor. Nil: no events.
	OnEvent func(Event)
}

// Limits bound one Run. They are shared by all sections and nested sequences,
// and checked before the first effect. A zero field has its default.
type Limits struct {
	Commands int   // commands run, once for each component: default 16384
	Depth    int   // nesting of try-each and run-sequence: default 8
	Bytes    int64 // image sizes fetched and matched, summed: default 64 GiB
}

// Defaults of Limits.
const (
	DefaultCommands = 16384
	DefaultDepth    = 8
	DefaultBytes    = 64 << 30
)

// Event is one command that has been run on one component.
type Event struct {
	Section   manifest.Section
	Shared    bool  // run in the shared sequence, ahead of Section
	Path      []int // see Step
	Component int   // -1 for set-component-index
	Command   manifest.Code
	Policy    manifest.ReportingPolicy
	Err       error // nil: success; ErrCondition: perhaps softened afterwards
	Replayed  bool  // not done again, as the journal has it
}

// Processor runs one manifest on one platform. It is not safe for concurrent use.
type Processor struct {
	o          Options
	v          *manifest.Verified
	m          manifest.Manifest // own copy, never changed
	components []Component       // as m.Components
}

// New returns a processor for v, unless v is not for this device now. It has no
// effects; conditions of the shared sequence may be put to the platform.
//
// Errors: manifest.ErrSequence below the floor, or if no later number exists;
// manifest.ErrComponent for a component that is unknown or cannot do what the shared
// sequence asks; manifest.ErrNotApplicable if vendor, class or device are not this
// device's, or if the shared sequence does not check vendor and class;
// manifest.ErrCommand, ErrParameter and manifest.ErrBudget if it cannot be run.
// All but ErrOptions and ErrSequence come in an *Error.
//
// draft-ietf-suit-manifest-37, sections 6.1 and 6.2.
func New(ctx context.Context, v *manifest.Verified, o Options) (*Processor, error) {
	if err := o.complete(v); err != nil {
		return nil, err
	}
	p := &Processor{o: o, v: v, m: v.Manifest()}
	if n := p.m.SequenceNumber; n < o.SequenceFloor || n == math.MaxUint64 {
		return nil, fmt.Errorf("%w: expected %d to %d, seen %d", manifest.ErrSequence, o.SequenceFloor, uint64(math.MaxUint64-1), n)
	}
	for i, id := range p.m.Components {
		c, err := o.Platform.Component(cloneID(id))
		if err == nil && c == nil {
			err = manifest.ErrComponent
		}
		if err != nil {
			return nil, &Error{Section: manifest.SectionShared, Component: i, ID: cloneID(id), Err: err}
		}
		p.components = append(p.components, c)
	}
	if err := p.applicable(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (o *Options) complete(v *manifest.Verified) error {
	var none manifest.UUID
	switch {
	case v == nil:
		return fmt.Errorf("%w: no manifest", ErrOptions)
	case o.Platform == nil:
		return fmt.Errorf("%w: no platform", ErrOptions)
	case o.Identity.VendorID == none || o.Identity.ClassID == none:
		return fmt.Errorf("%w: identity without vendor or class", ErrOptions)
	case o.Limits.Commands < 0 || o.Limits.Depth < 0 || o.Limits.Bytes < 0:
		return fmt.Errorf("%w: negative limit", ErrOptions)
	}
	if o.Limits.Commands == 0 {
		o.Limits.Commands = DefaultCommands
	}
	if o.Limits.Depth == 0 {
		o.Limits.Depth = DefaultDepth
	}
	if o.Limits.Bytes == 0 {
		o.Limits.Bytes = DefaultBytes
	}
	return nil
}

// applicable evaluates the shared sequence alone.
func (p *Processor) applicable(ctx context.Context) error {
	if err := p.capable(manifest.SectionShared); err != nil {
		return err
	}
	m := p.machine(nil, rehearsal)
	if err := m.top(ctx, manifest.SectionShared, true); err != nil {
		return err
	}
	if !m.vendor || !m.class {
		return &Error{Section: manifest.SectionShared, Component: -1, Err: fmt.Errorf(
			"%w: the shared sequence has not checked both vendor and class", manifest.ErrNotApplicable)}
	}
	return nil
}

// procedure is the order of the sections: the Update Procedure and then the
// Invocation Procedure, which have validate in common (section 8.4.6).
var procedure = []manifest.Section{
	manifest.SectionShared, // ahead of each, never asked for
	manifest.SectionPayloadFetch,
	manifest.SectionInstall,
	manifest.SectionValidate,
	manifest.SectionLoad,
	manifest.SectionInvoke,
}

// Check finds what would make Run refuse the sections, and nothing else: it
// evaluates them as Run would, with the effects left out and image-match
// assumed to hold where it could not be softened or follows a fetch. The errors
// are those of Run.
func (p *Processor) Check(ctx context.Context, sections ...manifest.Section) error {
	r, err := p.replay()
	if err != nil {
		return err
	}
	_, err = p.rehearse(ctx, sections, r)
	return err
}

// Run runs the sections, which must be in the order payload-fetch, install,
// validate, load, invoke, each at most once. The Update Procedure is the
// first three and the Invocation Procedure the last three; parameters live for one
// Run. Before the first effect Run does what Check does.
//
// Errors of the manifest come in an *Error around a sentinel of package
// manifest or of this one; those of the platform are wrapped as they are. After an
// error, a cut or a cancelled ctx, call Run again with the same sections, on a new
// Processor over the same Journal after a restart. A run that is finished, or given up, has
// its steps removed by the Journal's owner.
func (p *Processor) Run(ctx context.Context, sections ...manifest.Section) error {
	r, err := p.replay()
	if err != nil {
		return err
	}
	kept, err := p.rehearse(ctx, sections, r)
	if err != nil {
		return err
	}
	if kept != r {
		if err := p.append(Step{Kind: StepBegin}); err != nil {
			return err
		}
	}
	return p.perform(ctx, sections, p.machine(kept, performance))
}

// rehearse returns the replay to run with: r, or a fresh one if r does not fit
// the device as it is now.
func (p *Processor) rehearse(ctx context.Context, sections []manifest.Section, r *replay) (*replay, error) {
	if err := p.plan(sections); err != nil {
		return nil, err
	}
	err := p.perform(ctx, sections, p.machine(r, rehearsal))
	if r.empty() || !(errors.Is(err, errStale) || errors.Is(err, manifest.ErrCondition)) {
		return r, err
	}
	r = newReplay()
	return r, p.perform(ctx, sections, p.machine(r, rehearsal))
}

// plan checks what sections are asked for and that the platform can do them.
func (p *Processor) plan(sections []manifest.Section) error {
	last := 0
	for _, s := range sections {
		i := slices.Index(procedure, s)
		if i <= last {
			return fmt.Errorf("%w: section %v not expected here", ErrOptions, s)
		}
		last = i
		place := Error{Section: s, Component: -1}
		if p.m.Severed(s) {
			place.Err = ErrSevered
			return &place
		}
		if _, ok := p.m.Section(s); !ok && (s == manifest.SectionValidate || s == manifest.SectionInvoke) {
			place.Err = ErrAbsent
			return &place
		}
		if err := p.capable(s); err != nil {
			return err
		}
	}
	if last == 0 {
		return fmt.Errorf("%w: no section to run", ErrOptions)
	}
	return nil
}

// perform runs the sections on m, the shared sequence before each.
func (p *Processor) perform(ctx context.Context, sections []manifest.Section, m *machine) error {
	for _, s := range sections {
		if _, ok := p.m.Section(s); !ok {
			continue
		}
		if err := m.top(ctx, s, true); err != nil {
			return err
		}
		if err := m.top(ctx, s, false); err != nil {
			return err
		}
		if err := m.settled(); err != nil {
			return err
		}
	}
	return nil
}

func cloneID(id manifest.ComponentID) manifest.ComponentID {
	c := make(manifest.ComponentID, len(id))
	for i, part := range id {
		c[i] = slices.Clone(part)
	}
	return c
}
