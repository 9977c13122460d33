// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// deltaSuite makes and applies patches for every pair of images in the corpus folder, with each tool that is installed.
func deltaSuite(ctx context.Context, r *report) error {
	if r.corpus == "" {
		return errors.New("name a folder of pairs with --corpus or FIRMAMENT_CORPUS: DIR/PAIR/old.img and new.img")
	}
	olds, err := filepath.Glob(filepath.Join(r.corpus, "*", "old.img"))
	if err != nil {
		return err
	}
	if len(olds) == 0 {
		return fmt.Errorf("no pair in %s", r.corpus)
	}
	var tools []deltaTool
	for _, t := range deltaTools() {
		wanted := func(name string) bool { return strings.HasPrefix(t.name, name) }
		if !slices.ContainsFunc(strings.Split(r.only, ","), wanted) {
			continue
		}
		if t.program == "" || r.installed(t.program, t.debian) {
			tools = append(tools, t)
		}
	}
	dir, err := os.MkdirTemp("", "bench-delta-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	runner, err := buildSmall(ctx, dir)
	if err != nil {
		return err
	}
	if c, err := runner.measure(ctx, "true"); err == nil {
		r.notef("a peak of %s MB is that of what starts the tools: theirs is lower", megabytes(c.RSS))
	}
	for _, old := range olds {
		if err := deltaPair(ctx, r, runner, filepath.Dir(old), tools); err != nil {
			return fmt.Errorf("%s: %w", filepath.Dir(old), err)
		}
	}
	return nil
}

// A deltaRun is one pair and a folder for what one tool makes of it, which url serves while it is applied.
type deltaRun struct {
	small              small
	old, new, dir, url string
}

func (d deltaRun) file(name string) string { return filepath.Join(d.dir, name) }

// A deltaResult is what one tool did with one pair.
type deltaResult struct {
	tool    string
	ours    bool
	size    int64
	wire    string // how it went over HTTP; "" for a patch that is a file
	made    cost
	applied cost
	flipped string // what became of a flipped byte
}

func deltaPair(ctx context.Context, r *report, runner small, pair string, tools []deltaTool) error {
	run := deltaRun{small: runner, old: filepath.Join(pair, "old.img"), new: filepath.Join(pair, "new.img")}
	st, err := os.Stat(run.old)
	if err != nil {
		return err
	}
	image, err := os.Stat(run.new)
	if err != nil {
		return err
	}
	var all []deltaResult
	for _, t := range tools {
		if t.most > 0 && st.Size() > t.most {
			r.notef("%s: %s left out, it takes too much for %d MB", filepath.Base(pair), t.name, st.Size()/1e6)
			continue
		}
		result, err := t.measure(ctx, run)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if result.wire != "" {
			r.notef("%s: %s fetched its %d bytes by %s", filepath.Base(pair), t.name, result.size, result.wire)
		}
		all = append(all, result)
	}
	return deltaReport(r, filepath.Base(pair), image.Size(), all)
}

// measure makes a patch, applies it, compares the result, and applies it again with one byte of it flipped.
func (t *deltaTool) measure(ctx context.Context, run deltaRun) (result deltaResult, err error) {
	if run.dir, err = os.MkdirTemp("", "firmament-bench"); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(run.dir)) }()
	result = deltaResult{tool: t.name, ours: t.ours}
	if result.made, err = t.make(ctx, run); err != nil {
		return result, err
	}
	if t.size != nil {
		if result.size, err = t.size(ctx, run); err != nil {
			return result, err
		}
	}
	w, err := newWire(ctx, run.dir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	run.url = w.url
	for n := range 3 { // the quickest counts
		c, err := t.apply(ctx, run)
		if err != nil {
			return result, err
		}
		if n == 0 && t.size == nil {
			result.size = w.body.Load()
			result.wire = fmt.Sprintf("%d requests, %d bytes with headers", w.requests.Load(), w.all.Load())
		}
		if result.applied.CPU == 0 || c.CPU < result.applied.CPU {
			result.applied = c
		}
		if err := sameFile(run.file("out"), run.new); err != nil {
			return result, err
		}
		if err := os.Remove(run.file("out")); err != nil {
			return result, err
		}
	}
	if err := flipByte(run.file("patch")); err != nil {
		return result, err
	}
	_, err = t.apply(ctx, run)
	switch {
	case err != nil:
		result.flipped = "refused"
	case sameFile(run.file("out"), run.new) == nil:
		result.flipped = "no matter"
	default:
		result.flipped = "wrong image"
	}
	if t.ours && result.flipped != "refused" {
		return result, fmt.Errorf("a patch with a flipped byte: %s", result.flipped)
	}
	return result, nil
}

func deltaReport(r *report, pair string, image int64, all []deltaResult) error {
	var rows [][]string
	charts := map[string][]bar{}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
	mb := func(n int64) string { return fmt.Sprintf("%.0f", float64(n)/1e6) }
	for _, d := range all {
		memory := func(n int64) bar { return bar{d.tool, float64(n) / 1e6, d.ours} }
		rows = append(rows, []string{d.tool, fmt.Sprint(d.size), fmt.Sprintf("%.2f %%", 100*float64(d.size)/float64(image)), seconds(d.made.CPU), mb(d.made.RSS),
			seconds(d.applied.CPU), mb(d.applied.RSS), d.flipped})
		charts["apply-memory"] = append(charts["apply-memory"], memory(d.applied.RSS))
		charts["size"] = append(charts["size"], bar{d.tool, float64(d.size) / 1e3, d.ours})
		charts["make-memory"] = append(charts["make-memory"], memory(d.made.RSS))
	}
	title := fmt.Sprintf("%s, to an image of %d bytes", pair, image)
	if err := r.table(title, []string{"tool", "patch bytes", "of the image", "make CPU s", "make MB", "apply CPU s", "apply MB", "flipped byte"}, rows); err != nil {
		return err
	}
	return errors.Join(
		r.chart("delta-"+pair+"-size", "Bytes to send: "+pair, "kB", charts["size"]),
		r.chart("delta-"+pair+"-make-memory", "Peak memory to make a patch: "+pair, "MB", charts["make-memory"]),
		r.chart("delta-"+pair+"-apply-memory", "Peak memory to apply a patch: "+pair, "MB", charts["apply-memory"]),
	)
}

func sameFile(got, want string) error {
	a, err := fileDigest(got)
	if err != nil {
		return err
	}
	b, err := fileDigest(want)
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return errors.New("another image came out")
	}
	return nil
}

func fileDigest(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}

// flipByte changes a byte at two thirds of a file.
func flipByte(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil {
		var b [1]byte
		at := st.Size() * 2 / 3
		if _, err = f.ReadAt(b[:], at); err == nil {
			b[0] ^= 0x40
			_, err = f.WriteAt(b[:], at)
		}
	}
	return errors.Join(err, f.Close())
}
