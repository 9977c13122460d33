// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

// updateRounds is how often each side of the second table is run.
const updateRounds = 3

// spoilEvery is the distance of flipped bits in what must be refused: one of them is in what has to be fetched, wherever a format puts it.
const spoilEvery = 64 << 10

// An updated is a pair of images, and what the sides need of them: the old ones here, the new ones on the server, good and spoilt.
type updated struct {
	*payload
	old     string
	oldZck  string
	changed int64 // bytes of the new image that the old one does not have
}

// updateTable has each side bring an image up to date whose predecessor is at hand, and counts what the server sent.
func updateTable(ctx context.Context, r *report, p *payload) error {
	u, err := newUpdated(filepath.Dir(p.dir), p)
	if err != nil {
		return err
	}
	sides, err := u.sides(ctx, r)
	if err != nil {
		return err
	}
	out := filepath.Join(filepath.Dir(p.dir), "updated")
	sent := make([]int64, len(sides))
	for i := range sides {
		if err := refuses(ctx, r, &sides[i], "bad", out); err != nil {
			return err
		}
	}
	for range updateRounds {
		for i := range sides {
			if err := os.Truncate(filepath.Join(filepath.Dir(p.dir), "sent.log"), 0); err != nil {
				return err
			}
			c, err := sides[i].run(ctx, "good", out)
			if err == nil {
				err = sameFile(out, filepath.Join(p.dir, "new.good"))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", sides[i].name, err)
			}
			sides[i].costs = append(sides[i].costs, c)
			if sent[i], err = u.sent(ctx); err != nil {
				return err
			}
			if err := errors.Join(removeOut(out)...); err != nil {
				return err
			}
		}
	}
	var rows [][]string
	var size, memory []bar
	for i, s := range sides {
		m := s.least()
		rows = append(rows, []string{s.name, s.verifies, strconv.FormatInt(sent[i], 10), seconds(m.CPU), seconds(m.Wall), megabytes(m.RSS)})
		size = append(size, bar{s.name, float64(sent[i]) / 1e6, s.ours})
		memory = append(memory, bar{s.name, float64(m.RSS) / 1e6, s.ours})
	}
	title := fmt.Sprintf("%d MiB, %d KiB of them new, best of %d", u.size>>20, u.changed>>10, updateRounds)
	if err := r.table(title, []string{"side", "verifies", "bytes sent", "CPU s", "wall s", "peak RSS MB"}, rows); err != nil {
		return err
	}
	return errors.Join(
		r.chart("fetch-update-size", "Bytes sent for "+title, "MB", size),
		r.chart("fetch-update-memory", "Peak memory of an update out of what is at hand", "MB", memory),
	)
}

// newUpdated makes the images: noise, in which every 64th is another one in the new image, and which has moved by an odd number of bytes.
func newUpdated(dir string, p *payload) (*updated, error) {
	u := &updated{payload: &payload{small: p.small, dir: p.dir, base: p.base}, old: filepath.Join(dir, "old"), oldZck: filepath.Join(dir, "old.zck")}
	const piece = 4 << 20
	old := make([]byte, max(p.size/8, piece))
	noise := rand.NewChaCha8([32]byte{2})
	noise.Read(old)
	fresh := func(n int) []byte {
		b := make([]byte, n)
		noise.Read(b)
		u.changed += int64(n)
		return b
	}
	moved := fresh(100_003)
	image := append(make([]byte, 0, len(old)+len(moved)), moved...)
	image = append(image, old...)
	for at := len(moved); at+piece/64 < len(image); at += piece {
		copy(image[at:], fresh(piece/64))
	}
	bad := bytes.Clone(image)
	spoil(bad)
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), fetch.DefaultChunkSize)
	if err != nil {
		return nil, err
	}
	index, err := chunk.BuildIndex(bytes.NewReader(image))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(image)
	u.size, u.root = int64(len(image)), root
	if u.digest, err = verify.NewDigest(verify.SHA256, sum[:]); err != nil {
		return nil, err
	}
	x, err := os.Create(filepath.Join(p.dir, "new.caibx"))
	if err != nil {
		return nil, err
	}
	_, err = index.WriteTo(x)
	err = errors.Join(err, x.Close(), os.WriteFile(u.old, old, 0o644))
	for name, data := range map[string][]byte{"new.good": image, "new.bad": bad, "new.good.chunks": pages, "new.bad.chunks": pages} {
		err = errors.Join(err, os.WriteFile(filepath.Join(p.dir, name), data, 0o644))
	}
	return u, err
}

