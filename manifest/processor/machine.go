// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// mode says whether a machine has effects.
type mode bool

const (
	rehearsal   mode = false
	performance mode = true
)

// machine is the abstract machine of section 6.4: one strand of a Run or
// rehearsal. Under strict-order false there are several, which share all but their place.
type machine struct {
	*strands
	u       *unit // whose sequence is being run
	base    int   // where its part of path begins
	section manifest.Section
	shared  bool
	path    []int
	depth   int
	jobs    []place // of the strand, from the outside in; nil for the first
}

// strands is what the machines of one Run share. Whoever runs holds mu, and gives
// it away only while the platform works (call).
type strands struct {
	*Processor
	mu       sync.Mutex
	working  chan struct{} // one for each call to the platform that other strands may run beside
	flights  int           // calls to the platform
	landed   *sync.Cond    // one less
	mode     mode
	state    []*componentState         // by target.n
	opened   map[edge]*unit            // dependencies whose integrity has been checked
	kept     map[*target]verify.Digest // what was opened in this Run, and has to stay where it is
	unopened map[checked]sections      // what dependencies have that are there all the same
	done     map[checked]sections      // sections of dependencies that have been processed
	replayed *replay
	pending  []Step               // choices that no effect has depended on yet
	events   []Event              // of a rehearsal
	denied   []string             // of a rehearsal: commands whose answer, which nobody knows, it takes to be no, by key
	guesses  []string             // or yes, since the last of those
	compared map[comparison]error // what a rehearsal has asked the platform
	guessed  map[*target]bool     // a rehearsal has taken the integrity of what will be there for granted
	late     bool                 // something of that is there now
	again    func() error         // rehearses with it
	unseen   int                  // how often a rehearsal has passed a dependency that is not there yet
	vague    bool                 // it has guessed since
	finishes bool                 // a rehearsal that completes a swap that had begun
	acted    bool                 // a custom directive, what was invoked or a dependency that is not there yet may have changed any component

	commands      int
	bytes         int64
	vendor, class bool // has a condition on it held?
	processed     []Processed
}

type sections map[manifest.Section]bool

// edge is a dependency of a manifest, by where it is kept. What one manifest has checked is not checked for another.
type edge struct {
	by *unit
	t  *target
}

// checked is the manifest that an edge leads to.
type checked struct {
	edge
	digest verify.Digest
}

// componentState is what a machine knows of one component.
type componentState struct {
	params   manifest.Parameters
	source   *unit     // whose index params.SourceComponent is
	written  bool      // changed in this Run
	unlinked []*unit   // in this rehearsal
	matched  match     // what the content was last found to be, in this Run
	failed   error     // an image-match that was softened and is not made good
	holds    *foreseen // once written: what, as far as a rehearsal can know; nil: no idea
	past     int       // how many effects from before the interruption have changed it, up to here
	assumed  bool      // a rehearsal has taken its integrity for granted
	unseen   int       // strands.unseen when it was written
}

// match is an image-match, or one that has held: the content begins with size bytes of that digest. Zero: none.
type match struct {
	digest   verify.Digest
	size     int64 // -1: it is all of the content
	envelope bool  // it is the manifest in the envelope that has the digest
	recalled bool  // only the journal says so
}

// frame is one sequence being run.
type frame struct {
	parent  *frame
	current []int // components that a command applies to, in order; nil: none selected yet
	several bool  // current was selected by true or a list
	all     bool  // current was selected by true
	nested  bool
	soft    bool // suit-parameter-soft-failure
	strict  bool // suit-parameter-strict-order
	indices int  // set-component-index commands still allowed, -1: any number
	effects bool // has a command in it, nested ones included, had an effect?
	try     *try // if it is an alternative

	uses map[*target]use // while strict is false
}

// try is the try-each of an alternative: its own path and the alternative's number.
type try struct {
	path   []int
	choice int
}

func (p *Processor) machine(r *replay, mode mode) *machine {
	if r == nil {
		r = newReplay()
	}
	m := &machine{u: p.root, strands: &strands{Processor: p, working: make(chan struct{}, p.o.Limits.Parallel), mode: mode, replayed: r.reuse(),
		compared: map[comparison]error{}, guessed: map[*target]bool{}, opened: map[edge]*unit{}, kept: map[*target]verify.Digest{}, unopened: map[checked]sections{}, done: map[checked]sections{}}}
	m.landed = sync.NewCond(&m.mu)
	return m
}

// at returns the state of component c of the current manifest.
//
//go:noinline
func (m *machine) at(c int) *componentState { return m.of(m.u.targets[c]) }

