// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/manifest"
)

// Options configure a Processor.
type Options struct {
	Platform Platform // required
	Identity Identity // vendor and class are required, save under CompatUnidentified

	// Journal makes runs resumable; without one, an interrupted run starts over.
	Journal Journal

	// SequenceFloor is the highest sequence number ever accepted for the manifest's
	// ComponentID. A lower one is refused; the same may be applied again.
	SequenceFloor uint64

	// SequenceJump bounds how far above its floor the sequence number of a manifest or dependency may be, so that one
	// bad release cannot use up the numbers there are. Default: DefaultSequenceJump.
	SequenceJump uint64

	// Recovery is the group of keys (verify.Entry.Groups) of which one must have signed a manifest beyond
	// SequenceJump. "": such a manifest is refused.
	Recovery string

	// CheckURI is asked about every URI that a payload or its chunk index is to be fetched from, before the first effect; payloads
	// in the envelope excepted. Nil returns allow; other errors should wrap verify.ErrPolicy. Nil: the function CheckURI.
	CheckURI func(uri string) error

	// Dependencies open the manifests that the manifest depends on. Nil: a manifest with
	// dependencies is refused.
	Dependencies *Dependencies

	// Decrypter has the device's keys for encrypted payloads. Nil: a manifest with one is refused with
	// manifest.ErrUnsupported, before the first effect.
	Decrypter Decrypter

	// Access says who may do what with which component. Nil: whoever satisfies the
	// policy of manifest.Open may do everything that the platform can.
	Access AccessControl

	// Compat has the relaxations, joined with |.
	Compat Compat

	Limits Limits

	// OnEvent is told of every command that has been run, softened failures
	// included, one at a time. It must not call the Processor. Nil: no events.
	OnEvent func(Event)
}

// Compat names what is stricter here than in the standard and may be relaxed, for
// manifests as the drafts' own examples. The zero value relaxes nothing.
type Compat uint8

const (
	// CompatUnidentified: a shared sequence that does not check both vendor and
	// class. Conditions that are there are evaluated as ever.
	CompatUnidentified Compat = 1 << iota

	// CompatNoDigest: fetch without image-digest, and copy without any digest of either side. What is
	// fetched is bounded by image-size, but nobody has said what it should be.
	CompatNoDigest

	// CompatUnmatchedInvoke: invoke without an image-match before it in the same Run.
	CompatUnmatchedInvoke

	// CompatUnprocessedDependency: a section that ends without that of a dependency which is there, has it, and was not opened
	// since the procedure began.
	CompatUnprocessedDependency

	// CompatNoSize: fetch without image-size, into a component that is a Reader. What is fetched is
	// bounded by Limits.Bytes: see FetchRequest.Limit. (A dependency needs none: manifest.MaxEnvelopeSize bounds it.)
	CompatNoSize
)

func (c Compat) has(other Compat) bool { return c&other != 0 }

// Limits bound one Run. They are shared by all sections, nested sequences and
// dependencies, and checked before the first effect. A zero field has its default.
type Limits struct {
	Commands     int           // commands run, once for each component: default 16384
	Depth        int           // nesting of try-each, run-sequence and process-dependency: default 8
	Dependencies int           // process-dependency within process-dependency: default 3
	Envelopes    int64         // bytes of the dependencies' envelopes that are open at once, summed: default 8 MiB
	Bytes        int64         // image sizes fetched, copied and matched, summed: default 64 GiB
	Time         time.Duration // of one Run, waits included: default 24 h
	Parallel     int           // components worked on at once under strict-order false: default 4
}

// Defaults of Limits.
const (
	DefaultCommands     = 16384
	DefaultDepth        = 8
	DefaultDependencies = 3
	DefaultEnvelopes    = 8 << 20
	DefaultBytes        = 64 << 30
	DefaultTime         = 24 * time.Hour
	DefaultParallel     = 4
)

// Event is one command that has been run on one component.
type Event struct {
	Section   manifest.Section
	Shared    bool  // in a shared sequence, ahead of Section
	Manifest  []int // from the root to the dependency, by component index; nil: the root
	Path      []int // in the sequence of that manifest; see Step
	Component int   // -1 for set-component-index and override-multiple
	ID        manifest.ComponentID
	Command   manifest.Code
	Policy    manifest.ReportingPolicy
	Err       error                // nil: success; ErrCondition: perhaps softened afterwards
	Seen      *manifest.Parameters // what a condition has found; nil if unknown
	Replayed  bool                 // not done again, as the journal has it
}

// Offset is the place of the outermost command, in bytes from the start of the
// byte string that holds the sequence.
func (e *Event) Offset() int { return e.Path[0] }

// Processor runs one manifest, and those it depends on, on one platform. It is
// not safe for concurrent use.
type Processor struct {
	o       Options
	root    *unit
	targets []*target
	number  func() int // of the next swap
	journal Journal    // of this Run

	processed []Processed // dependencies of the last Run
}

