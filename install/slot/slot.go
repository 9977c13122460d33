// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package slot installs an image into the inactive one of two raw slots: block devices, or files of fixed size.
//
// The confirmed slot is never written. The other one is made unbootable before its first byte changes, receives
// verified bytes only, has its tail erased, and is read back against the signed digest before it is armed for a
// trial boot. The boot loader is an [install.BootControl]; [BootRecord] is one kept as a durable record, for boot
// loaders that can read it and for simulated ones.
package slot

import (
	"context"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/install"
)

// Installer is the [install.Installer] for two slots. It is not safe for concurrent use.
type Installer struct {
	slots [2]install.Device
	boot  install.BootControl
}

// New returns the installer for slots a (0) and b (1) under boot. The caller closes the devices.
func New(a, b install.Device, boot install.BootControl) *Installer {
	return &Installer{slots: [2]install.Device{a, b}, boot: boot}
}

// Query implements [install.Installer].
func (i *Installer) Query(ctx context.Context) (install.Status, error) {
	b, err := i.boot.Boot(ctx)
	if err != nil {
		return install.Status{}, err
	}
	return b.Status(), nil
}

// Slot returns the number of the slot that Begin writes: the one that is not confirmed.
func (i *Installer) Slot(ctx context.Context) (uint64, error) {
	b, err := i.boot.Boot(ctx)
	if err != nil {
		return 0, err
	}
	return uint64(other(b.Confirmed)), nil
}

// Running implements [install.Readable]. It ends with the image if the boot control has, as a [BootRecord] has, a method Image that knows its size.
func (i *Installer) Running(ctx context.Context) (*io.SectionReader, error) {
	b, err := i.boot.Boot(ctx)
	if err != nil {
		return nil, err
	}
	r, err := i.reader(b.Current)
	if err != nil {
		return nil, err
	}
	known, ok := i.boot.(interface {
		Image(slot int) (install.Image, error)
	})
	if !ok {
		return r, nil
	}
	if img, err := known.Image(b.Current); err != nil {
		return nil, err
	} else if img.Size > 0 && img.Size < r.Size() {
		return io.NewSectionReader(r, 0, img.Size), nil
	}
	return r, nil
}

// Target implements [install.Readable].
func (i *Installer) Target(ctx context.Context) (*io.SectionReader, error) {
	b, err := i.boot.Boot(ctx)
	if err != nil {
		return nil, err
	}
	return i.reader(other(b.Confirmed))
}

func (i *Installer) reader(slot int) (*io.SectionReader, error) {
	size, err := i.slots[slot].Size()
	if err != nil {
		return nil, fmt.Errorf("slot %s: %w", Name(slot), err)
	}
	return io.NewSectionReader(i.slots[slot], 0, size), nil
}

// Begin implements [install.Installer].
func (i *Installer) Begin(ctx context.Context, img install.Image) (install.Writer, error) {
	b, err := i.boot.Boot(ctx)
	if err != nil {
		return nil, err
	}
	target := other(b.Confirmed)
	if b.Current != b.Confirmed {
		return nil, fmt.Errorf("slot %s is running, slot %s is confirmed: %w", Name(b.Current), Name(b.Confirmed), install.ErrUnconfirmed)
	}
	dev := i.slots[target]
	size, err := dev.Size()
	if err != nil {
		return nil, fmt.Errorf("slot %s: %w", Name(target), err)
	}
	if img.Size > size {
		return nil, fmt.Errorf("slot %s has %d bytes, the image %d: %w", Name(target), size, img.Size, install.ErrBounds)
	}
	if err := i.boot.Free(ctx, target); err != nil {
		return nil, fmt.Errorf("free slot %s: %w", Name(target), err)
	}
	return &writer{dev: dev, name: Name(target), img: img, capacity: size}, nil
}

// Install implements [install.Installer].
func (i *Installer) Install(ctx context.Context, img install.Image) error {
	b, err := i.boot.Boot(ctx)
	if err != nil {
		return err
	}
	return i.boot.Arm(ctx, other(b.Confirmed), img)
}

// Verify implements [install.Verifier].
func (i *Installer) Verify(ctx context.Context, img install.Image) error {
	b, err := i.boot.Boot(ctx)
	if err != nil {
		return err
	}
	target := other(b.Confirmed)
	w := &writer{dev: i.slots[target], name: Name(target), img: img}
	return w.verify(ctx, make([]byte, blockSize))
}

// Accept implements [install.Installer].
func (i *Installer) Accept(ctx context.Context) error {
	b, err := i.boot.Boot(ctx)
	if err != nil || b.Trial == install.NoSlot {
		return err
	}
	return i.boot.MarkGood(ctx, b.Trial)
}

// Reject implements [install.Installer].
func (i *Installer) Reject(ctx context.Context) error {
	b, err := i.boot.Boot(ctx)
	if err != nil || b.Trial == install.NoSlot {
		return err
	}
	return i.boot.Free(ctx, b.Trial)
}

// Name returns the usual letter of a slot: "A" for 0, "B" for 1.
func Name(slot int) string { return string(rune('A' + slot)) }

func other(slot int) int { return 1 - slot }
