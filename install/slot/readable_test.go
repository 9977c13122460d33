// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package slot_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// What runs, and what Begin writes, can be read: before the trial, in it, and after it.
func TestReadable(t *testing.T) {
	ctx := t.Context()
	sim := simfs.NewSim(simfs.Options{})
	var d [2]install.Device
	for i, name := range []string{"a", "b"} {
		d[i] = sim.Device(name, slotSize)
		if _, err := d[i].WriteAt(bytes.Repeat([]byte(name), slotSize), 0); err != nil {
			t.Fatal(err)
		}
	}
	img := install.Image{Size: slotSize, Digest: verify.Sum(verify.SHA256, bytes.Repeat([]byte("a"), slotSize))}
	rec, err := slot.CreateBootRecord(sim.FS(), "boot", 0, img)
	if err != nil {
		t.Fatal(err)
	}
	inst := slot.New(d[0], d[1], rec)
	want := func(step, running, target string) {
		t.Helper()
		for _, c := range []struct {
			what, want string
			get        func() (*io.SectionReader, error)
		}{
			{"running", running, func() (*io.SectionReader, error) { return inst.Running(ctx) }},
			{"target", target, func() (*io.SectionReader, error) { return inst.Target(ctx) }},
		} {
			r, err := c.get()
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r); err != nil || string(b) != string(bytes.Repeat([]byte(c.want), slotSize)) {
				t.Errorf("%s: %s is %.1s with %d bytes, %v; want slot %s", step, c.what, b, len(b), err, c.want)
			}
		}
	}
	want("factory", "a", "b")
	if err := inst.Install(ctx, install.Image{Size: slotSize, Digest: verify.Sum(verify.SHA256, bytes.Repeat([]byte("b"), slotSize))}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rec.Next(nil); err != nil {
		t.Fatal(err)
	}
	want("trial", "b", "b")
	if err := inst.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	want("accepted", "b", "a")
}

// What was written can be read before it is finished: a planner takes from there what comes again in an image.
func TestWriterReads(t *testing.T) {
	ctx := t.Context()
	sim := simfs.NewSim(simfs.Options{})
	a, b := sim.Device("a", slotSize), sim.Device("b", slotSize)
	rec, err := slot.CreateBootRecord(sim.FS(), "boot", 0, install.Image{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := slot.New(a, b, rec).Begin(ctx, install.Image{Size: slotSize, Digest: verify.Sum(verify.SHA256, nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write([]byte("to be read again")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 5)
	if n, err := w.(io.ReaderAt).ReadAt(p, 11); n != 5 || err != nil || string(p) != "again" {
		t.Errorf("read %q: %v", p[:n], err)
	}
}

// What runs ends where its image does, if the boot control knows that.
func TestRunningEndsWithTheImage(t *testing.T) {
	ctx := t.Context()
	sim := simfs.NewSim(simfs.Options{})
	a, b := sim.Device("a", slotSize), sim.Device("b", slotSize)
	img := install.Image{Size: slotSize - 100, Digest: verify.Sum(verify.SHA256, make([]byte, slotSize-100))}
	rec, err := slot.CreateBootRecord(sim.FS(), "boot", 0, img)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := slot.CreateBootRecord(sim.FS(), "empty", 0, install.Image{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		boot install.BootControl
		want int64
	}{
		{"known", rec, img.Size},
		{"nothing recorded", empty, slotSize},
		{"a boot control that cannot say", struct{ install.BootControl }{rec}, slotSize},
	} {
		if r, err := slot.New(a, b, c.boot).Running(ctx); err != nil || r.Size() != c.want {
			t.Errorf("%s: %v, %v; want %d bytes", c.name, r, err, c.want)
		}
	}
}
