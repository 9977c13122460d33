// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// small is the path of that command, which runs what is measured.
type small string

// buildSmall builds it in dir.
func buildSmall(ctx context.Context, dir string) (small, error) {
	out, err := build(ctx, dir, "bench/small")
	return small(out), err
}

// build builds one of the examples' commands in dir, as agents for devices are built.
func build(ctx context.Context, dir, command string) (string, error) {
	out := filepath.Join(dir, filepath.Base(command))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "github.com/firmament-dev/firmament/examples/"+command)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build examples/%s, which takes the go command and this source tree: %w: %s", command, err, said)
	}
	return out, nil
}

// measure runs a program to its end, as the other measure does, but its peak memory is its own.
func (s small) measure(ctx context.Context, name string, args ...string) (cost, error) {
	cmd := exec.CommandContext(ctx, string(s), append([]string{"run", name}, args...)...)
	var stdout, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &said
	err := cmd.Run()
	var c cost
	if err2 := json.Unmarshal(stdout.Bytes(), &c); err == nil {
		err = err2
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(said.Bytes()))
	}
	return c, nil
}

// self runs one of small's own verbs.
func (s small) self(ctx context.Context, args ...string) (cost, error) {
	return s.measure(ctx, string(s), args...)
}