func spoil(b []byte) {
	for at := spoilEvery - 1; at < len(b); at += spoilEvery {
		b[at] ^= 1
	}
}

// sides are those whose programs are there, with what they need made.
func (u *updated) sides(ctx context.Context, r *report) ([]downloader, error) {
	sides := []downloader{
		{name: "firmament, chunks at hand", ours: true, verifies: "each chunk", run: func(ctx context.Context, kind, out string) (cost, error) {
			return u.small.self(ctx, "update", "-url", u.base+"new."+kind, "-size", strconv.FormatInt(u.size, 10), "-digest", u.digest.String(),
				"-root", u.root.String(), "-index", "new.caibx", "-old", u.old, "-out", out)
		}},
		{name: "curl -o, all of it", verifies: "nothing", run: func(ctx context.Context, kind, out string) (cost, error) {
			return u.small.measure(ctx, "curl", "-sS", "--fail", "-o", out, u.base+"new."+kind)
		}},
	}
	if r.installed("casync", "casync") {
		if err := u.makeCasync(ctx); err != nil {
			return nil, err
		}
		sides = append(sides, downloader{name: "casync extract --seed", verifies: "each chunk", run: func(ctx context.Context, kind, out string) (cost, error) {
			return u.small.measure(ctx, "casync", "extract", "--seed="+u.old, "--store="+u.base+kind+".castr", u.base+"casync.caibx", out)
		}})
	}
	if r.installed("zckdl", "zchunk") {
		if err := u.makeZchunk(ctx); err != nil {
			return nil, err
		}
		sides = append(sides, downloader{name: "zckdl -s; unzck", verifies: "each chunk", run: func(ctx context.Context, kind, out string) (cost, error) {
			script := `mkdir "$1.zck" && cd "$1.zck" && zckdl -q -s "$2" "$3" && unzck new.zck && mv new "$1"; code=$?; rm -r "$1.zck"; exit $code`
			return u.small.measure(ctx, "sh", "-c", script, "sh", out, u.oldZck, u.base+kind+"/new.zck")
		}})
	}
	return sides, nil
}

// makeCasync makes the index and the stores, in chunks of 16 to 64 KiB, as ours are, and as many.
func (u *updated) makeCasync(ctx context.Context) error {
	good, bad := filepath.Join(u.dir, "good.castr"), filepath.Join(u.dir, "bad.castr")
	if _, err := measure(ctx, "casync", "make", "--chunk-size=16384:24576:65536", "--store="+good, filepath.Join(u.dir, "casync.caibx"), filepath.Join(u.dir, "new.good")); err != nil {
		return err
	}
	return filepath.WalkDir(good, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 1
		to := filepath.Join(bad, filepath.Base(filepath.Dir(path)), filepath.Base(path))
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b, 0o644))
	})
}

// makeZchunk makes the file for the server, and the one that a device keeps of the old image.
func (u *updated) makeZchunk(ctx context.Context) error {
	good, bad := filepath.Join(u.dir, "good", "new.zck"), filepath.Join(u.dir, "bad", "new.zck")
	if err := errors.Join(os.Mkdir(filepath.Dir(good), 0o755), os.Mkdir(filepath.Dir(bad), 0o755)); err != nil {
		return err
	}
	_, err1 := measure(ctx, "zck", "-o", good, filepath.Join(u.dir, "new.good"))
	_, err2 := measure(ctx, "zck", "-o", u.oldZck, u.old)
	b, err3 := os.ReadFile(good)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	spoil(b[len(b)/16:]) // behind the header, which would be refused for its own sake
	return os.WriteFile(bad, b, 0o644)
}

// sent returns what the server has sent since its log was empty, headers included. It has logged all of it when it has logged one request
// more: it is one process, and does one thing after the other.
func (u *updated) sent(ctx context.Context) (int64, error) {
	const mark = "/logged"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(u.base, "/")+mark, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	for ctx.Err() == nil {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(u.dir), "sent.log"))
		if err != nil {
			return 0, err
		}
		var n int64
		for line := range strings.Lines(string(b)) {
			size, uri, _ := strings.Cut(strings.TrimSpace(line), " ")
			if uri == mark {
				return n, nil
			}
			bytes, err := strconv.ParseInt(size, 10, 64)
			if err != nil {
				return 0, err
			}
			n += bytes
		}
		time.Sleep(time.Millisecond)
	}
	return 0, ctx.Err()
}
