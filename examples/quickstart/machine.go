// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/device"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
)

const (
	qemu = "qemu-system-riscv64"
	// watchdog is how long a boot may take to say something. Then the machine is reset, as a hardware watchdog does.
	watchdog = 8 * time.Second
	// serialLog is where the console of the present boot goes, in the device folder; the agent's health check reads it.
	serialLog = "serial.log"
)

// A machine is the hardware and its boot loader: it reads the boot record, starts a slot, and waits for a sign of life.
type machine struct {
	dir  string // device folder
	qemu string // path; "" simulates
	sign string // what a boot that comes up says on the serial line
}

// A boot is one time that power came on.
type boot struct {
	slot   string
	up     bool
	banner string
}

func newMachine(p pair) machine {
	var m machine
	if p.newBanner == "" {
		return m
	}
	if path, err := exec.LookPath(qemu); err == nil {
		m.qemu, m.sign = path, "OpenSBI v"
	}
	return m
}

// health is how the agent on this machine finds out whether an image works.
func (m machine) health() device.Health {
	if m.qemu == "" {
		return device.Health{} // reads the slot back
	}
	return device.Health{File: serialLog, Contains: m.sign}
}

func (m machine) String() string {
	if m.qemu != "" {
		return "real boots: " + qemu + " starts the slot, health is the banner on its serial line"
	}
	return "SIMULATED boots (no " + qemu + ", or images of your own): an image whose first 16 bytes are zero does not come up"
}

// powerOn is what happens when power comes on: the boot loader chooses a slot, and the slot comes up or not.
func (m machine) powerOn(ctx context.Context) (boot, error) {
	cfg, err := device.ReadConfig(m.dir)
	if err != nil {
		return boot{}, err
	}
	rec, err := device.OpenBoot(m.dir, cfg)
	if err != nil {
		return boot{}, err
	}
	// This boot loader does not verify: the bad release is signed, so that would not help.
	n, img, err := rec.Next(nil)
	if err != nil {
		return boot{}, err
	}
	b := boot{slot: slot.Name(n)}
	image := filepath.Join(m.dir, cfg.Slots[n])
	var console []byte
	if m.qemu != "" {
		console, err = m.run(ctx, image)
	} else {
		console, err = simulate(image, img)
	}
	if err != nil {
		return b, err
	}
	line := bannerLine(console, m.sign)
	b.up, b.banner = line != "", line
	return b, os.WriteFile(filepath.Join(m.dir, serialLog), console, 0o600)
}

// run starts the slot in QEMU and returns its console up to the end of the banner's line, or what there is when the
// watchdog bites.
func (m machine) run(ctx context.Context, image string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, watchdog)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.qemu, "-M", "virt", "-m", "64", "-nographic", "-nic", "none", "-bios", image)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	console, err := readBanner(out, m.sign)
	cancel() // the banner is all that is wanted
	_ = cmd.Wait()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
		return nil, err
	}
	return console, nil
}

// readBanner reads until a whole line holds sign, or the reader ends, at most 64 KiB.
func readBanner(r io.Reader, sign string) ([]byte, error) {
	var console []byte
	buf := make([]byte, 1024)
	for len(console) < 64<<10 && bannerLine(console, sign) == "" {
		n, err := r.Read(buf)
		console = append(console, buf[:n]...)
		if err != nil {
			return console, err
		}
	}
	return console, nil
}

// bannerLine returns the complete line that holds sign, or "".
func bannerLine(console []byte, sign string) string {
	for line := range bytes.Lines(console) {
		if bytes.HasSuffix(line, []byte("\n")) && bytes.Contains(line, []byte(sign)) {
			return string(bytes.TrimSpace(line))
		}
	}
	return ""
}

// simulate stands for a boot where none can be had.
func simulate(image string, img install.Image) ([]byte, error) {
	f, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 16)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, err
	}
	if bytes.Equal(head, make([]byte, len(head))) {
		return nil, nil
	}
	return fmt.Appendf(nil, "simulated boot of %d bytes, %s\n", img.Size, img.Digest), nil
}
