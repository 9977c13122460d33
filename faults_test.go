// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/durable"
)

// killed starts the agent again after a kill, without a reboot of the slots' choice.
func (b *bench) killed() firmament.Status {
	b.t.Helper()
	b.sim = b.sim.Restart()
	b.d = nil
	return b.boot()
}

// A release that cannot even begin does not lend its name to the image of the one before it: not to its acceptance, ...
func TestStagedThenTooBig(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.tooBig(3)
	wantError(t, b.install(), install.ErrBounds)
	if st := b.boot(); st.State != install.Trial || st.Current.Sequence != 2 {
		t.Fatalf("%+v, want Trial of release 2", st)
	}
	must(t, b.d.updater.Accept(t.Context()))
	b.wantState(install.Updated, 2)
	b.wantCounter(2)
	b.publish(3)
	must(t, b.install())
}

// ... nor to its failure.
func TestStagedThenTooBigThenFails(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.tooBig(3)
	wantError(t, b.install(), install.ErrBounds)
	for range slot.DefaultTries + 1 {
		b.boot()
	}
	if r := b.d.updater.Reports(); len(r) != 1 || r[0].Release.Sequence != 2 || r[0].State != install.Failed {
		t.Fatalf("reports %+v, want one that says that release 2 failed", r)
	}
	b.publish(3)
	must(t, b.install())
}

// tooBig offers a release that does not fit the slot.
func (b *bench) tooBig(seq uint64) {
	b.t.Helper()
	var err error
	b.server.files, err = b.shop.publish(b.t.Context(), newRelease(seq, image(byte(seq), 17*chunkSize)))
	must(b.t, err)
}

// Killed at any operation while a newer release takes the place of a staged one, the device knows which image it has.
func TestSTO_15_KilledWhileSuperseding(t *testing.T) {
	for n := 1; ; n++ {
		b := newBench(t)
		b.publish(2)
		must(t, b.install())
		b.publish(3)
		o, err := b.d.updater.Check(t.Context())
		must(t, err)
		b.sim.KillAfter(n)
		if b.d.updater.Apply(t.Context(), o) == nil {
			return
		}
		st := b.killed()
		boot, err := b.d.boot.Boot(t.Context())
		must(t, err)
		img, err := b.d.boot.Image(boot.Current)
		must(t, err)
		if st.State == install.Trial && img != newRelease(st.Current.Sequence, image(byte(st.Current.Sequence), 4*chunkSize)).img() {
			t.Fatalf("killed at operation %d: the image on trial goes by the name of release %d", n, st.Current.Sequence)
		}
	}
}

// A full disk ends one attempt, not all until the next start (STO-05).
func TestSTO_05_JournalMends(t *testing.T) {
	for n := 1; n < 10; n++ {
		b := newBench(t)
		b.publish(2)
		o, err := b.d.updater.Check(t.Context())
		must(t, err)
		b.sim.Fail(n, syscall.ENOSPC)
		err = b.d.updater.Apply(t.Context(), o)
		b.sim.Fail(0, nil)
		if err == nil {
			continue
		}
		if err := b.install(); errors.Is(err, durable.ErrPoisoned) {
			t.Errorf("operation %d failed once: %v", n, err)
		}
	}
}

