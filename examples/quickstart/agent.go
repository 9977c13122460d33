// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
)

// An answer is what the agent process printed: an outcome, or why it refused.
type answer struct {
	device.Outcome
	Error string `json:"error"`
	Cause string `json:"cause"`
	exit  int
}

// agent runs one cycle in a process of its own.
func (s *story) agent(ctx context.Context) (answer, error) {
	p, err := s.start(ctx)
	if err != nil {
		return answer{}, err
	}
	return p.wait()
}

type process struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

func (s *story) start(ctx context.Context) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, agentArg, s.product.DeviceDir())}
	p.cmd.Stdout = &p.out
	p.cmd.Stderr = s.progress
	return p, p.cmd.Start()
}

func (p *process) wait() (answer, error) {
	var a answer
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return a, err
	}
	a.exit = p.cmd.ProcessState.ExitCode()
	if err := json.Unmarshal(p.out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("agent exited with %d and said %q: %w", a.exit, p.out.String(), errStep)
	}
	return a, nil
}

// expect turns an answer that is not the expected one into an error.
func (a answer) expect(result string) error {
	if a.Error != "" || a.Result != result {
		return fmt.Errorf("agent: want %s, got %s %s: %s: %w", result, a.Result, a.Error, a.Cause, errStep)
	}
	return nil
}

// expectRefusal wants one sentinel, and exit code 1.
func (a answer) expectRefusal(name string) error {
	if a.Error != name || a.exit != cli.Refused {
		return fmt.Errorf("agent: want %s with exit %d, got %s %s with exit %d: %s: %w", name, cli.Refused, a.Result, a.Error, a.exit, a.Cause, errStep)
	}
	return nil
}
