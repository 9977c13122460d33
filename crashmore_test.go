// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// threeReleases is a device that runs release 1 and has release 2 staged, while release 3 is offered.
type threeReleases struct {
	world
	v   [4]release // by sequence number
	two files      // what the server has while release 2 is the newest
}

func newThreeReleases(ctx context.Context) (*threeReleases, error) {
	s, err := newShop(ctx)
	if err != nil {
		return nil, err
	}
	w := &threeReleases{world: world{server: &server{}, now: func() time.Time { return start }}}
	for seq := range w.v[1:] {
		w.v[seq+1] = newRelease(uint64(seq+1), image(byte(seq+1), (seq+2)*chunkSize+100))
	}
	if w.two, err = s.publish(ctx, w.v[2]); err != nil {
		return nil, err
	}
	w.root = w.two["metadata/1.root.json"]
	w.server.files, err = s.publish(ctx, w.v[3])
	return w, err
}

// setup brings a device to Staged with release 2.
func (w *threeReleases) setup(ctx context.Context, sim *simfs.Sim) error {
	before := w.world
	before.server = &server{files: w.two}
	if err := before.provision(ctx, sim, 6*chunkSize, w.v[1]); err != nil {
		return err
	}
	return before.update(ctx, sim)
}

// agent starts the agent on the slot that runs: the device did not reboot.
func (w *threeReleases) agent(sim *simfs.Sim) (*device, error) {
	rec, err := slot.OpenBootRecord(sim.FS(), "boot")
	if err != nil {
		return nil, err
	}
	d := &device{sim: sim, boot: rec, slots: [2]install.Device{sim.Device("slot-a", 0), sim.Device("slot-b", 0)}}
	return d, w.start(d, "tuf")
}

// check wants what may boot to be one signed image, whole (S1, S7), the image on trial to go by its own name (S2), and the
// counter not to be above what was accepted (S4).
func (w *threeReleases) check(ctx context.Context, d *device, st firmament.Status) error {
	b, err := d.boot.Boot(ctx)
	if err != nil {
		return classify(err)
	}
	for _, n := range []int{b.Confirmed, b.Trial} {
		if n == install.NoSlot {
			continue
		}
		img, err := d.boot.Image(n)
		if err != nil {
			return classify(err)
		}
		if err := d.checkSlot(n, img); err != nil {
			return simfs.Violated("S7", "%w", err)
		}
		if seq := w.sequence(img); seq == 0 {
			return simfs.Violated("S7", "slot %s may boot and is recorded as %v, which nobody signed", slot.Name(n), img)
		} else if n == b.Trial && st.Current.Sequence != seq {
			return simfs.Violated("S2", "the image on trial is that of release %d, and goes by the name of %d", seq, st.Current.Sequence)
		} else if n == b.Confirmed && st.Accepted.Sequence != seq {
			return simfs.Violated("S2", "the confirmed image is that of release %d, %d is accepted", seq, st.Accepted.Sequence)
		}
	}
	if st.State == install.Updated && st.Current != st.Accepted {
		return simfs.Violated("S2", "release %d is Updated, %d is accepted", st.Current.Sequence, st.Accepted.Sequence)
	}
	count, err := d.counter.Value(ctx)
	if err != nil || count != st.Accepted.Sequence {
		return simfs.Violated("S4", "counter is %d, release %d is accepted: %w", count, st.Accepted.Sequence, err)
	}
	return nil
}

func (w *threeReleases) sequence(img install.Image) uint64 {
	for _, r := range w.v[1:] {
		if r.img() == img {
			return r.seq
		}
	}
	return 0
}

// resume is a boot with its checks.
func (w *threeReleases) resume(ctx context.Context, sim *simfs.Sim) (*device, firmament.Status, error) {
	d, err := w.powerOn(sim)
	if err != nil {
		return nil, firmament.Status{}, classify(err)
	}
	st, err := d.updater.Resume(ctx)
	if err != nil {
		return d, st, classify(err)
	}
	return d, st, w.check(ctx, d, st)
}

