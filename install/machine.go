// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
)

// An Entry is a transition of a Machine: the state that was reached, and the image it concerns.
type Entry struct {
	State State
	Image Image
}

// A Journal keeps a Machine's entries. There is one log behind all journals of a device; the Updater owns it.
type Journal interface {
	// Load returns the last entry, or the zero Entry (Ready) when there is none.
	Load() (Entry, error)
	// Record appends e. Durable when it returns nil.
	Record(e Entry) error
}

// A Machine is the durable state machine of one component. The boot loader is the authority for what is armed
// and what runs; the journal is the authority for what was written and what was decided. Query combines the two,
// so that a power cut between a change of the one and of the other is never seen.
//
// A Machine is not safe for concurrent use.
type Machine struct {
	inst Installer
	log  Journal
}

// NewMachine returns the machine that drives inst and records in log.
func NewMachine(inst Installer, log Journal) *Machine { return &Machine{inst: inst, log: log} }

// A Snapshot is what Query found.
type Snapshot struct {
	State  State
	Image  Image // what Writing and later states are about; zero in Ready
	Reboot bool  // see Status
}

// Query returns the component's state. It changes nothing.
func (m *Machine) Query(ctx context.Context) (Snapshot, error) {
	e, err := m.log.Load()
	if err != nil {
		return Snapshot{}, err
	}
	boot, err := m.inst.Query(ctx)
	if err != nil {
		return Snapshot{}, fmt.Errorf("query the boot control: %w", err)
	}
	r := Snapshot{State: e.State, Image: e.Image, Reboot: boot.Reboot}
	switch e.State {
	case Ready:
		// What the boot loader says counts if this journal does not know of it, for instance because it was lost.
		r.State = boot.State
	case Candidate:
		// Armed, and cut before the journal said so.
		if boot.State != Ready {
			r.State = boot.State
		}
	case Staged:
		r.State = boot.State
		if boot.State == Ready {
			// Only Accept ends a trial while the journal says Staged: it was cut before the journal said so.
			r.State = Updated
		}
	}
	return r, nil
}

// Begin starts, or goes on with, writing img. The writer is a [Resumer] only if the journal knows that img is
// what was being written there.
//
// A cut leaves the former candidate, unarmed, or the state Writing. ErrUnconfirmed while an image is on trial.
func (m *Machine) Begin(ctx context.Context, img Image) (Writer, error) {
	if img.Size <= 0 || img.Digest.IsZero() {
		return nil, fmt.Errorf("begin: image of %d bytes with digest %s: %w", img.Size, img.Digest, ErrBounds)
	}
	e, err := m.log.Load()
	if err != nil {
		return nil, err
	}
	if e.State == Staged {
		// Before the boot loader forgets the trial, so that its end cannot be taken for an acceptance.
		if err := m.log.Record(Entry{Candidate, e.Image}); err != nil {
			return nil, fmt.Errorf("record %s: %w", Candidate, err)
		}
	}
	w, err := m.inst.Begin(ctx, img)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	same := e == Entry{Writing, img}
	if !same {
		// The slot is unbootable by now; only then may the journal forget the former candidate.
		if err := m.log.Record(Entry{Writing, img}); err != nil {
			return nil, errors.Join(fmt.Errorf("record %s: %w", Writing, err), w.Close())
		}
	}
	mw := machineWriter{Writer: w, m: m, img: img}
	if r, ok := w.(Resumer); ok && same {
		return resumableWriter{mw, r}, nil
	}
	return mw, nil
}

// Install arms the trial boot of the candidate. From Staged it does nothing.
//
// A cut leaves Candidate or Staged. ErrState in any other state.
func (m *Machine) Install(ctx context.Context) error {
	r, err := m.Query(ctx)
	if err != nil {
		return err
	}
	switch r.State {
	case Staged:
	case Candidate:
		if err := m.inst.Install(ctx, r.Image); err != nil {
			return fmt.Errorf("arm the trial boot: %w", err)
		}
	default:
		return fmt.Errorf("install in state %s, want %s: %w", r.State, Candidate, ErrState)
	}
	return m.record(Entry{Staged, r.Image})
}

// Accept confirms the image on trial. Call it when the decision to accept is durable elsewhere: it works then even
// if the boot loader has given the trial up in between. From Updated it does nothing.
//
// A cut leaves Trial or Updated. ErrState in any other state; ErrVerifyAfterWrite if the boot loader gave the trial up
// because the image is damaged.
func (m *Machine) Accept(ctx context.Context) error {
	e, err := m.log.Load()
	if err != nil {
		return err
	}
	r, err := m.Query(ctx)
	if err != nil {
		return err
	}
	switch {
	case r.State == Updated:
	case r.State == Trial, r.State == Failed && e.State != Failed:
		if v, ok := m.inst.(Verifier); ok && r.State == Failed {
			if err := v.Verify(ctx, r.Image); err != nil {
				return fmt.Errorf("accept what the boot loader gave up: %w", err)
			}
		}
		// The journal must say Staged before the trial ends, or the end would not be taken for an acceptance.
		if err := m.record(Entry{Staged, r.Image}); err != nil {
			return err
		}
		if err := m.inst.Accept(ctx); err != nil {
			return fmt.Errorf("mark good: %w", err)
		}
	default:
		return fmt.Errorf("accept in state %s, want %s: %w", r.State, Trial, ErrState)
	}
	return m.record(Entry{Updated, r.Image})
}

// Reject gives up the image that is a candidate, staged, on trial or failed; the next boot brings up the
// confirmed one. From Rejected it finishes what a cut left undone.
//
// A cut leaves the former state or Rejected; call Reject again to be sure that the boot loader knows. ErrState in
// any other state.
func (m *Machine) Reject(ctx context.Context) error {
	r, err := m.Query(ctx)
	if err != nil {
		return err
	}
	switch r.State {
	case Candidate, Staged, Trial, Failed, Rejected:
	default:
		return fmt.Errorf("reject in state %s: %w", r.State, ErrState)
	}
	// The decision first: the boot loader's side can be done again, and is not mistaken for an acceptance.
	if err := m.record(Entry{Rejected, r.Image}); err != nil {
		return err
	}
	if err := m.inst.Reject(ctx); err != nil {
		return fmt.Errorf("reject: %w", err)
	}
	return nil
}

// Fail records that the boot loader gave the trial up. ErrState unless Query says Failed.
func (m *Machine) Fail(ctx context.Context) error {
	r, err := m.Query(ctx)
	if err != nil {
		return err
	}
	if r.State != Failed {
		return fmt.Errorf("record %s in state %s: %w", Failed, r.State, ErrState)
	}
	return m.record(Entry{Failed, r.Image})
}

// record appends e unless it is the last entry already.
func (m *Machine) record(e Entry) error {
	last, err := m.log.Load()
	if err != nil {
		return err
	}
	if last == e {
		return nil
	}
	if err := m.log.Record(e); err != nil {
		return fmt.Errorf("record %s: %w", e.State, err)
	}
	return nil
}

// machineWriter records Candidate when the medium was found to hold the image.
type machineWriter struct {
	Writer
	m   *Machine
	img Image
}

// Staging passes on what the installer's writer says.
func (w machineWriter) Staging() bool {
	s, ok := w.Writer.(Stager)
	return ok && s.Staging()
}

func (w machineWriter) Finish(ctx context.Context) error {
	if err := w.Writer.Finish(ctx); err != nil {
		return err
	}
	return w.m.record(Entry{Candidate, w.img})
}

type resumableWriter struct {
	machineWriter
	Resumer
}