// of is called in so many places that its copies would take 16 KB of a small agent.
//
//go:noinline
func (s *strands) of(t *target) *componentState {
	for len(s.state) <= t.n {
		s.state = append(s.state, new(componentState))
	}
	return s.state[t.n]
}

func (m *machine) component(c int) Component { return m.u.targets[c].c }

func (m *machine) id(c int) manifest.ComponentID { return cloneID(m.u.targets[c].id) }

// call lets the platform work while other strands run, at most Limits.Parallel at a time.
func (s *strands) call(work func() error) error {
	s.flights++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.flights--
		s.landed.Broadcast()
	}()
	s.working <- struct{}{}
	defer func() { <-s.working }()
	return work()
}

// top runs the shared sequence ahead of section s, or the sequence of s itself.
func (m *machine) top(ctx context.Context, s manifest.Section, shared bool) error {
	m.section, m.shared = s, shared
	if shared {
		s = manifest.SectionShared
	}
	seq, _ := m.u.m.Section(s)
	f := frame{strict: true, indices: -1}
	if all := m.u.m.Indices(); len(all) == 1 {
		f.current = all
	}
	return m.sequence(ctx, &f, seq)
}

// sequence runs seq in f. A failed condition is an *Error with soft set.
func (m *machine) sequence(ctx context.Context, f *frame, seq manifest.Sequence) error {
	for len(seq) > 0 {
		n := f.batch(seq)
		if err := m.together(ctx, f, seq[:n]); err != nil {
			return err
		}
		seq = seq[n:]
	}
	return nil
}

// together runs commands that need not wait for each other, most often one.
func (m *machine) together(ctx context.Context, f *frame, cmds manifest.Sequence) error {
	cmd := &cmds[0]
	switch cmd.Code {
	case manifest.DirectiveSetComponentIndex, manifest.DirectiveOverrideMultiple:
		m.path = append(m.path, cmd.Offset)
		defer func() { m.path = m.path[:len(m.path)-1] }()
		return m.selects(ctx, f, cmd)
	}
	if f.current == nil {
		m.path = append(m.path, cmd.Offset)
		defer func() { m.path = m.path[:len(m.path)-1] }()
		return m.fail(cmd, -1, fmt.Errorf("%w: no component selected", manifest.ErrCommand))
	}
	var jobs []job
	for i := range cmds {
		for _, c := range m.selected(f, &cmds[i]) {
			jobs = append(jobs, job{&cmds[i], c})
		}
	}
	if f.strict || len(jobs) < 2 {
		for _, j := range jobs {
			if err := m.command(ctx, f, j.cmd, j.c); err != nil {
				return err
			}
		}
		return nil
	}
	return m.parallel(ctx, f, jobs)
}

// selected returns the components that cmd applies to. True selects for
// process-dependency the dependencies only.
func (m *machine) selected(f *frame, cmd *manifest.Command) []int {
	if cmd.Code != manifest.DirectiveProcessDependency || !f.all {
		return f.current
	}
	return slices.DeleteFunc(slices.Clone(f.current), func(c int) bool {
		_, ok := m.u.m.Dependency(c)
		return !ok
	})
}

// selects runs a command that selects components.
func (m *machine) selects(ctx context.Context, f *frame, cmd *manifest.Command) error {
	err := m.spend(ctx)
	switch {
	case err != nil:
	case cmd.Code == manifest.DirectiveSetComponentIndex:
		err = m.setIndex(f, *cmd.Index, false)
	default:
		err = m.overrideMultiple(f, cmd)
	}
	if err != nil {
		err = m.fail(cmd, -1, err)
	}
	m.tell(cmd, -1, err, false)
	return err
}

// command runs cmd on component c.
func (m *machine) command(ctx context.Context, f *frame, cmd *manifest.Command, c int) error {
	m.path = append(m.path, cmd.Offset)
	defer func() { m.path = m.path[:len(m.path)-1] }()
	if err := m.spend(ctx); err != nil {
		return m.fail(cmd, c, err)
	}
	m.path = append(m.path, c)
	replayed, err := false, m.touches(cmd, c)
	if err == nil {
		replayed, err = m.apply(ctx, f, cmd, c)
	}
	if err != nil {
		err = m.fail(cmd, c, err)
	}
	m.tell(cmd, c, err, replayed)
	m.path = m.path[:len(m.path)-1]
	return err
}

