// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package slot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/verify"
)

// A boot loader of one's own: it keeps its choice in four variables, as a boot script would. TestOwnBootLoader runs the contract of installtest over it, with power cuts.
func Example_bootLoader() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "slots")
	must(err)
	defer os.RemoveAll(dir)
	var slots [2]install.Device
	for i, name := range []string{"a.img", "b.img"} {
		must(os.WriteFile(filepath.Join(dir, name), make([]byte, 4096), 0o600))
		slots[i], err = install.OpenDevice(filepath.Join(dir, name))
		must(err)
		defer slots[i].Close()
	}
	storage, err := install.OpenDir(dir)
	must(err)
	env := environment{storage}
	must(env.save(variables{current: 0, confirmed: 0, trial: install.NoSlot}))

	// What an Updater does, with a new image.
	firmware := bytes.Repeat([]byte("new firmware "), 100)
	img := install.Image{Size: int64(len(firmware)), Digest: verify.Sum(verify.SHA256, firmware)}
	inst := slot.New(slots[0], slots[1], env)
	w, err := inst.Begin(ctx, img)
	must(err)
	_, err = w.Write(firmware)
	must(errors.Join(err, w.Finish(ctx), w.Close(), inst.Install(ctx, img)))
	show(ctx, inst)
	must(env.start())
	show(ctx, inst)
	must(inst.Accept(ctx))
	show(ctx, inst)

	// Output:
	// slot A runs: Staged
	// slot B runs: Trial
	// slot B runs: Ready
}

func show(ctx context.Context, inst *slot.Installer) {
	st, err := inst.Query(ctx)
	must(err)
	next, err := inst.Slot(ctx) // the one that is not confirmed
	must(err)
	running := 1 - int(next)
	if st.State == install.Trial {
		running = int(next)
	}
	fmt.Printf("slot %s runs: %v\n", slot.Name(running), st.State)
}

// variables are what the boot loader knows.
type variables struct {
	current, confirmed, trial, left int
}

// An environment is an install.BootControl that keeps them in the file "env". Each change replaces the file as a whole: what is durable is the old one or the new.
type environment struct{ dir install.Storage }

// start is the boot loader: it counts a try before it makes it, and goes back when none is left.
func (e environment) start() error {
	v, err := e.load()
	if err != nil {
		return err
	}
	v.current = v.confirmed
	if v.trial != install.NoSlot && v.left > 0 {
		v.current = v.trial
		v.left--
	}
	return e.save(v)
}

// Boot implements install.BootControl.
func (e environment) Boot(context.Context) (install.Boot, error) {
	v, err := e.load()
	return install.Boot{Current: v.current, Confirmed: v.confirmed, Trial: v.trial, Left: v.left}, err
}

// Free implements install.BootControl.
func (e environment) Free(_ context.Context, slot int) error {
	v, err := e.load()
	if err != nil {
		return err
	}
	if slot == v.confirmed {
		return fmt.Errorf("slot %d is confirmed: %w", slot, install.ErrState)
	}
	if v.trial == slot {
		v.trial, v.left = install.NoSlot, 0
	}
	return e.save(v)
}

// Arm implements install.BootControl.
func (e environment) Arm(_ context.Context, slot int, _ install.Image) error {
	v, err := e.load()
	if err != nil {
		return err
	}
	if slot == v.confirmed {
		return fmt.Errorf("slot %d is confirmed: %w", slot, install.ErrState)
	}
	v.trial, v.left = slot, 3
	return e.save(v)
}

// MarkGood implements install.BootControl.
func (e environment) MarkGood(_ context.Context, slot int) error {
	v, err := e.load()
	if err != nil {
		return err
	}
	v.confirmed, v.trial, v.left = slot, install.NoSlot, 0
	return e.save(v)
}

func (e environment) load() (v variables, err error) {
	f, err := e.dir.OpenFile("env", os.O_RDONLY)
	if err != nil {
		return v, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 64))
	if err := errors.Join(err, f.Close()); err != nil {
		return v, err
	}
	fields := strings.Fields(string(b))
	if len(fields) != 4 {
		return v, fmt.Errorf("env is %q: %w", b, install.ErrState)
	}
	for i, to := range []*int{&v.current, &v.confirmed, &v.trial, &v.left} {
		if *to, err = strconv.Atoi(fields[i]); err != nil {
			return v, fmt.Errorf("env is %q: %w", b, install.ErrState)
		}
	}
	return v, nil
}

func (e environment) save(v variables) error {
	f, err := e.dir.OpenFile("env.new", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(fmt.Appendln(nil, v.current, v.confirmed, v.trial, v.left), 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := e.dir.Rename("env.new", "env"); err != nil {
		return err
	}
	return e.dir.SyncDir(".")
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
