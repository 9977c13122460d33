// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/verify"
)

// slow is a server whose patches come some bytes per pause, from the offset behind on. A read ends with its context, as one of net/http does.
type slow struct {
	*source
	behind int64
	bytes  int
	pause  time.Duration
}

func (s slow) Open(ctx context.Context, uri string, offset int64, v string) (*fetch.Stream, error) {
	return s.OpenRange(ctx, uri, offset, 0, v)
}

func (s slow) OpenRange(ctx context.Context, uri string, offset, length int64, v string) (*fetch.Stream, error) {
	st, err := s.source.OpenRange(ctx, uri, offset, length, v)
	if err == nil && uri == "payloads/patch" && offset >= s.behind {
		st.Body = io.NopCloser(&trickle{s, ctx, st.Body})
	}
	return st, err
}

type trickle struct {
	slow
	ctx  context.Context
	body io.Reader
}

func (t *trickle) Read(p []byte) (int, error) {
	select {
	case <-time.After(t.pause):
		return t.body.Read(p[:min(len(p), t.bytes)])
	case <-t.ctx.Done():
		return 0, t.ctx.Err()
	}
}

// A frame that takes longer than the idle timeout is no reason to leave the cheapest way as long as bytes of it come, and not fewer than the minimum rate. A server
// that sends fewer costs a bounded time: then the payload comes by itself.
//
// covers: NET-07 NET-12
func TestNET_07_PatchOnASlowLine(t *testing.T) {
	for _, c := range []struct {
		name   string
		behind int64
		bytes  int
		pause  time.Duration
		way    fetch.Way // of a packed payload; likewise of a delta
		most   time.Duration
	}{
		{"a packed frame in 44 s", 0, 1500, time.Second, fetch.WayPacked, 10 * time.Minute},
		{"a packed frame in 44 s, in bursts", 0, 7500, 5 * time.Second, fetch.WayPacked, 10 * time.Minute},
		{"slower than the minimum rate", 0, 1000, time.Second, fetch.WayFull, 4 * time.Minute},
		{"a byte before each idle timeout", 0, 1, 29 * time.Second, fetch.WayFull, 4 * time.Minute},
		{"a byte before each idle timeout, after the header", 8192, 1, 29 * time.Second, fetch.WayFull, 6 * time.Minute},
		{"silent after the header", 8192, 1, time.Hour, fetch.WayFull, 4 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newPackedWorld(t)
				custom, err := w.offers.Custom(nil)
				must(t, err)
				help := fetch.Help{Offers: custom, Resolve: func(uri string) (string, error) { return "payloads/" + uri, nil }}
				began := time.Now()
				s, err := w.planner.Fetch(t.Context(), fetch.Options{Source: slow{w.source, c.behind, c.bytes, c.pause}, Retries: 2}, w.res, help, w.sink)
				must(t, err)
				took := time.Since(began)
				if w.check(true); s.Way != c.way || took > c.most {
					t.Errorf("by %v in %v, want %v in at most %v; fallbacks %v", s.Way, took, c.way, c.most, s.Fallbacks)
				}
				if want := int64(len(w.files["payloads/patch"]) + len(w.files["payloads/new.chunks"])); c.way == fetch.WayPacked && s.Network != want {
					t.Errorf("%d bytes, want %d, each once", s.Network, want)
				}
			})
		})
	}
}

// The same of a delta with much that is new, in one frame.
func TestNET_07_DeltaOnASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.files["payloads/patch"] = bytes.Clone(usual.patch)
		custom, err := w.offers.Custom(nil)
		must(t, err)
		help := fetch.Help{Offers: custom, Running: section(w.running), Resolve: func(uri string) (string, error) { return "payloads/" + uri, nil }}
		s, err := w.planner.Fetch(t.Context(), fetch.Options{Source: slow{w.source, 0, 300, time.Second}, MinRate: 200}, w.res, help, w.sink)
		must(t, err)
		if w.check(true); s.Way != fetch.WayDelta || len(s.Fallbacks) > 0 {
			t.Errorf("by %v, want a delta; fallbacks %v", s.Way, s.Fallbacks)
		}
	})
}

// A server that sends the patch from its beginning each time, and breaks off a little later each time, would send the square of it: each frame is progress. It is
// left for the payload, which bounds that.
//
// covers: NET-02
func TestNET_02_PatchWithoutRanges(t *testing.T) {
	w := newWorld(t)
	w.image = noise(5, 3<<20)
	pages, root, err := chunk.Build(bytes.NewReader(w.image), int64(len(w.image)), step)
	must(t, err)
	patch, info := makePatch(t, nil, w.image)
	w.res.Size, w.res.Digest, w.res.Chunks.Root = int64(len(w.image)), verify.Sum(verify.SHA256, w.image), root
	w.files["payloads/new"], w.files["payloads/new.chunks"], w.files["payloads/patch"] = w.image, pages, patch
	w.offers.Payloads = []plan.Payload{{Digest: w.res.Digest, Size: w.res.Size,
		Deltas: []plan.Delta{{From: emptyImage, URI: "patch", Size: w.res.Size - 1, Digest: info.Digest, Memory: info.Memory}}}}
	w.files["payloads/patch"] = patch[:w.res.Size-1] // a patch of noise is a little larger than it, so that nobody would offer it
	w.source.noRanges = true
	asked := int64(0)
	w.source.body = func(uri string, _ int64, rest []byte) io.Reader {
		if uri != "payloads/patch" {
			return nil
		}
		asked++
		return io.MultiReader(bytes.NewReader(rest[:min(int64(len(rest)), 20_000+asked*70_000)]), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	s, err := w.fetch()
	must(t, err)
	if w.check(true); s.Way != fetch.WayFull || s.Network > 6*w.res.Size {
		t.Errorf("by %v, %d bytes for a payload of %d in %d requests for the patch; fallbacks %v", s.Way, s.Network, w.res.Size, asked, s.Fallbacks)
	}
	wantFallback(t, s, fetch.WayPacked, fetch.ErrRange)
}