// apply runs cmd on component c. It is replayed if the journal had its outcome.
func (m *machine) apply(ctx context.Context, f *frame, cmd *manifest.Command, c int) (replayed bool, err error) {
	switch cmd.Code {
	case manifest.ConditionVendorID, manifest.ConditionClassID, manifest.ConditionDeviceID:
		return false, m.identity(cmd.Code, c)
	case manifest.ConditionImageMatch:
		return m.imageMatch(ctx, f, c)
	case manifest.ConditionImageNotMatch:
		return m.imageNotMatch(ctx, f, c)
	case manifest.ConditionCheckContent:
		return m.checkContent(ctx, f, c)
	case manifest.ConditionVersion:
		return m.version(ctx, f, c)
	case manifest.ConditionComponentSlot:
		return false, m.slot(ctx, c)
	case manifest.ConditionUseBefore:
		return false, m.useBefore(ctx, c)
	case manifest.ConditionMinimumBattery:
		return false, m.minimumBattery(ctx, c)
	case manifest.ConditionUpdateAuthorized:
		return m.authorized(ctx, f, c)
	case manifest.ConditionIsDependency:
		return false, m.isDependency(c)
	case manifest.ConditionDependencyIntegrity:
		return false, m.integrity(ctx, c)
	case manifest.ConditionAbort:
		return false, fmt.Errorf("%w: abort", manifest.ErrCondition)
	case manifest.DirectiveOverrideParameters:
		m.override(f, cmd.Parameters, c)
		return false, nil
	case manifest.DirectiveSetParameters:
		m.set(cmd.Parameters, c, false)
		return false, nil
	case manifest.DirectiveCopyParams:
		return false, m.copyParams(cmd, c)
	case manifest.DirectiveTryEach:
		return false, m.tryEach(ctx, f, cmd, c)
	case manifest.DirectiveRunSequence:
		return false, m.runSequence(ctx, f, cmd, c)
	case manifest.DirectiveProcessDependency:
		return false, m.processDependency(ctx, f, c)
	case manifest.DirectiveFetch:
		return m.fetch(ctx, f, c)
	case manifest.DirectiveWrite:
		return m.write(ctx, f, c)
	case manifest.DirectiveCopy:
		return m.copy(ctx, f, c)
	case manifest.DirectiveSwap:
		return m.swap(ctx, f, c)
	case manifest.DirectiveUnlink:
		return m.unlink(ctx, f, c)
	case manifest.DirectiveWait:
		return false, m.wait(ctx, c)
	case manifest.DirectiveInvoke:
		return m.invoke(ctx, f, c)
	}
	if cmd.Code <= manifest.MaxCustom {
		return m.custom(ctx, f, cmd, c)
	}
	return false, manifest.ErrUnsupported
}

// spend takes one command from the budget.
func (m *machine) spend(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.commands++
	if limit := m.o.Limits.Commands; m.commands > limit {
		return fmt.Errorf("%w: more than %d commands", manifest.ErrBudget, limit)
	}
	return nil
}

// spendBytes takes an image of n bytes from the budget, nothing if n is negative, as it is not known.
func (m *machine) spendBytes(n int64) error {
	if limit := m.o.Limits.Bytes; n > limit-m.bytes {
		return fmt.Errorf("%w: images of more than %d bytes", manifest.ErrBudget, limit)
	}
	m.bytes += max(n, 0)
	return nil
}

// fail puts err in its place, once. A failed condition stays soft as long as it only ends sequences.
func (m *machine) fail(cmd *manifest.Command, c int, err error) error {
	if placed, ok := errors.AsType[*Error](err); ok && placed == err {
		return placed
	}
	e := &Error{Section: m.section, Shared: m.shared, Manifest: m.u.walk, Kept: m.u.kept(), Path: slices.Clone(m.path[m.base:]), Component: c, Command: cmd.Code, Err: err}
	if c >= 0 {
		e.ID = m.id(c)
	}
	e.soft = m.u.condition(cmd.Code) && errors.Is(err, manifest.ErrCondition)
	return e
}

func (m *machine) tell(cmd *manifest.Command, c int, err error, replayed bool) {
	if m.mode == performance && m.o.OnEvent == nil {
		return
	}
	e := Event{Section: m.section, Shared: m.shared, Manifest: slices.Clone(m.u.walk), Path: slices.Clone(m.path[m.base:]), Component: c,
		Command: cmd.Code, Policy: cmd.Policy, Err: err, Seen: seen(err), Replayed: replayed}
	if c >= 0 {
		e.ID = m.id(c)
	}
	if err == nil && c >= 0 {
		e.Seen = found(cmd.Code, &m.at(c).params)
	}
	if m.mode == rehearsal {
		m.events = append(m.events, e)
		return
	}
	m.o.OnEvent(e)
}

// settled fails if an image-match before boot was softened and not made good.
func (m *machine) settled() error {
	for _, s := range m.state {
		if s.failed != nil {
			return s.failed
		}
	}
	return nil
}

// boots reports whether the section decides about booting, so that a failed
// image-match must not be hidden in it.
func (m *machine) boots() bool {
	switch m.section {
	case manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke:
		return true
	}
	return false
}
