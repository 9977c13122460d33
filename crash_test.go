// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// crashWorld is one device that goes from release 1 to release 2, over storage that loses power.
type crashWorld struct {
	world
	v1, v2   release
	slotSize int64
	signed   []byte // slot B once it holds v2
}

func newCrashWorld(ctx context.Context) (*crashWorld, error) {
	s, err := newShop(ctx)
	if err != nil {
		return nil, err
	}
	// Eight chunks, and room behind them, so that there is a tail to erase.
	w := between(world{}, newRelease(1, image(1, 5*chunkSize+100)), newRelease(2, image(2, 7*chunkSize+1000)), 9*chunkSize)
	f, err := s.publish(ctx, w.v2)
	if err != nil {
		return nil, err
	}
	w.server = &server{files: f}
	w.root = f["metadata/1.root.json"]
	w.now = func() time.Time { return start }
	return w, nil
}

// between is the crashWorld of a device with slots of that size, between two releases.
func between(w world, v1, v2 release, slotSize int64) *crashWorld {
	signed := make([]byte, slotSize)
	copy(signed, v2.image)
	return &crashWorld{world: w, v1: v1, v2: v2, slotSize: slotSize, signed: signed}
}

// TestMain lets garbage lie: explorations make much of it, and keep little.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(m.Run())
}

// workload is a full update: two boots, with everything that is written in them.
func (w *crashWorld) workload(ctx context.Context) simfs.Workload {
	return simfs.Workload{
		Setup:   func(sim *simfs.Sim) error { return w.setup(ctx, sim) },
		Run:     func(sim *simfs.Sim) error { return w.run(ctx, sim) },
		Recover: func(sim *simfs.Sim) error { return w.recover(ctx, sim) },
		Cycle:   func(sim *simfs.Sim) error { return w.cycle(ctx, sim) },
	}
}

func (w *crashWorld) setup(ctx context.Context, sim *simfs.Sim) error {
	if err := w.provision(ctx, sim, w.slotSize, w.v1); err != nil {
		return err
	}
	// The slot to be written holds something old, up to its end.
	_, err := sim.Device("slot-b", 0).WriteAt(bytes.Repeat([]byte{oldByte}, int(w.slotSize)), 0)
	return err
}

func (w *crashWorld) run(ctx context.Context, sim *simfs.Sim) error {
	d, err := w.powerOn(sim)
	if err != nil {
		return err
	}
	if err := d.install(ctx); err != nil {
		return errors.Join(err, d.updater.Close())
	}
	sim.Ack("staged", uint64(2))
	if err := d.updater.Close(); err != nil {
		return err
	}
	if d, err = w.powerOn(sim); err != nil {
		return err
	}
	if _, err := d.updater.Resume(ctx); err != nil {
		return errors.Join(err, d.updater.Close())
	}
	if err := d.updater.Accept(ctx); err != nil {
		return errors.Join(err, d.updater.Close())
	}
	sim.Ack("accepted", uint64(2))
	return d.updater.Close()
}

// install is the agent's work in the confirmed image.
func (d *device) install(ctx context.Context) error {
	if _, err := d.updater.Resume(ctx); err != nil {
		return err
	}
	o, err := d.updater.Check(ctx)
	if errors.Is(err, firmament.ErrNoUpdate) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.updater.Apply(ctx, o)
}

// recover is one boot after the fault, with the work that an agent does then: it may be cut in its turn. The invariants
// are checked at each stage.
func (w *crashWorld) recover(ctx context.Context, sim *simfs.Sim) error {
	if err := w.checkSlots(ctx, sim); err != nil {
		return err
	}
	d, err := w.powerOn(sim)
	if err != nil {
		return classify(err)
	}
	err = w.agent(ctx, sim, d)
	return errors.Join(err, d.updater.Close())
}