// TestM1_Supersede cuts the power while release 3 takes the place of a staged release 2.
//
// covers: STO-01
func TestM1_Supersede(t *testing.T) {
	ctx := t.Context()
	w, err := newThreeReleases(ctx)
	must(t, err)
	recover := func(sim *simfs.Sim) error {
		d, st, err := w.resume(ctx, sim)
		if err == nil && st.State == install.Trial {
			err = d.updater.Accept(ctx)
		} else if err == nil {
			err = d.install(ctx)
		}
		if err == nil {
			if st, err = d.updater.Status(ctx); err == nil {
				err = w.check(ctx, d, st)
			}
		}
		return closeAfter(d, err)
	}
	table := simfs.Explore(t, simfs.Workload{
		Setup: func(sim *simfs.Sim) error { return w.setup(ctx, sim) },
		Run: func(sim *simfs.Sim) error {
			d, err := w.agent(sim)
			if err != nil {
				return err
			}
			return closeAfter(d, d.install(ctx))
		},
		Recover: recover,
		Cycle: func(sim *simfs.Sim) error {
			for range 6 {
				if err := recover(sim); err != nil {
					return err
				}
			}
			d, st, err := w.resume(ctx, sim)
			if err == nil && (st.State != install.Updated || st.Accepted.Sequence != 3) {
				err = fmt.Errorf("state %s, release %d accepted after six boots, want 3", st.State, st.Accepted.Sequence)
			}
			return closeAfter(d, err)
		},
	}, simfs.ExploreOptions{Seed: 1, SecondTotal: 1000})
	t.Logf("\n%s", table)
}

// TestM1_Reject cuts the power while the image on trial is rejected.
//
// covers: STO-01
func TestM1_Reject(t *testing.T) {
	ctx := t.Context()
	w, err := newThreeReleases(ctx)
	must(t, err)
	w.server = &server{files: w.two}
	reject := func(sim *simfs.Sim) error {
		d, st, err := w.resume(ctx, sim)
		switch {
		case err != nil:
		case sim.Acked("rejected") != nil && st.State != install.Rejected:
			err = simfs.Violated("S3", "Reject returned, the state is %s", st.State)
		case st.State == install.Trial && len(d.updater.Reports()) > 0:
			err = simfs.Violated("S2", "the rejection is decided, and the image is on trial")
		case st.State == install.Trial:
			if err = d.updater.Reject(ctx, "unhealthy"); err == nil {
				sim.Ack("rejected", true)
			}
		}
		return closeAfter(d, err)
	}
	table := simfs.Explore(t, simfs.Workload{
		Setup:   func(sim *simfs.Sim) error { return w.setup(ctx, sim) },
		Run:     reject,
		Recover: reject,
		Cycle: func(sim *simfs.Sim) error {
			for range 4 {
				if err := reject(sim); err != nil {
					return err
				}
			}
			d, st, err := w.resume(ctx, sim)
			if err == nil && (st.State != install.Rejected || st.Accepted.Sequence != 1 || st.Reboot) {
				err = fmt.Errorf("%+v, want Rejected, and release 1", st)
			}
			if err == nil {
				if _, cerr := d.updater.Check(ctx); !errors.Is(cerr, firmament.ErrGivenUp) {
					err = simfs.Violated("S2", "a rejected release is offered again: %v", cerr)
				} else if n := len(d.updater.Reports()); n != 1 {
					err = simfs.Violated("S8", "%d reports, want one", n)
				}
			}
			return closeAfter(d, err)
		},
	}, simfs.ExploreOptions{Seed: 1, SecondTotal: 1000})
	t.Logf("\n%s", table)
}

// closeAfter closes d's updater, if there is one, and adds its error to err.
func closeAfter(d *device, err error) error {
	if d == nil || d.updater == nil {
		return err
	}
	return errors.Join(err, d.updater.Close())
}
