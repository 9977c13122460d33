// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// tufSuite compares a refresh and a look-up with go-tuf's client, each a process of its own over the same repository. The last columns are
// fractions of what the peer takes. Only our side syncs its cache to the medium.
func tufSuite(ctx context.Context, r *report) error {
	n := r.targets
	for _, s := range []tufSetting{
		{"one file", 1000, 0, 5},
		{"one file", n, 0, 1},
		{"16,384 bins", n, 14, 1},
	} {
		if err := s.run(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// tufSetting is one repository and how often each side is started on it; the quickest start counts.
type tufSetting struct {
	layout string
	n      int
	bits   int
	starts int
}

var tufSides = []struct{ name, child, mode string }{
	{"firmament", "tuf-ours", "unsealed"}, {"firmament, sealed cache", "tuf-ours", "sealed"}, {"go-tuf v2.4.2", "tuf-gotuf", ""},
}

func (s tufSetting) run(ctx context.Context, r *report) (err error) {
	dir, err := os.MkdirTemp("", "firmament-bench")
	if err != nil {
		return err
	}
	defer func() {
		if rerr := os.RemoveAll(dir); err == nil {
			err = rerr
		}
	}()
	repo := filepath.Join(dir, "repo")
	if _, err := measureSelf(ctx, "tuf-make", repo, strconv.Itoa(s.n), strconv.Itoa(s.bits)); err != nil {
		return err
	}
	rows := map[string][][]string{}
	last := map[string]tufCost{} // of the peer, which is measured first
	for _, side := range slices.Backward(tufSides) {
		m := tufMeasurement{repo: repo, cache: filepath.Join(dir, side.child+side.mode), target: tufTarget(s.n / 2), child: side.child, mode: side.mode}
		if err := m.refuses(ctx, s.changed(repo)); err != nil {
			return fmt.Errorf("%s: %w", side.name, err)
		}
		for _, state := range []string{"cold", "warm"} {
			best, err := m.best(ctx, s.starts, state == "cold")
			if err != nil {
				return fmt.Errorf("%s: %w", side.name, err)
			}
			if side.mode == "" {
				last[state] = best
			}
			peer := last[state]
			rows[state] = append(rows[state], []string{
				side.name, strconv.FormatInt(best.Bytes, 10), fmt.Sprintf("%.4f", best.Seconds), fmt.Sprintf("%.4f", best.Used), fmt.Sprintf("%.1f", float64(best.RSS)/1e6),
				fmt.Sprintf("1/%.1f", peer.Seconds/best.Seconds), fmt.Sprintf("1/%.1f", peer.Used/best.Used), fmt.Sprintf("1/%.1f", float64(peer.RSS)/float64(best.RSS)),
			})
		}
	}
	for _, state := range []string{"cold", "warm"} {
		title := fmt.Sprintf("%d targets in %s, %s cache (a flipped digit was refused by all)", s.n, s.layout, state)
		if err := r.table(title, []string{"client", "bytes fetched", "seconds", "CPU s", "peak MB", "time", "CPU", "memory"}, rows[state]); err != nil {
			return err
		}
	}
	return nil
}

// changed is the file in which a digit is flipped: the one that lists the target, or one of them.
func (s tufSetting) changed(repo string) string {
	if s.bits == 0 {
		return filepath.Join(repo, "metadata", "1.targets.json")
	}
	return filepath.Join(repo, "metadata", fmt.Sprintf("1.%s.json", tufBinName(tufBinNumber(tufTarget(s.n/2), s.bits), s.bits)))
}

// tufMeasurement is one side over one repository.
type tufMeasurement struct {
	repo, cache, target, child, mode string
}

type tufCost struct {
	cost
	tufResult
}

func (m tufMeasurement) start(ctx context.Context) (c tufCost, err error) {
	if err := os.MkdirAll(m.cache, 0o700); err != nil {
		return c, err
	}
	result := m.cache + ".result"
	if c.cost, err = measureSelf(ctx, m.child, m.repo, m.cache, m.target, result, m.mode); err != nil {
		return c, err
	}
	data, err := os.ReadFile(result)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(data, &c.tufResult)
}

// refuses shows that this side verifies: with one digit of a digest changed it does not answer.
func (m tufMeasurement) refuses(ctx context.Context, file string) error {
	if err := flipTUF(file); err != nil {
		return err
	}
	_, err := m.start(ctx)
	if err == nil {
		return fmt.Errorf("metadata with a changed digit was accepted")
	}
	if err := flipTUF(file); err != nil {
		return err
	}
	return os.RemoveAll(m.cache)
}

func (m tufMeasurement) best(ctx context.Context, starts int, cold bool) (best tufCost, err error) {
	best.Seconds = time.Hour.Seconds()
	for range starts {
		if cold {
			if err := os.RemoveAll(m.cache); err != nil {
				return best, err
			}
		}
		c, err := m.start(ctx)
		if err != nil {
			return best, err
		}
		if c.Seconds < best.Seconds {
			best = c
		}
	}
	return best, nil
}