// What is being written when the process dies does not pile up (STO-03).
func TestSTO_03_JournalTemporaries(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	for range 5 {
		o, err := b.d.updater.Check(t.Context())
		must(t, err)
		b.sim.KillAfter(3)
		if b.d.updater.Apply(t.Context(), o) == nil {
			t.Fatal("not killed")
		}
		b.killed()
	}
	names, err := b.sim.FS().ReadDir(".")
	must(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
}

// A reason is what the rejected image says; torn in the journal it must not make the journal unreadable.
func TestSTO_02_TornReason(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.boot()
	size := func() int64 {
		f, err := b.sim.FS().OpenFile("journal", 0)
		must(t, err)
		defer f.Close()
		n, err := f.Size()
		must(t, err)
		return n
	}
	before := size()
	b.sim.KillAfter(2) // written, not synced
	if b.d.updater.Reject(t.Context(), strings.Repeat("FMl1\x00\x00\x01\x00", 64)) == nil {
		t.Fatal("not killed")
	}
	b.sim = b.sim.Restart()
	b.d = nil
	f, err := b.sim.FS().OpenFile("journal", 2)
	must(t, err)
	_, err = f.WriteAt(make([]byte, (before/512+1)*512-before), before) // the first sector did not arrive
	must(t, errors.Join(err, f.Sync(), f.Close()))
	b.boot()
}

// An accepted image that is found damaged before it was marked good is not marked good (BOO-13).
func TestBOO_13_AcceptedThenDamaged(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.boot()
	b.sim.KillAfter(3)
	if b.d.updater.Accept(t.Context()) == nil {
		t.Fatal("not killed")
	}
	b.sim = b.sim.Restart()
	b.d = nil
	_, err := b.sim.Device("slot-b", 0).WriteAt([]byte("rotten"), 100)
	must(t, err)
	b.boot()
	b.wantState(install.Failed, 1)
	b.wantCounter(1)
	b.boot()
	b.wantState(install.Failed, 1)
	if r := b.d.updater.Reports(); len(r) != 1 || r[0].State != install.Failed || r[0].Release.Sequence != 2 {
		t.Fatalf("reports %+v", r)
	}
}

// A decision to accept stands while the boot loader starts the other image once: the next boot finishes it.
func TestBOO_04_AcceptedThenOtherSlot(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.boot()
	b.sim.KillAfter(3)
	if b.d.updater.Accept(t.Context()) == nil {
		t.Fatal("not killed")
	}
	b.sim = b.sim.Restart()
	b.d = nil
	rec, err := slot.OpenBootRecord(b.sim.FS(), "boot")
	must(t, err)
	_, _, err = rec.Next(func(n int, _ install.Image) error {
		if n == 1 {
			return errors.New("bad read")
		}
		return nil
	})
	must(t, err)
	d := &device{sim: b.sim, boot: rec, slots: [2]install.Device{b.sim.Device("slot-a", 0), b.sim.Device("slot-b", 0)}}
	must(t, b.start(d, "tuf"))
	st, err := d.updater.Resume(t.Context())
	if err != nil || st.State != install.Staged || !st.Reboot {
		t.Fatalf("%+v, %v; want Staged, and Reboot", st, err)
	}
	wantError(t, second(d.updater.Check(t.Context())), firmament.ErrNoUpdate)
	must(t, d.updater.Close())
	b.boot()
	b.wantState(install.Updated, 2)
	b.wantCounter(2)
}

// A closed Updater touches nothing, and closing again does not take another's lock.
func TestClosed(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	o, err := b.d.updater.Check(t.Context())
	must(t, err)
	must(t, b.d.updater.Close())
	l, err := b.sim.FS().Lock("lock")
	must(t, err)
	must(t, b.d.updater.Close())
	if _, err := b.sim.FS().Lock("lock"); err == nil {
		t.Error("the second Close released somebody else's lock")
	}
	before := b.sim.Ops()
	wantError(t, b.d.updater.Apply(t.Context(), o), fs.ErrClosed)
	if n := b.sim.Ops() - before; n > 0 {
		t.Errorf("%d storage operations by a closed Updater", n)
	}
	must(t, l.Close())
}

// What an Offer says of itself is not believed.
func TestOfferIsNotBelieved(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	o, err := b.d.updater.Check(t.Context())
	must(t, err)
	o.Release.Sequence = 1<<64 - 1
	must(t, b.d.updater.Apply(t.Context(), o))
	b.boot()
	must(t, b.d.updater.Accept(t.Context()))
	b.wantState(install.Updated, 2)
	b.wantCounter(2)
	wantError(t, b.d.updater.Apply(t.Context(), nil), firmament.ErrOptions)
	wantError(t, b.d.updater.Apply(t.Context(), &firmament.Offer{}), firmament.ErrOptions)
}

// Rejecting what is staged is finished by Resume wherever it was cut.
func TestRejectStagedCut(t *testing.T) {
	for n := 1; ; n++ {
		b := newBench(t)
		b.publish(2)
		must(t, b.install())
		b.sim.KillAfter(n)
		if b.d.updater.Reject(t.Context(), "operator") == nil {
			return
		}
		b.sim = b.sim.Restart()
		b.d = nil
		d, err := b.switchOnWithoutBoot()
		must(t, err)
		st, err := d.updater.Resume(t.Context())
		must(t, err)
		boot, err := d.boot.Boot(t.Context())
		must(t, errors.Join(err, d.updater.Close()))
		if decided := len(d.updater.Reports()) > 0; decided && (st.State != install.Rejected || boot.Trial != install.NoSlot) {
			t.Fatalf("killed at operation %d: decided, but %s with %+v", n, st.State, boot)
		}
	}
}

// switchOnWithoutBoot starts the agent again on a machine that did not reboot.
func (b *bench) switchOnWithoutBoot() (*device, error) {
	rec, err := slot.OpenBootRecord(b.sim.FS(), "boot")
	if err != nil {
		return nil, err
	}
	d := &device{sim: b.sim, boot: rec, slots: [2]install.Device{b.sim.Device("slot-a", 0), b.sim.Device("slot-b", 0)}}
	return d, b.start(d, "tuf")
}

// A release that was given up stays so while a newer one is merely offered.
func TestBOO_14_GiveUpOutlastsOffers(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.boot()
	must(t, b.d.updater.Reject(t.Context(), "no"))
	b.boot()
	b.tooBig(3)
	wantError(t, b.install(), install.ErrBounds)
	b.publish(2) // the very same manifest
	wantError(t, b.install(), firmament.ErrGivenUp)
}

// Damage to either copy of the boot record brings no older state back, also when a cut came between the two.
func TestBOO_05_SecondCopy(t *testing.T) {
	for n := 1; n < 8; n++ {
		for _, damaged := range []string{"boot.0", "boot.1"} {
			t.Run(fmt.Sprintf("%d %s", n, damaged), func(t *testing.T) {
				b := newBench(t)
				b.publish(2)
				must(t, b.install())
				rec, err := slot.OpenBootRecord(b.sim.FS(), "boot")
				must(t, err)
				b.sim.KillAfter(n)
				if rec.Free(t.Context(), 1) == nil {
					b.sim.KillAfter(0)
				}
				b.sim = b.sim.Restart()
				b.d = nil
				rec, err = slot.OpenBootRecord(b.sim.FS(), "boot")
				must(t, err)
				must(t, rec.Free(t.Context(), 1))
				f, err := b.sim.FS().OpenFile(damaged, 2)
				must(t, err)
				_, err = f.WriteAt([]byte("damage"), 20)
				must(t, errors.Join(err, f.Close()))
				if boot, err := rec.Boot(t.Context()); err != nil || boot.Trial != install.NoSlot {
					t.Fatalf("%+v, %v: the trial is back", boot, err)
				}
			})
		}
	}
}

// Checkpoints that cannot be read at all cost what they promised, once: the download begins again, and the next cut resumes (NET-16).
func TestNET_16_CheckpointsUnreadable(t *testing.T) {
	for name, damage := range map[string]func(b *bench){
		"damaged": func(b *bench) {
			for _, name := range []string{"fetch.0", "fetch.1"} {
				f, err := b.sim.FS().OpenFile(name, 2)
				must(b.t, err)
				_, err = f.WriteAt([]byte("not a checkpoint"), 0)
				must(b.t, errors.Join(err, f.Sync(), f.Close()))
			}
		},
		"one of them gone, the other damaged": func(b *bench) {
			must(b.t, b.sim.FS().Remove("fetch.0"))
			f, err := b.sim.FS().OpenFile("fetch.1", 2)
			must(b.t, err)
			_, err = f.WriteAt([]byte("not a checkpoint"), 0)
			must(b.t, errors.Join(err, f.Sync(), f.Close()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			v2 := newRelease(2, image(2, 12*chunkSize))
			var err error
			b.server.files, err = b.shop.publish(t.Context(), v2)
			must(t, err)
			cutAt := func(chunks int) {
				t.Helper()
				b.server.cut = map[string]int{v2.payload(): chunks * chunkSize}
				wantError(t, b.install(), fetch.ErrTransport)
			}
			cutAt(6)
			must(t, b.d.updater.Close())
			b.d = nil
			damage(b)
			b.boot()
			cutAt(9)
			b.boot()
			b.server.cut = nil
			b.server.sent.Store(0)
			must(t, b.install())
			b.wantState(install.Staged, 1)
			if sent, most := b.server.sent.Load(), int64(6*chunkSize+2*4096); sent > most {
				t.Errorf("%d bytes were sent for the last three chunks and what a checkpoint may be behind, want at most %d", sent, most)
			}
		})
	}
}
