// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/verify"
)

// A Device is an open device folder.
type Device struct {
	Config  Config
	Boot    *slot.BootRecord
	Slots   [2]install.Device
	Updater *firmament.Updater
	Counter verify.Counter
}

// Options change what device.json says, or watch what happens.
type Options struct {
	Server   string // instead of Config.Server
	MaxBytes int64  // instead of Config.MaxBytes, if not 0
	Fetch    fetch.Options
	Events   func(firmament.Event)
	Again    bool // a cycle after the first one: that the same slot was started again is not said
}

// retries is how often in a row a request may fail: with the pauses between, some seconds without progress. Then the
// next cycle goes on.
const retries = 3

// Open opens the device folder dir.
func Open(dir string, o Options) (d *Device, err error) {
	d = &Device{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.Config, err = ReadConfig(dir); err != nil {
		return d, err
	}
	if o.Server != "" {
		if err := CheckServer(o.Server); err != nil {
			return d, cli.Usagef("--server: %w", err)
		}
		d.Config.Server = o.Server
	}
	if d.Boot, err = OpenBoot(dir, d.Config); err != nil {
		return d, err
	}
	for i, name := range d.Config.Slots {
		if d.Slots[i], err = install.OpenDevice(filepath.Join(dir, name)); err != nil {
			return d, cli.Damagedf("slot %s: %w", slot.Name(i), err)
		}
	}
	state, err := install.OpenDir(filepath.Join(dir, "state"))
	if err != nil {
		return d, cli.Damagedf("state directory: %w", err)
	}
	return d, d.open(dir, state, o)
}

// OpenBoot opens the boot record of the device folder dir.
func OpenBoot(dir string, c Config) (*slot.BootRecord, error) {
	s, err := install.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	if names, err := s.ReadDir("."); err != nil {
		return nil, err
	} else if !slices.Contains(names, c.Boot+".0") && !slices.Contains(names, c.Boot+".1") {
		return nil, cli.Damagedf("%s: no boot record, want %s.0 or %[2]s.1", dir, c.Boot)
	}
	rec, err := slot.OpenBootRecord(s, c.Boot)
	if err != nil {
		return nil, cli.Damagedf("%s: %w", dir, err)
	}
	return rec, nil
}

func (d *Device) open(dir string, state install.Storage, o Options) error {
	c := d.Config
	id, err := c.identity(dir)
	if err != nil {
		return err
	}
	component, err := ParseComponent(c.Component)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, ConfigName), err)
	}
	keys, policy, err := c.Keys(dir)
	if err != nil {
		return err
	}
	if d.Counter, err = verify.NewCounter(state, "counter"); err != nil {
		return err
	}
	base := strings.TrimSuffix(c.Server, "/") + "/"
	f := o.Fetch
	f.Source = httpsource.New(&http.Client{})
	f.CheckpointEvery = c.Checkpoint
	f.Retries = cmp.Or(f.Retries, retries)
	finder, err := newFinder(dir, c, state, f, base)
	if err != nil {
		return err
	}
	f.MaxBytes = cmp.Or(o.MaxBytes, c.MaxBytes)
	d.Updater, err = firmament.New(firmament.Options{
		Storage:   state,
		Finder:    finder,
		Target:    firmament.TargetPath(id.VendorID, id.ClassID, c.Channel),
		Keys:      keys,
		Policy:    policy,
		Counter:   d.Counter,
		Identity:  id,
		Component: component,
		Installer: slot.New(d.Slots[0], d.Slots[1], d.Boot),
		Fetch:     f,
		Base:      base,
		Planner:   newPlanner(),
		Events:    o.Events,
	})
	return err
}

// Close closes what Open opened.
func (d *Device) Close() error {
	var errs []error
	if d.Updater != nil {
		errs = append(errs, d.Updater.Close())
	}
	for _, s := range d.Slots {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// CheckSlot returns the check of a verifying boot loader: the slot holds what the boot record says. A slot of which the
// record knows nothing, as in a folder that was made without a factory image, passes.
func CheckSlot(slots [2]install.Device) func(int, install.Image) error {
	return func(n int, img install.Image) error {
		if img.Digest.IsZero() {
			return nil
		}
		got, size, err := verify.SumReader(img.Digest.Hash(), io.NewSectionReader(slots[n], 0, img.Size))
		if err != nil {
			return err
		}
		if got != img.Digest || size != img.Size {
			return fmt.Errorf("slot %s holds %s, the boot record says %s: %w", slot.Name(n), got, img.Digest, install.ErrVerifyAfterWrite)
		}
		return nil
	}
}
