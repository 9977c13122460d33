// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/directio"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

// fetchSizeVar changes the size of what is downloaded, in MiB; 1024 without it.
const fetchSizeVar = "FIRMAMENT_BENCH_MIB"

// rounds is how often each side is run. Rounds are interleaved, so that a noisy minute meets all sides. The smallest figure of each counts:
// what else the machine does can only add to it.
const rounds = 5

// A payload is what every side downloads, and where.
type payload struct {
	small   small
	firmctl string // path of that command
	dir     string // served as /
	size    int64
	root    verify.Digest
	digest  verify.Digest
	base    string // URI of dir
}

// A downloader is one way to get the payload.
type downloader struct {
	name     string
	ours     bool
	floor    bool // a part of the work only
	verifies string
	run      func(ctx context.Context, file, out string) (cost, error)

	costs []cost
}

func (s *downloader) least() cost {
	c := s.costs[0]
	for _, o := range s.costs {
		c = cost{CPU: min(c.CPU, o.CPU), Wall: min(c.Wall, o.Wall), RSS: min(c.RSS, o.RSS)}
	}
	return c
}

// fetchSuite downloads 1 GiB from nginx on loopback, and updates an image of which most is there.
func fetchSuite(ctx context.Context, r *report) error {
	if !r.installed("nginx", "nginx-light") || !r.installed("curl", "curl") {
		return errors.New("nginx and curl are needed: apt-get install nginx-light curl")
	}
	dir, err := os.MkdirTemp("", "bench-fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := newPayload(dir)
	if err != nil {
		return err
	}
	if p.small, err = buildSmall(ctx, dir); err != nil {
		return err
	}
	if p.firmctl, err = build(ctx, dir, "firmctl"); err != nil {
		return err
	}
	stop, err := startNginx(ctx, p)
	if err != nil {
		return err
	}
	defer stop()
	sides := fetchSides(r, p)
	out := filepath.Join(dir, "out")
	for i := range sides {
		if s := &sides[i]; !s.floor {
			if err := refuses(ctx, r, s, "bad.bin", out); err != nil {
				return err
			}
		}
	}
	if err := noteDirect(r, out); err != nil {
		return err
	}
	for n := range rounds {
		for i := range sides {
			s := &sides[i]
			c, err := s.run(ctx, "good.bin", out)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.costs = append(s.costs, c)
			if n == 0 && !s.floor {
				if err := sameFile(out, filepath.Join(p.dir, "good.bin")); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
			}
			if err := errors.Join(removeOut(out)...); err != nil {
				return err
			}
		}
		r.notef("round %d of %d", n+1, rounds)
	}
	if err := fetchTables(r, sides, p); err != nil {
		return err
	}
	return updateTable(ctx, r, p)
}

// noteDirect says how fetch writes where the files go: the figures depend on it.
func noteDirect(r *report, out string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	d := directio.New(f)
	_, err = d.WriteAt(make([]byte, 1<<20), 0)
	if d.Direct() {
		r.notef("firmament writes past the page cache")
	} else {
		r.notef("the file system takes no direct writes: firmament writes through the page cache")
	}
	return errors.Join(err, d.Close(), os.Remove(out))
}

func removeOut(out string) (errs []error) {
	for _, name := range []string{out, out + ".fetch.0", out + ".fetch.1", out + ".part"} {
		if err := os.RemoveAll(name); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// newPayload makes the payload, its page file, and the same with one flipped bit.
func newPayload(dir string) (*payload, error) {
	mib := 1024
	if v := os.Getenv(fetchSizeVar); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%s is %q, want a number of MiB", fetchSizeVar, v)
		}
		mib = n
	}
	p := &payload{dir: filepath.Join(dir, "www"), size: int64(mib) << 20}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return nil, err
	}
	good, err1 := os.Create(filepath.Join(p.dir, "good.bin"))
	bad, err2 := os.Create(filepath.Join(p.dir, "bad.bin"))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	defer good.Close()
	defer bad.Close()
	noise := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 1<<20)
	for n := range mib {
		noise.Read(b)
		_, err1 := good.Write(b)
		if n == mib/2 {
			b[77] ^= 1
		}
		_, err2 := bad.Write(b)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
	}
	if _, err := good.Seek(0, 0); err != nil {
		return nil, err
	}
	digest := sha256.New()
	pages, root, err := chunk.Build(io.TeeReader(good, digest), p.size, fetch.DefaultChunkSize)
	if err != nil {
		return nil, err
	}
	p.root = root
	if p.digest, err = verify.NewDigest(verify.SHA256, digest.Sum(nil)); err != nil {
		return nil, err
	}
	for _, name := range []string{"good.bin.chunks", "bad.bin.chunks"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), pages, 0o644); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// refuses shows what a side makes of a flipped bit: one that verifies must fail, and one that does not is said not to.
