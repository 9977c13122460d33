// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package slot_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/installtest"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/verify"
)

const slotSize = 8192

func devices(m *installtest.Machine) [2]install.Device {
	return [2]install.Device{m.Device("a", slotSize), m.Device("b", slotSize)}
}

// subject is a slot.Installer with a boot loader that verifies what it starts.
var subject = installtest.Subject{
	Capacity: slotSize,
	Provision: func(m *installtest.Machine, old []byte) error {
		d := devices(m)
		if _, err := d[0].WriteAt(old, 0); err != nil {
			return err
		}
		_, err := slot.CreateBootRecord(m.FS(), "boot", 0, install.Image{Size: int64(len(old)), Digest: verify.Sum(verify.SHA256, old)})
		return err
	},
	Open: func(m *installtest.Machine) (install.Installer, error) {
		rec, err := slot.OpenBootRecord(m.FS(), "boot")
		if err != nil {
			return nil, err
		}
		d := devices(m)
		return slot.New(d[0], d[1], rec), nil
	},
	Boot: func(m *installtest.Machine) error {
		rec, err := slot.OpenBootRecord(m.FS(), "boot")
		if err != nil {
			return err
		}
		_, _, err = rec.Next(nil)
		return err
	},
	Running: func(m *installtest.Machine, n int) ([]byte, error) {
		rec, err := slot.OpenBootRecord(m.FS(), "boot")
		if err != nil {
			return nil, err
		}
		b, err := rec.Boot(context.Background())
		if err != nil {
			return nil, err
		}
		p := make([]byte, n)
		_, err = devices(m)[b.Current].ReadAt(p, 0)
		return p, err
	},
}

func TestContract(t *testing.T) { installtest.Test(t, subject) }

// A verifying boot loader gives up a trial whose content changed after it was armed, and says so when the confirmed slot
// is damaged, too (BOO-13, BOO-06).
func TestBOO_13_SlotModifiedOffline(t *testing.T) {
	errCheck := fmt.Errorf("wrong content: %w", install.ErrVerifyAfterWrite)
	m := newMachine(t)
	rec, err := slot.OpenBootRecord(m.FS(), "boot")
	if err != nil {
		t.Fatal(err)
	}
	img := install.Image{Size: 10, Digest: verify.Sum(verify.SHA256, []byte("0123456789"))}
	if err := rec.Arm(t.Context(), 1, img); err != nil {
		t.Fatal(err)
	}
	n, _, err := rec.Next(func(slot int, _ install.Image) error {
		if slot == 1 {
			return errCheck
		}
		return nil
	})
	if err != nil || n != 0 {
		t.Fatalf("slot %d, %v; want slot 0", n, err)
	}
	b, err := rec.Boot(t.Context())
	if err != nil || b.Status().State != install.Failed {
		t.Fatalf("%+v, %v; want Failed", b, err)
	}
	if _, _, err := rec.Next(func(int, install.Image) error { return errCheck }); !errors.Is(err, install.ErrNoBootable) || !errors.Is(err, errCheck) {
		t.Fatalf("got %v, want %v", err, install.ErrNoBootable)
	}
}

// A bad read while a trial is verified costs that boot, not the trial.
func TestSTO_06_BootReadError(t *testing.T) {
	m := newMachine(t)
	rec, err := slot.OpenBootRecord(m.FS(), "boot")
	if err != nil {
		t.Fatal(err)
	}
	img := install.Image{Size: 10, Digest: verify.Sum(verify.SHA256, nil)}
	if err := rec.Arm(t.Context(), 1, img); err != nil {
		t.Fatal(err)
	}
	fails := true
	check := func(slot int, _ install.Image) error {
		if slot == 1 && fails {
			return errors.New("bad read")
		}
		return nil
	}
	if n, _, err := rec.Next(check); err != nil || n != 0 {
		t.Fatalf("slot %d, %v; want slot 0", n, err)
	}
	if b, err := rec.Boot(t.Context()); err != nil || b.Status().State != install.Staged {
		t.Fatalf("%+v, %v; want Staged", b, err)
	}
	fails = false
	if n, _, err := rec.Next(check); err != nil || n != 1 {
		t.Fatalf("slot %d, %v; want slot 1", n, err)
	}
}

func newMachine(t *testing.T) *installtest.Machine {
	t.Helper()
	m := installtest.NewMachine()
	if err := subject.Provision(m, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	return m
}

// The boot record refuses what would leave the device without a fallback.
func TestBootRecordRefuses(t *testing.T) {
	m := newMachine(t)
	rec, err := slot.OpenBootRecord(m.FS(), "boot")
	if err != nil {
		t.Fatal(err)
	}
	img := install.Image{Size: 10, Digest: verify.Sum(verify.SHA256, nil)}
	for name, err := range map[string]error{
		"free the confirmed slot":     rec.Free(t.Context(), 0),
		"arm the confirmed slot":      rec.Arm(t.Context(), 0, img),
		"arm without an image":        rec.Arm(t.Context(), 1, install.Image{}),
		"confirm a slot not on trial": rec.MarkGood(t.Context(), 1),
		"create it again":             second(slot.CreateBootRecord(m.FS(), "boot", 1, img)),
		"open one that is not there":  second(slot.OpenBootRecord(m.FS(), "other")),
	} {
		if !errors.Is(err, install.ErrState) {
			t.Errorf("%s: got %v, want %v", name, err, install.ErrState)
		}
	}
	if err := rec.SetTries(0); !errors.Is(err, install.ErrBounds) {
		t.Errorf("no tries: got %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