func (w *crashWorld) agent(ctx context.Context, sim *simfs.Sim, d *device) error {
	st, err := d.updater.Resume(ctx)
	if err != nil {
		return classify(err)
	}
	if err := w.check(ctx, sim, d, st); err != nil {
		return err
	}
	if st.State == install.Trial {
		err = d.updater.Accept(ctx)
	} else {
		err = d.install(ctx)
	}
	if err != nil {
		return classify(err)
	}
	if st, err = d.updater.Status(ctx); err != nil {
		return classify(err)
	}
	return w.check(ctx, sim, d, st)
}

// classify names the invariant that err breaks. A device that cannot read its state is not atomic (S2), one that finds
// nothing to boot not bootable (S1); anything else is a device that does not go on (S5).
func classify(err error) error {
	switch {
	case errors.Is(err, install.ErrNoBootable):
		return simfs.Violated("S1", "%w", err)
	case errors.Is(err, firmament.ErrJournal), errors.Is(err, install.ErrState):
		return simfs.Violated("S2", "%w", err)
	case errors.Is(err, install.ErrVerifyAfterWrite):
		return simfs.Violated("S7", "%w", err)
	}
	return err
}

// checkSlots looks at the medium as the boot loader finds it: what may boot is exactly one signed image (S1, S7).
func (w *crashWorld) checkSlots(ctx context.Context, sim *simfs.Sim) error {
	rec, err := slot.OpenBootRecord(sim.FS(), "boot")
	if err != nil {
		return simfs.Violated("S1", "boot record: %w", err)
	}
	b, err := rec.Boot(ctx)
	if err != nil {
		return simfs.Violated("S1", "boot record: %w", err)
	}
	for _, n := range []int{b.Confirmed, b.Trial} {
		if n == install.NoSlot {
			continue
		}
		img, err := rec.Image(n)
		if err != nil {
			return simfs.Violated("S1", "boot record: %w", err)
		}
		want := w.v1.image
		if img == w.v2.img() {
			want = w.v2.image
		} else if img != w.v1.img() {
			return simfs.Violated("S7", "slot %s may boot and is recorded as %v, which nobody signed", slot.Name(n), img)
		}
		got := make([]byte, len(want))
		if _, err := sim.Device([]string{"slot-a", "slot-b"}[n], 0).ReadAt(got, 0); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			inv := "S7"
			if n == b.Confirmed {
				inv = "S1"
			}
			return simfs.Violated(inv, "slot %s may boot and does not hold what the boot record says", slot.Name(n))
		}
	}
	return w.checkBytes(sim)
}

// oldByte is what slot B is filled with before the update.
const oldByte = 0xee

// checkBytes wants every byte of slot B to be the old one, the signed one, or, behind the image, an erased one: whatever
// was torn, nothing came there that no author signed (S7).
func (w *crashWorld) checkBytes(sim *simfs.Sim) error {
	b := make([]byte, w.slotSize)
	if _, err := sim.Device("slot-b", 0).ReadAt(b, 0); err != nil {
		return err
	}
	// Most of it is one or the other in long runs; only what is mixed is looked at byte by byte.
	old := bytes.Repeat([]byte{oldByte}, 1024)
	for from := 0; from < len(b); from += len(old) {
		part := b[from:min(from+len(old), len(b))]
		if bytes.Equal(part, w.signed[from:from+len(part)]) || bytes.Equal(part, old[:len(part)]) {
			continue
		}
		for i, c := range part {
			if want := w.signed[from+i]; c != oldByte && c != want {
				return simfs.Violated("S7", "byte %d of slot B is %#x: neither the old one nor the signed %#x", from+i, c, want)
			}
		}
	}
	return nil
}