func refuses(ctx context.Context, r *report, s *downloader, file, out string) error {
	_, err := s.run(ctx, file, out)
	if (err != nil) != (s.verifies != "nothing") {
		return fmt.Errorf("%s is said to verify %s; a flipped bit got it to say: %v", s.name, s.verifies, err)
	}
	if err != nil {
		r.notef("%s refuses a flipped bit: %v", s.name, err)
	} else {
		r.notef("%s takes a flipped bit", s.name)
	}
	return errors.Join(removeOut(out)...)
}

// fetchTables prints what every side cost, and how ours compares.
func fetchTables(r *report, sides []downloader, p *payload) error {
	var rows [][]string
	var cpu, memory []bar
	by := map[string]cost{}
	for _, s := range sides {
		m := s.least()
		by[s.name] = m
		rows = append(rows, []string{s.name, s.verifies, seconds(m.CPU), seconds(m.Wall), megabytes(m.RSS)})
		cpu = append(cpu, bar{s.name, m.CPU.Seconds(), s.ours})
		if !s.floor {
			memory = append(memory, bar{s.name, float64(m.RSS) / 1e6, s.ours})
		}
	}
	title := fmt.Sprintf("%d MiB from nginx on loopback, best of %d", p.size>>20, rounds)
	if err := r.table(title, []string{"side", "verifies", "CPU s", "wall s", "peak RSS MB"}, rows); err != nil {
		return err
	}
	one, two, command, curl, pipe := by[oursName], by[twoName], by[commandName], by[curlName], by[pipeName]
	floors := by[receiveName].CPU + by[hashName].CPU
	compared := func(what, limit string, f func(cost) string) []string {
		return []string{what, f(one), f(two), f(command), limit}
	}
	cpuOver := func(d time.Duration) func(cost) string { return func(c cost) string { return ratio(c.CPU, d) } }
	ratios := [][]string{
		compared("CPU / curl -o", "1.15", cpuOver(curl.CPU)),
		compared("CPU / receive + hash + write floors, written as fetch does", "1.10", cpuOver(floors+by[directName].CPU)),
		compared("CPU / receive + hash + write floors, written as curl does", "1.10", cpuOver(floors+by[writeName].CPU)),
		compared("CPU / curl | tee | sha256sum", "0.25", cpuOver(pipe.CPU)),
		compared("wall / curl | tee | sha256sum", "0.35", func(c cost) string { return ratio(c.Wall, pipe.Wall) }),
		compared("peak RSS MB", "16", func(c cost) string { return megabytes(c.RSS) }),
	}
	if err := r.table("firmament compared", []string{"what", "one stream", "2 ranges", commandName, "at most"}, ratios); err != nil {
		return err
	}
	return errors.Join(
		r.chart("fetch-cpu", "CPU time to download "+strconv.FormatInt(p.size>>20, 10)+" MiB", "seconds, user and system", cpu),
		r.chart("fetch-memory", "Peak memory of a download", "MB", memory),
	)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) }
func megabytes(n int64) string       { return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) }
func ratio(a, b time.Duration) string {
	return strconv.FormatFloat(a.Seconds()/b.Seconds(), 'f', 2, 64)
}
