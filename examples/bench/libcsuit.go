// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// libcsuitVariable names the program that testdata/libcsuit.c is built to, if it is not on the path as libcsuit-bench.
const libcsuitVariable = "FIRMAMENT_LIBCSUIT"

// example0Key is the published key that example 0 is signed with: an uncompressed P-256 point.
const example0Key = "048496811aae0baaabd26157189eecda26beaa8bf11b6f3fe6e2b5659c85dbc0ad" +
	"3b1f2a4b6c098131c0a36dacd1d78bd381dcdfb09c052db33991db7338b4a896"

// openMany opens the envelope of a file many times: COUNT FILE KEY, as testdata/libcsuit.c.
func openMany(_ context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("expected COUNT FILE KEY")
	}
	count, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	envelope, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	point, err := hex.DecodeString(args[2])
	if err != nil {
		return err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return err
	}
	key, err := verify.NewKey(public)
	if err != nil {
		return err
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: key})
	if err != nil {
		return err
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		return err
	}
	for range count {
		if _, err := manifest.OpenBytes(envelope, keys, policy); err != nil {
			return err
		}
	}
	return nil
}

// A program reads and verifies example 0 as often as it is told.
type program struct {
	name    string
	measure func(ctx context.Context, args ...string) (cost, error)
}

const (
	programRounds = 7
	programCount  = 2000
)

// programs compares whole programs that read and verify example 0, which has an ES256 signature: ours, and libcsuit where
// it is installed.
func programs(ctx context.Context, r *report) error {
	list := []program{{"firmament, crypto/ecdsa", func(ctx context.Context, args ...string) (cost, error) {
		return measureSelf(ctx, "manifest-open", args...)
	}}}
	peer := os.Getenv(libcsuitVariable)
	if peer == "" {
		peer, _ = exec.LookPath("libcsuit-bench")
	}
	if peer == "" {
		r.notef("no row for libcsuit: build testdata/libcsuit.c as it says, and name it in %s", libcsuitVariable)
	} else {
		list = append(list, program{"libcsuit, OpenSSL", func(ctx context.Context, args ...string) (cost, error) {
			return measure(ctx, peer, args...)
		}})
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "envelope")
	for _, p := range list {
		if err := p.refusesFlips(ctx, file); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if err := os.WriteFile(file, example0, 0o600); err != nil {
		return err
	}
	times := make([][]time.Duration, len(list))
	for range programRounds {
		for i, p := range list {
			none, err := p.measure(ctx, "0", file, example0Key)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			many, err := p.measure(ctx, strconv.Itoa(programCount), file, example0Key)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			times[i] = append(times[i], (many.CPU-none.CPU)/programCount)
		}
	}
	var rows [][]string
	for i, p := range list {
		slices.Sort(times[i])
		rows = append(rows, []string{p.name, times[i][programRounds/2].String()})
	}
	return r.table("programs that read and verify example 0, ES256", []string{"what", "CPU each"}, rows)
}

// refusesFlips makes sure that a program refuses example 0 with any byte flipped; some are tried.
func (p program) refusesFlips(ctx context.Context, file string) error {
	try := func(b []byte) error {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			return err
		}
		_, err := p.measure(ctx, "1", file, example0Key)
		return err
	}
	if err := try(example0); err != nil {
		return err
	}
	const step = 11
	for at := 0; at < len(example0); at += step {
		flipped := slices.Clone(example0)
		flipped[at] ^= 1
		if err := try(flipped); err == nil {
			return fmt.Errorf("byte %d flipped: accepted", at)
		}
	}
	return nil
}