// New returns a processor for v, unless v is not for this device now. It has no
// effects; conditions of the shared sequence may be put to the platform.
//
// Errors: manifest.ErrSequence below the floor, or if no later number exists, with verify.ErrPolicy
// too far above it;
// manifest.ErrUnsupported for dependencies without Options for them, and for conditions that the device or its component cannot tell, in the
// latter case with manifest.ErrComponent;
// manifest.ErrComponent for a component that is unknown; manifest.ErrNotApplicable if vendor, class or device are not this
// device's, or if the shared sequence does not check vendor and class;
// verify.ErrPolicy if Access refuses; manifest.ErrCommand, ErrParameter and
// manifest.ErrBudget if it cannot be run. All but ErrOptions, ErrSequence and
// ErrUnsupported of dependencies come in an *Error.
//
// draft-ietf-suit-manifest-37, sections 6.1 and 6.2.
func New(ctx context.Context, v *manifest.Verified, o Options) (*Processor, error) {
	if err := o.complete(v); err != nil {
		return nil, err
	}
	p := &Processor{o: o, number: randomNumber}
	root, err := p.newUnit(v, o.SequenceFloor)
	if err == nil {
		err = root.findTargets()
	}
	if err != nil {
		return nil, err
	}
	p.root = root
	if err := p.applicable(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (o *Options) complete(v *manifest.Verified) error {
	var none manifest.UUID
	l := &o.Limits
	switch {
	case v == nil || v.Digest().IsZero():
		return fmt.Errorf("%w: no manifest", ErrOptions)
	case o.Platform == nil:
		return fmt.Errorf("%w: no platform", ErrOptions)
	case !o.Compat.has(CompatUnidentified) && ((o.Identity.VendorID == none && o.Identity.VendorPEN == "") || o.Identity.ClassID == none):
		return fmt.Errorf("%w: identity without vendor or class", ErrOptions)
	case l.Commands < 0 || l.Depth < 0 || l.Dependencies < 0 || l.Envelopes < 0 || l.Bytes < 0 || l.Time < 0 || l.Parallel < 0:
		return fmt.Errorf("%w: negative limit", ErrOptions)
	case o.Dependencies != nil && (o.Dependencies.Open == nil || o.Dependencies.Floor == nil):
		return fmt.Errorf("%w: dependencies without a way to open them, or without sequence floors", ErrOptions)
	}
	o.SequenceJump = orDefault(o.SequenceJump, DefaultSequenceJump)
	if o.CheckURI == nil {
		o.CheckURI = CheckURI
	}
	l.Commands = orDefault(l.Commands, DefaultCommands)
	l.Depth = orDefault(l.Depth, DefaultDepth)
	l.Dependencies = orDefault(l.Dependencies, DefaultDependencies)
	l.Envelopes = orDefault(l.Envelopes, DefaultEnvelopes)
	l.Bytes = orDefault(l.Bytes, DefaultBytes)
	l.Time = orDefault(l.Time, DefaultTime)
	l.Parallel = orDefault(l.Parallel, DefaultParallel)
	return nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// applicable evaluates the shared sequence alone.
func (p *Processor) applicable(ctx context.Context) error {
	if err := p.root.capable(manifest.SectionShared); err != nil {
		return err
	}
	m := p.machine(nil, rehearsal)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.top(ctx, manifest.SectionShared, true); err != nil {
		return err
	}
	if !p.o.Compat.has(CompatUnidentified) && (!m.vendor || !m.class) {
		return &Error{Section: manifest.SectionShared, Component: -1, Err: fmt.Errorf(
			"%w: the shared sequence has not checked both vendor and class", manifest.ErrNotApplicable)}
	}
	return nil
}

// procedure is the order of the sections: the Update Procedure, made of the
// Staging and the Installation Procedure, and then the Invocation Procedure,
// which has validate in common with it (manifest-37, section 8.4.6; trust-domains-12, section 7).
var procedure = []manifest.Section{
	manifest.SectionShared, // ahead of each, never asked for
	manifest.SectionDependencyResolution,
	manifest.SectionPayloadFetch,
	manifest.SectionCandidateVerification,
	manifest.SectionInstall,
	manifest.SectionValidate,
	manifest.SectionLoad,
	manifest.SectionInvoke,
	manifest.SectionUninstall,
}

// Check finds what would make Run refuse the sections, and nothing else: it
// evaluates them as Run would, with the effects left out; an image-match of what is there already is
// assumed to hold where it could not be softened. The errors
// are those of Run. A dependency that is not there before Run has fetched it is checked then.
func (p *Processor) Check(ctx context.Context, sections ...manifest.Section) error {
	_, err := p.DryRun(ctx, sections...)
	return err
}

// DryRun is Check and returns what Run would do, as far as that is known before
// the first effect: one Event for each command.
func (p *Processor) DryRun(ctx context.Context, sections ...manifest.Section) ([]Event, error) {
	r, err := p.begin()
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.limited(ctx)
	defer cancel()
	_, m, err := p.rehearse(ctx, sections, r, false)
	if m == nil {
		return nil, err
	}
	return m.events, err
}

// Run runs the sections, which must be in the order dependency-resolution,
// payload-fetch, candidate-verification, install, validate, load, invoke, each at most
// once, or uninstall alone. Parameters live for one Run. Before the first effect Run does
// what Check does, and once a dependency is there that was not, it does that again before the next effect.
//
// Errors of the manifest come in an *Error around a sentinel of package
// manifest or of this one; those of the platform are wrapped as they are. After an
// error, a cut or a cancelled ctx, call Run again with the same sections, on a new
// Processor over the same Journal after a restart. A run that is finished, or given up, has
// its steps removed by the Journal's owner.
func (p *Processor) Run(ctx context.Context, sections ...manifest.Section) error {
	p.processed = nil
	r, err := p.begin()
	if err != nil {
		return err
	}
	ctx, cancel := p.limited(ctx)
	defer cancel()
	kept, rehearsed, err := p.rehearse(ctx, sections, r, true)
	if err != nil {
		return err
	}
	if kept != r {
		if err := p.append(Step{Kind: StepBegin}); err != nil {
			return err
		}
	}
	m := p.machine(kept, performance)
	m.guessed = rehearsed.guessed
	m.again = func() error {
		done, err := p.replay()
		if err != nil {
			return err
		}
		rehearsed, err := p.try(ctx, sections, done, false)
		m.guessed = rehearsed.guessed
		return err
	}
	defer func() { p.processed = m.processed }()
	return p.perform(ctx, sections, m)
}

// limited bounds ctx by the time budget.
func (p *Processor) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.o.Limits.Time,
		fmt.Errorf("%w: run longer than %v", manifest.ErrBudget, p.o.Limits.Time))
}

// rehearse returns the replay to run with: r, or a fresh one if r does not fit
// the device as it is now. If it finishes, a swap that had begun is completed.
func (p *Processor) rehearse(ctx context.Context, sections []manifest.Section, r *replay, finishes bool) (*replay, *machine, error) {
	if err := p.plan(sections); err != nil {
		return nil, nil, err
	}
	m, err := p.try(ctx, sections, r, finishes)
	for _, s := range m.state {
		r.changes = append(r.changes, s.past)
	}
	if r.empty() || !(errors.Is(err, errStale) || errors.Is(err, manifest.ErrCondition)) {
		return r, m, err
	}
	r = newReplay()
	m, err = p.try(ctx, sections, r, false)
	return r, m, err
}

// plan checks what sections are asked for and that the platform can do them.
func (p *Processor) plan(sections []manifest.Section) error {
	last := 0
	for _, s := range sections {
		i := slices.Index(procedure, s)
		if i <= last || (s == manifest.SectionUninstall && len(sections) > 1) {
			return fmt.Errorf("%w: section %v not expected here", ErrOptions, s)
		}
		last = i
		place := Error{Section: s, Component: -1}
		if p.root.m.Severed(s) {
			place.Err = ErrSevered
			return &place
		}
		if _, ok := p.root.m.Section(s); !ok && required(s) {
			place.Err = ErrAbsent
			return &place
		}
		if err := p.root.capable(s); err != nil {
			return err
		}
	}
	if last == 0 {
		return fmt.Errorf("%w: no section to run", ErrOptions)
	}
	return nil
}

// invocation reports whether s is of the Invocation Procedure. The Update Procedure has validate, too, but what it has checked
// until then may be what it has changed since.
func invocation(s manifest.Section) bool {
	return s == manifest.SectionValidate || s == manifest.SectionLoad || s == manifest.SectionInvoke
}

// required reports whether a request for section s cannot be met by doing nothing.
func required(s manifest.Section) bool {
	return s == manifest.SectionValidate || s == manifest.SectionInvoke || s == manifest.SectionUninstall
}

// perform runs the sections on m, the shared sequence before each.
func (p *Processor) perform(ctx context.Context, sections []manifest.Section, m *machine) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range sections {
		if invocation(s) && (i == 0 || !invocation(sections[i-1])) {
			m.opened = map[edge]*unit{} // the Invocation Procedure checks again
		}
		if _, ok := p.root.m.Section(s); ok {
			if err := m.top(ctx, s, true); err != nil {
				return err
			}
			if err := m.top(ctx, s, false); err != nil {
				return err
			}
		}
		if err := m.lockstep(ctx, s); err != nil {
			return err
		}
		if err := m.settled(); err != nil {
			return err
		}
	}
	return nil
}
