// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
)

const (
	healthTimeout = 30 * time.Second
	maxConsole    = 1 << 20
)

// Healthy finds out whether the running image works, and returns the evidence. The error says what was expected and seen;
// it is cli.ErrInput if there is no verdict, because the health command could not be started.
func (d *Device) Healthy(ctx context.Context, dir string) (string, error) {
	h := d.Config.Health
	switch {
	case len(h.Command) > 0:
		return d.runHealth(ctx, dir)
	case h.File != "":
		b, err := cli.ReadFile(filepath.Join(dir, h.File), maxConsole, fmt.Sprintf("a file with %q", h.Contains))
		if err != nil {
			return "", fmt.Errorf("health: %v", err) // the boot did not write it
		}
		if !bytes.Contains(b, []byte(h.Contains)) {
			return "", fmt.Errorf("health: %d bytes of %s do not contain %q", len(b), h.File, h.Contains)
		}
		return fmt.Sprintf("%s contains %q", h.File, h.Contains), nil
	}
	b, err := d.Boot.Boot(ctx)
	if err != nil {
		return "", err
	}
	img, err := d.Boot.Image(b.Current)
	if err != nil {
		return "", err
	}
	if err := CheckSlot([2]install.Device(d.Slots))(b.Current, img); err != nil {
		return "", fmt.Errorf("health: %w", err)
	}
	return fmt.Sprintf("slot %s holds %s", slot.Name(b.Current), img.Digest), nil
}

// runHealth starts the command in dir, with what it is to judge in the environment: FIRMAMENT_SLOT (A or B),
// FIRMAMENT_SLOT_FILE and FIRMAMENT_DIGEST. Standard input and output are the null device. A name without a path is looked
// for in dir and not in PATH. Package os/exec would do more, and make the agent a tenth of a megabyte larger.
func (d *Device) runHealth(ctx context.Context, dir string) (_ string, err error) {
	h := d.Config.Health
	name := h.Command[0]
	if !filepath.IsAbs(name) {
		if name, err = filepath.Abs(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	env, err := d.healthEnv(ctx, dir)
	if err != nil {
		return "", err
	}
	p, err := os.StartProcess(name, h.Command, &os.ProcAttr{Dir: dir, Env: env, Files: []*os.File{null, null, os.Stderr}})
	if err != nil {
		return "", cli.Inputf("%s: health.command cannot be started, want an absolute path or one below %s: %w", ConfigName, dir, err)
	}
	limit := time.Duration(h.Seconds) * time.Second
	if limit <= 0 {
		limit = healthTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = p.Kill() })
	st, err := p.Wait()
	if !stop() {
		return "", fmt.Errorf("health: %s: no answer within %v: %w", h.Command[0], limit, ctx.Err())
	}
	if err != nil || !st.Success() {
		return "", errors.Join(err, fmt.Errorf("health: %s: %v, want exit status 0", h.Command[0], st))
	}
	return h.Command[0] + " exited with 0", nil
}

// healthEnv is the agent's environment and what there is to judge.
func (d *Device) healthEnv(ctx context.Context, dir string) ([]string, error) {
	b, err := d.Boot.Boot(ctx)
	if err != nil {
		return nil, err
	}
	img, err := d.Boot.Image(b.Current)
	if err != nil {
		return nil, err
	}
	file, err := filepath.Abs(filepath.Join(dir, d.Config.Slots[b.Current]))
	if err != nil {
		return nil, err
	}
	return append(os.Environ(), "FIRMAMENT_SLOT="+slot.Name(b.Current), "FIRMAMENT_SLOT_FILE="+file, "FIRMAMENT_DIGEST="+img.Digest.String()), nil
}
