// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"
	"maps"

	"github.com/firmament-dev/firmament/manifest"
)

// Journal keeps the steps of runs over restarts. It belongs to the caller, who
// may keep other things in the same log and removes the steps of a run that is
// finished or given up. A power cut at any point leaves the steps appended so far, in
// order; the one being appended is there whole or not at all.
type Journal interface {
	// Steps returns all steps in the order they were appended. Steps of other
	// manifests may be among them. An effect of another one voids what was before it: a run of this one begins anew.
	Steps() ([]Step, error)

	// Append adds a step. It is durable when Append returns nil.
	Append(s Step) error
}

// errStale: the journal leads elsewhere than the device now does.
var errStale = fmt.Errorf("%w: does not fit the device any more", ErrJournal)

// replay is what a journal says about one manifest.
type replay struct {
	done    map[string]bool // effects that are complete
	choices map[string]int  // alternatives taken
	matches map[string]bool // outcomes of conditions on content
	started map[string]int  // effects that have begun, with the numbers of swaps
	changes []int           // by target.n: how many of those change the component; known once it has been rehearsed
}

func newReplay() *replay {
	return &replay{done: map[string]bool{}, choices: map[string]int{}, matches: map[string]bool{}, started: map[string]int{}}
}

// reuse returns a copy for one machine, which adds its own choices.
func (r *replay) reuse() *replay {
	return &replay{done: r.done, choices: maps.Clone(r.choices), matches: r.matches, started: r.started, changes: r.changes}
}

func (r *replay) empty() bool { return len(r.done)+len(r.choices)+len(r.matches)+len(r.started) == 0 }

// memory is the journal of one Run without a Journal, for its later rehearsals.
type memory []Step

func (j *memory) Steps() ([]Step, error) { return *j, nil }

func (j *memory) Append(s Step) error {
	*j = append(*j, s)
	return nil
}

// begin returns what the journal has before a Run.
func (p *Processor) begin() (*replay, error) {
	if p.journal = p.o.Journal; p.journal == nil {
		p.journal = new(memory)
	}
	return p.replay()
}

// replay reads the steps of this manifest since the last StepBegin, or the last effect of another manifest, which may have changed
// the same components.
func (p *Processor) replay() (*replay, error) {
	r := newReplay()
	steps, err := p.journal.Steps()
	if err != nil {
		return nil, fmt.Errorf("%w: read: %w", ErrJournal, err)
	}
	for _, s := range steps {
		if s.Manifest != p.root.v.Digest() {
			if s.Kind == StepStarted || s.Kind == StepDone {
				r = newReplay()
			}
			continue
		}
		key := s.key()
		switch s.Kind {
		case StepBegin:
			r = newReplay()
		case StepDone:
			r.done[key] = true
		case StepChoice:
			r.choices[key] = s.Value
		case StepMatch:
			r.matches[key] = s.Value == held
		case StepStarted:
			r.started[key] = s.Value
		default:
			return nil, fmt.Errorf("%w: step of unknown kind %d", ErrJournal, s.Kind)
		}
	}
	return r, nil
}

// append adds a step of this manifest to the journal.
func (p *Processor) append(s Step) error {
	s.Manifest = p.root.v.Digest()
	if err := p.journal.Append(s); err != nil {
		return fmt.Errorf("%w: append: %w", ErrJournal, err)
	}
	return nil
}

// journaled reports whether the section can be resumed. The others decide
// about booting and are run whole every time.
func (m *machine) journaled() bool {
	switch m.section {
	case manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke:
		return false
	}
	return true
}

// key identifies a command of this run by its place.
func (m *machine) key(path []int) string {
	s := Step{Section: m.section, Shared: m.shared, Path: path}
	return s.key()
}

// now journals a step.
func (m *machine) now(kind StepKind, path []int, value int) error {
	if !m.journaled() {
		return nil
	}
	return m.append(m.step(kind, path, value))
}

// later journals a step with the next effect; without one it need not be known.
func (m *machine) later(kind StepKind, path []int, value int) {
	if m.mode == performance && m.journaled() {
		m.pending = append(m.pending, m.step(kind, path, value))
	}
}

func (m *machine) step(kind StepKind, path []int, value int) Step {
	return Step{Section: m.section, Shared: m.shared, Path: append([]int(nil), path...), Kind: kind, Value: value}
}

// flush journals what waits for an effect.
func (m *machine) flush() error {
	for len(m.pending) > 0 {
		if err := m.append(m.pending[0]); err != nil {
			return err
		}
		m.pending = m.pending[1:]
	}
	return nil
}

// choose settles an alternative: it must be the one that was taken before an
// interruption, and is journaled if that is new.
func (m *machine) choose(t *try) error {
	if !m.journaled() {
		return nil
	}
	key := m.key(t.path)
	known, ok := m.replayed.choices[key]
	switch {
	case !ok:
		m.replayed.choices[key] = t.choice
		m.later(StepChoice, t.path, t.choice)
	case known != t.choice:
		return fmt.Errorf("%w: alternative %d of the try-each at %v was taken, now it would be %d",
			errStale, known, t.path, t.choice)
	}
	return nil
}
