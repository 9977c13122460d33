// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package installtest is the contract test for an [install.Installer] of your own. It drives the installer through
// every state on a simulated machine, and then cuts the power at every storage operation of an update, and of the
// recovery from that.
//
// The installer under test gets all its storage from the [Machine]: files through FS, slots through Device.
package installtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// Machine is a simulated machine that can lose power: FS and Device are its storage.
type Machine = simfs.Sim

// A Subject is an installer under test with its boot loader. The functions keep no state between calls and may be
// called concurrently for different machines.
type Subject struct {
	// Provision makes a new machine that runs old, confirmed.
	Provision func(m *Machine, old []byte) error
	// Open opens the installer, as an agent does after each start.
	Open func(m *Machine) (install.Installer, error)
	// Boot plays the boot loader for one boot.
	Boot func(m *Machine) error
	// Running returns the first n bytes of the image that the last Boot started.
	Running func(m *Machine, n int) ([]byte, error)
	// Capacity is the largest image in bytes, at least 3000.
	Capacity int64
	// Boots is more than the boot loader tries a new image; 10 by default.
	Boots int
}

// Test runs the contract.
func Test(t *testing.T, s Subject) {
	if s.Boots == 0 {
		s.Boots = 10
	}
	t.Run("Accept", s.testAccept)
	t.Run("Reject", s.testReject)
	t.Run("Fallback", s.testFallback)
	t.Run("Bounds", s.testBounds)
	t.Run("VerifyAfterWrite", s.testVerifyAfterWrite)
	t.Run("Resume", s.testResume)
	t.Run("Unconfirmed", s.testUnconfirmed)
	t.Run("PowerCuts", s.testPowerCuts)
}

// The two images differ in length and in every block.
var (
	oldImage = pattern(1, 2500)
	newImage = pattern(2, 3000)
)

func pattern(seed byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i) + byte(i>>8)*31
	}
	return b
}

func imageOf(b []byte) install.Image {
	return install.Image{Size: int64(len(b)), Digest: verify.Sum(verify.SHA256, b)}
}

// rig is a provisioned, booted machine with an open installer.
type rig struct {
	s    Subject
	m    *Machine
	inst install.Installer
	mach *install.Machine
	log  *logJournal
}

func (s Subject) provision(t *testing.T) *rig {
	t.Helper()
	m := simfs.NewSim(simfs.Options{})
	if err := s.Provision(m, oldImage); err != nil {
		t.Fatal(err)
	}
	r, err := s.boot(m)
	if err != nil {
		t.Fatal(err)
	}
	r.wantRunning(t, oldImage)
	return r
}

// boot is power on: boot loader, then agent.
func (s Subject) boot(m *Machine) (*rig, error) {
	if err := s.Boot(m); err != nil {
		return nil, err
	}
	inst, err := s.Open(m)
	if err != nil {
		return nil, err
	}
	log, err := openJournal(m.FS())
	if err != nil {
		return nil, err
	}
	return &rig{s, m, inst, install.NewMachine(inst, log), log}, nil
}

func (r *rig) reboot(t *testing.T) *rig {
	t.Helper()
	if err := r.log.Close(); err != nil {
		t.Fatal(err)
	}
	n, err := r.s.boot(r.m)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// install writes img in pieces, with a sync between them, and arms it.
func (r *rig) install(ctx context.Context, img []byte) (err error) {
	w, err := r.mach.Begin(ctx, imageOf(img))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for p := range pieces(img[w.Offset():]) {
		if _, err := w.Write(p); err != nil {
			return err
		}
		if err := w.Sync(); err != nil {
			return err
		}
	}
	if err := w.Finish(ctx); err != nil {
		return err
	}
	return r.mach.Install(ctx)
}

// pieces yields b in pieces of 1000 bytes.
func pieces(b []byte) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(len(b), 1000)
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}

func (r *rig) mustInstall(t *testing.T, img []byte) {
	t.Helper()
	if err := r.install(t.Context(), img); err != nil {
		t.Fatal(err)
	}
	r.wantState(t, install.Staged)
}