// check compares the device's state with what was acknowledged before power failed (S3), and what only grows with what it
// stands for (S4).
func (w *crashWorld) check(ctx context.Context, sim *simfs.Sim, d *device, st firmament.Status) error {
	count, err := d.counter.Value(ctx)
	if err != nil {
		return simfs.Violated("S4", "counter: %w", err)
	}
	b, err := d.boot.Boot(ctx)
	if err != nil {
		return simfs.Violated("S2", "boot record: %w", err)
	}
	accepted := st.Accepted.Sequence
	switch {
	case accepted != 1 && accepted != 2:
		return simfs.Violated("S2", "release %d is accepted, want 1 or 2", accepted)
	case st.State == install.Updated && accepted != 2:
		return simfs.Violated("S2", "state is Updated, release %d is accepted", accepted)
	case count < 1 || count > accepted:
		return simfs.Violated("S4", "counter is %d, release %d is accepted", count, accepted)
	case accepted == 1 && b.Confirmed != 0, accepted == 2 && b.Confirmed != 1:
		return simfs.Violated("S2", "release %d is accepted, slot %s is confirmed", accepted, slot.Name(b.Confirmed))
	case accepted == 2 && count != 2:
		return simfs.Violated("S2", "release 2 is accepted, counter is %d after Resume", count)
	case sim.Acked("accepted") != nil && accepted != 2:
		return simfs.Violated("S3", "Accept returned, release %d is accepted", accepted)
	case sim.Acked("staged") != nil && st.State != install.Staged && st.State != install.Trial && st.State != install.Updated:
		return simfs.Violated("S3", "Apply returned, the state is %s", st.State)
	}
	return nil
}

// cycle lets the device go on without faults: it must come to release 2, with nobody's help (S5).
func (w *crashWorld) cycle(ctx context.Context, sim *simfs.Sim) error {
	const boots = 4
	for range boots {
		if err := w.recover(ctx, sim); err != nil {
			return err
		}
		d, err := w.powerOn(sim)
		if err != nil {
			return classify(err)
		}
		st, err := d.updater.Status(ctx)
		reports := d.updater.Reports()
		b, berr := d.boot.Boot(ctx)
		if err := errors.Join(err, berr, d.updater.Close()); err != nil {
			return classify(err)
		}
		if st.State == install.Updated && st.Accepted.Sequence == 2 && b.Current == 1 {
			if len(reports) != 1 || reports[0].State != install.Updated {
				return simfs.Violated("S8", "reports are %v, want one that says Updated", reports)
			}
			return w.checkTail(sim)
		}
	}
	return fmt.Errorf("release 2 is not confirmed after %d boots", boots)
}

// checkTail wants nothing of the slot's former content behind the image (STO-17).
func (w *crashWorld) checkTail(sim *simfs.Sim) error {
	tail := make([]byte, w.slotSize-int64(len(w.v2.image)))
	if _, err := sim.Device("slot-b", 0).ReadAt(tail, int64(len(w.v2.image))); err != nil {
		return err
	}
	if len(bytes.Trim(tail, "\x00")) > 0 {
		return simfs.Violated("S7", "slot B has old bytes behind the image")
	}
	return nil
}

// TestM1_PowerCuts explores every operation of a full update, every class of fault at it, and every second fault during the
// recovery: fetch checkpoint, TUF cache, journal, slots, boot record and counter together.
//
// covers: STO-01 STO-05 STO-06 TUF-23 BOO-04
func TestM1_PowerCuts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes; TestM1_Sample does a part of it")
	}
	table := explore(t, simfs.ExploreOptions{Seed: 1, Variants: 1700, SecondTotal: 40000})
	if empty := table.Empty(); len(empty) > 0 {
		t.Errorf("empty cells: %v", empty)
	}
	if n := table.Distinct; n < 20000 {
		t.Errorf("%d distinct states, want at least 20000", n)
	}
}

// TestM1_Sample is a part of TestM1_PowerCuts: every operation and class, with fewer variants. The mutants run it.
func TestM1_Sample(t *testing.T) { explore(t, simfs.ExploreOptions{Seed: 2, SecondTotal: 3000}) }

func explore(t *testing.T, o simfs.ExploreOptions) *simfs.Table {
	t.Helper()
	w, err := newCrashWorld(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := simfs.Explore(t, w.workload(t.Context()), o)
	t.Logf("power cuts and failures during one full update\n%s", table)
	return table
}
