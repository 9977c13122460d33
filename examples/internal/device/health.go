// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
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

// Healthy finds out whether the running image works, and returns the evidence. The error says what was expected and seen.
func (d *Device) Healthy(ctx context.Context, dir string) (string, error) {
	h := d.Config.Health
	switch {
	case len(h.Command) > 0:
		return h.run(ctx)
	case h.File != "":
		b, err := cli.ReadFile(filepath.Join(dir, h.File), maxConsole)
		if err != nil {
			return "", fmt.Errorf("health: %w", err)
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

func (h Health) run(ctx context.Context) (string, error) {
	limit := time.Duration(h.Seconds) * time.Second
	if limit <= 0 {
		limit = healthTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.Command[0], h.Command[1:]...)
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("health: %s: %w", h.Command[0], err)
	}
	return h.Command[0] + " exited with 0", nil
}