func (r *rig) wantState(t *testing.T, want install.State) {
	t.Helper()
	got, err := r.mach.Query(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.State != want {
		t.Fatalf("state is %s, want %s", got.State, want)
	}
}

func (r *rig) wantRunning(t *testing.T, want []byte) {
	t.Helper()
	got, err := r.s.Running(r.m, len(want))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("another image runs than expected")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func (s Subject) testAccept(t *testing.T) {
	r := s.provision(t)
	r.wantState(t, install.Ready)
	wantError(t, r.mach.Accept(t.Context()), install.ErrState)
	r.mustInstall(t, newImage)
	must(t, r.mach.Install(t.Context())) // idempotent
	wantError(t, r.mach.Accept(t.Context()), install.ErrState)
	r = r.reboot(t)
	r.wantRunning(t, newImage)
	r.wantState(t, install.Trial)
	must(t, r.mach.Accept(t.Context()))
	must(t, r.mach.Accept(t.Context()))
	must(t, r.inst.Accept(t.Context()))
	r.wantState(t, install.Updated)
	wantError(t, r.mach.Reject(t.Context()), install.ErrState)
	for range s.Boots {
		r = r.reboot(t)
		r.wantRunning(t, newImage)
		r.wantState(t, install.Updated)
	}
}

func (s Subject) testReject(t *testing.T) {
	r := s.provision(t)
	wantError(t, r.mach.Reject(t.Context()), install.ErrState)
	r.mustInstall(t, newImage)
	r = r.reboot(t)
	r.wantState(t, install.Trial)
	must(t, r.mach.Reject(t.Context()))
	must(t, r.mach.Reject(t.Context()))
	r.wantState(t, install.Rejected)
	for range s.Boots {
		r = r.reboot(t)
		r.wantRunning(t, oldImage)
		r.wantState(t, install.Rejected)
	}
	r.mustInstall(t, newImage)
}

func (s Subject) testFallback(t *testing.T) {
	r := s.provision(t)
	r.mustInstall(t, newImage)
	for range s.Boots {
		r = r.reboot(t) // and nobody accepts
	}
	r.wantRunning(t, oldImage)
	r.wantState(t, install.Failed)
	must(t, r.mach.Fail(t.Context()))
	wantError(t, r.mach.Accept(t.Context()), install.ErrState)
	r = r.reboot(t)
	r.wantRunning(t, oldImage)
	r.wantState(t, install.Failed)
	r.mustInstall(t, newImage)
	r = r.reboot(t)
	r.wantRunning(t, newImage)
}

func (s Subject) testBounds(t *testing.T) {
	r := s.provision(t)
	big := install.Image{Size: s.Capacity + 1, Digest: imageOf(newImage).Digest}
	_, err := r.mach.Begin(t.Context(), big)
	wantError(t, err, install.ErrBounds)
	r.wantState(t, install.Ready)
	_, err = r.mach.Begin(t.Context(), install.Image{Digest: big.Digest})
	wantError(t, err, install.ErrBounds)

	w, err := r.mach.Begin(t.Context(), imageOf(newImage))
	must(t, err)
	defer w.Close()
	if _, err = w.Write(append(bytes.Clone(newImage), 0)); !errors.Is(err, install.ErrBounds) || w.Offset() != 0 {
		t.Fatalf("one byte too many: got %v, offset %d", err, w.Offset())
	}
	_, err = w.Write(newImage[:100])
	must(t, err)
	wantError(t, w.Finish(t.Context()), install.ErrBounds)
	r.wantState(t, install.Writing)
	wantError(t, r.mach.Install(t.Context()), install.ErrState)
}

func (s Subject) testVerifyAfterWrite(t *testing.T) {
	r := s.provision(t)
	w, err := r.mach.Begin(t.Context(), imageOf(newImage))
	must(t, err)
	wrong := bytes.Clone(newImage)
	wrong[len(wrong)-1] ^= 1
	_, err = w.Write(wrong)
	must(t, err)
	wantError(t, w.Finish(t.Context()), install.ErrVerifyAfterWrite)
	must(t, w.Close())
	wantError(t, r.mach.Install(t.Context()), install.ErrState)
	r = r.reboot(t)
	r.wantRunning(t, oldImage)
	r.mustInstall(t, newImage)
}

func (s Subject) testResume(t *testing.T) {
	r := s.provision(t)
	w, err := r.mach.Begin(t.Context(), imageOf(newImage))
	must(t, err)
	if _, ok := w.(install.Resumer); ok {
		t.Error("the first writer for an image can resume: nothing of it is there")
	}
	_, err = w.Write(newImage[:2000])
	must(t, err)
	must(t, w.Sync())
	must(t, w.Close())
	r = r.reboot(t)
	r.wantState(t, install.Writing)
	w, err = r.mach.Begin(t.Context(), imageOf(newImage))
	must(t, err)
	res, ok := w.(install.Resumer)
	if !ok {
		t.Skip("this installer's medium does not keep what was written: nothing to test")
	}
	wantError(t, res.Resume(int64(len(newImage))+1), install.ErrBounds)
	must(t, res.Resume(2000))
	_, err = w.Write(newImage[2000:])
	must(t, err)
	must(t, w.Finish(t.Context()))
	must(t, w.Close())
	r.wantState(t, install.Candidate)
}

func (s Subject) testUnconfirmed(t *testing.T) {
	r := s.provision(t)
	r.mustInstall(t, newImage)
	r = r.reboot(t)
	_, err := r.mach.Begin(t.Context(), imageOf(oldImage))
	wantError(t, err, install.ErrUnconfirmed)
	r.wantState(t, install.Trial)
	must(t, r.mach.Accept(t.Context()))
}

func (s Subject) testPowerCuts(t *testing.T) {
	ctx := t.Context()
	table := simfs.Explore(t, simfs.Workload{
		Setup: func(m *Machine) error { return s.Provision(m, oldImage) },
		Run: func(m *Machine) error {
			r, err := s.boot(m)
			if err != nil {
				return err
			}
			if err := r.install(ctx, newImage); err != nil {
				return errors.Join(err, r.log.Close())
			}
			if err := r.log.Close(); err != nil {
				return err
			}
			if r, err = s.boot(m); err != nil {
				return err
			}
			if err := r.mach.Accept(ctx); err != nil {
				return errors.Join(err, r.log.Close())
			}
			m.Ack("accepted", true)
			return r.log.Close()
		},
		Recover: func(m *Machine) error { return s.recover(ctx, m) },
		Cycle: func(m *Machine) error {
			for range 2 {
				if err := s.recover(ctx, m); err != nil {
					return err
				}
			}
			if err := s.Boot(m); err != nil {
				return err
			}
			b, err := s.Running(m, len(newImage))
			if err == nil && !bytes.Equal(b, newImage) {
				err = errors.New("the new image does not run after two more boots")
			}
			return err
		},
	}, simfs.ExploreOptions{Seed: 1, SecondTotal: 4000})
	t.Logf("\n%s", table)
}

// recover is a boot: what runs is the old or the new image, whole; then the update goes on.
func (s Subject) recover(ctx context.Context, m *Machine) (err error) {
	r, err := s.boot(m)
	if err != nil {
		return simfs.Violated("S1", "boot: %w", err)
	}
	defer func() { err = errors.Join(err, r.log.Close()) }()
	isOld, err := r.runs(oldImage)
	if err != nil {
		return err
	}
	isNew, err := r.runs(newImage)
	if err != nil {
		return err
	}
	if !isOld && !isNew {
		return simfs.Violated("S1", "neither the old nor the new image runs")
	}
	st, err := r.mach.Query(ctx)
	if err != nil {
		return simfs.Violated("S2", "query: %w", err)
	}
	switch {
	case m.Acked("accepted") != nil && (!isNew || st.State != install.Updated):
		return simfs.Violated("S3", "accepted, but the state is %s", st.State)
	case isNew && st.State != install.Trial && st.State != install.Updated:
		return simfs.Violated("S2", "the new image runs in state %s", st.State)
	case st.State == install.Trial:
		return r.mach.Accept(ctx)
	case st.State == install.Staged, st.State == install.Updated:
		return nil
	}
	return r.install(ctx, newImage)
}

func (r *rig) runs(img []byte) (bool, error) {
	b, err := r.s.Running(r.m, len(img))
	if err != nil {
		return false, fmt.Errorf("running image: %w", err)
	}
	return bytes.Equal(b, img), nil
}

// NewMachine returns an empty machine, for tests of your own beside the contract.
func NewMachine() *Machine { return simfs.NewSim(simfs.Options{}) }
