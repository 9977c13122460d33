// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/verify"
)

// The cheapest way by what is signed is taken, and nothing of the others is fetched.
func TestCheapest(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(w *world)
		way    fetch.Way
		files  []string // that were asked for, in order of first use
	}{
		{"delta", func(*world) {}, fetch.WayDelta, []string{"payloads/new.chunks", "payloads/patch"}},
		{"chunks without a delta", func(w *world) { w.offer().Deltas = nil }, fetch.WayChunks, []string{"payloads/index", "payloads/new.chunks", "payloads/new"}},
		{"chunks for less than the delta", func(w *world) {
			w.offer().Index.From = []plan.Missing{{From: w.offer().Deltas[0].From, Bytes: 10}}
		}, fetch.WayChunks, []string{"payloads/index", "payloads/new.chunks", "payloads/new"}},
		{"chunks for more than the delta", func(w *world) {
			w.offer().Index.From = []plan.Missing{{From: w.offer().Deltas[0].From, Bytes: 200_000}}
		}, fetch.WayDelta, []string{"payloads/new.chunks", "payloads/patch"}},
		{"delta larger than the image", func(w *world) { w.offer().Deltas[0].Size, w.offer().Index = w.res.Size+1, nil }, fetch.WayFull, []string{"payloads/new.chunks", "payloads/new"}},
		{"index as large as what it could save", func(w *world) { w.offer().Deltas, w.offer().Index.Size = nil, w.res.Size/8+1 }, fetch.WayFull, []string{"payloads/new.chunks", "payloads/new"}},
		{"nothing for this payload", func(w *world) { w.offer().Digest = verify.Sum(verify.SHA256, []byte("another")) }, fetch.WayFull, []string{"payloads/new.chunks", "payloads/new"}},
		{"no old image", func(w *world) { w.running = nil }, fetch.WayFull, []string{"payloads/new.chunks", "payloads/new"}},
		{"no chunk digests", func(w *world) { w.res.Chunks = nil; w.sink = nil }, fetch.WayFull, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.change(w); w.sink == nil {
				var m staging
				s, err := w.planner.Fetch(t.Context(), fetch.Options{Source: w.source}, w.res, fetch.Help{Running: section(w.old)}, &m)
				if err != nil || !bytes.Equal(m.data, w.image) || s.Way != c.way || s.Network != w.res.Size {
					t.Errorf("%v by %v with %d bytes", err, s.Way, s.Network)
				}
				return
			}
			s, err := w.fetch()
			must(t, err)
			w.check(true)
			if s.Way != c.way || !slices.Equal(w.way, []fetch.Way{c.way}) && !slices.Equal(w.way, []fetch.Way{0, c.way}) {
				t.Errorf("went by %v, in the end by %v; want %v", w.way, s.Way, c.way)
			}
			if got := firstUses(w.source.asked); !slices.Equal(got, c.files) {
				t.Errorf("asked for %q, want %q", got, c.files)
			}
			if s.Network != w.source.sent || s.Requests != len(w.source.asked) {
				t.Errorf("counted %d bytes in %d requests, the server sent %d in %d", s.Network, s.Requests, w.source.sent, len(w.source.asked))
			}
			switch c.way {
			case fetch.WayDelta:
				if s.Network != int64(len(w.files["payloads/patch"])+len(w.files["payloads/new.chunks"])) || s.Reused != w.res.Size || s.Requests != 3 {
					t.Errorf("%d bytes in %d requests, %d reused", s.Network, s.Requests, s.Reused)
				}
			case fetch.WayChunks:
				if s.Reused < w.res.Size/2 || s.Network+s.Reused < w.res.Size || s.Network > w.res.Size/2 {
					t.Errorf("%d bytes over the network, %d reused, of %d", s.Network, s.Reused, w.res.Size)
				}
			case fetch.WayFull:
				if s.Network != w.fullCost() || s.Reused != 0 {
					t.Errorf("%d bytes over the network, %d reused, of %d", s.Network, s.Reused, w.res.Size)
				}
			}
		})
	}
}

type staging struct{ sink }

func (*staging) Staging() bool { return true }

func firstUses(asked []string) []string {
	var files []string
	for _, uri := range asked {
		if !slices.Contains(files, uri) {
			files = append(files, uri)
		}
	}
	return files
}

// Whatever is wrong with an offer or with what the server has for it, the payload comes by the next way, and says why; no byte that the author's chunk
// digests do not accept reaches the sink.
//
// covers: NET-12 REG-32
func TestNET_12_Fallback(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, w *world)
		from   fetch.Way // left
		why    error
		to     fetch.Way
	}{
		{"no patch on the server", func(_ *testing.T, w *world) { delete(w.files, "payloads/patch") }, fetch.WayDelta, fetch.ErrRefused, fetch.WayChunks},
		{"503 for the patch", func(_ *testing.T, w *world) {
			w.source.trouble = func(uri string) error {
				if uri == "payloads/patch" {
					return &fetch.StatusError{Status: 503}
				}
				return nil
			}
		}, fetch.WayDelta, fetch.ErrTransport, fetch.WayChunks},
		{"503 for the rest of the patch", func(_ *testing.T, w *world) {
			w.source.body = func(uri string, _ int64, rest []byte) io.Reader {
				if uri != "payloads/patch" {
					return nil
				}
				w.source.trouble = func(uri string) error {
					if uri == "payloads/patch" {
						return &fetch.StatusError{Status: 503}
					}
					return nil
				}
				return io.MultiReader(bytes.NewReader(rest[:5000]), errorReader{errDown})
			}
		}, fetch.WayDelta, fetch.ErrTransport, fetch.WayChunks},
		{"no answer for the patch, and for everything else", func(_ *testing.T, w *world) {
			w.source.trouble = func(uri string) error {
				if uri == "payloads/patch" {
					return errDown
				}
				return nil
			}
		}, fetch.WayDelta, fetch.ErrTransport, fetch.WayChunks},
		{"truncated patch", func(_ *testing.T, w *world) { w.files["payloads/patch"] = w.files["payloads/patch"][:9999] }, fetch.WayDelta, fetch.ErrSize, fetch.WayChunks},
		{"tampered header", func(_ *testing.T, w *world) { w.source.body = flipAlways(20) }, fetch.WayDelta, fetch.ErrDigest, fetch.WayChunks},
		{"tampered table", func(_ *testing.T, w *world) { w.source.body = flipAlways(130) }, fetch.WayDelta, fetch.ErrDigest, fetch.WayChunks},
		{"tampered frame in the middle", func(_ *testing.T, w *world) { w.source.body = flipAlways(int64(len(w.files["payloads/patch"]) / 2)) }, fetch.WayDelta, fetch.ErrDigest, fetch.WayChunks},
		{"tampered last byte", func(_ *testing.T, w *world) { w.source.body = flipAlways(int64(len(w.files["payloads/patch"]) - 1)) }, fetch.WayDelta, fetch.ErrDigest, fetch.WayChunks},
		{"noise instead of the patch", func(_ *testing.T, w *world) { w.files["payloads/patch"] = noise(9, len(w.files["payloads/patch"])) }, fetch.WayDelta, fetch.ErrDigest, fetch.WayChunks},
		{"signed noise", func(_ *testing.T, w *world) { w.offerPatch(noise(9, 9000)) }, fetch.WayDelta, delta.ErrFormat, fetch.WayChunks},
		{"signed patch that makes wrong bytes", func(t *testing.T, w *world) { w.offerPatch(wrongBytes(t, w.old, w.image)) }, fetch.WayDelta, fetch.ErrDigest, fetch.WayChunks},
		{"signed patch to another image", func(t *testing.T, w *world) {
			patch, _ := makePatch(t, w.old, append(bytes.Clone(w.image), 1))
			w.offerPatch(patch)
		}, fetch.WayDelta, fetch.ErrDigest, fetch.WayChunks},
		{"signed patch from another image under this one's name", func(t *testing.T, w *world) {
			other := bytes.Clone(w.old)
			other[77] ^= 1
			patch, _ := makePatch(t, other, w.image)
			w.offerPatch(patch)
		}, fetch.WayDelta, delta.ErrBase, fetch.WayChunks},
		{"patch from another image", func(_ *testing.T, w *world) { w.offer().Deltas[0].From.Digest = verify.Sum(verify.SHA256, []byte("x")) }, fetch.WayDelta, delta.ErrBase, fetch.WayChunks},
		{"running image changed by a byte", func(_ *testing.T, w *world) { w.running[len(w.old)-1] ^= 1 }, fetch.WayDelta, delta.ErrBase, fetch.WayChunks},
		{"running image shorter", func(_ *testing.T, w *world) { w.running = w.running[:len(w.old)-1] }, fetch.WayDelta, delta.ErrBase, fetch.WayChunks},
		{"too much memory by the offer", func(_ *testing.T, w *world) { w.offer().Deltas[0].Memory = delta.DefaultMemory + 1 }, fetch.WayDelta, delta.ErrMemory, fetch.WayChunks},
		{"too much memory by the patch alone", func(_ *testing.T, w *world) { w.planner.MaxMemory, w.offer().Deltas[0].Memory = 1000, 999 }, fetch.WayDelta, delta.ErrMemory, fetch.WayChunks},
		{"no index either", func(_ *testing.T, w *world) { delete(w.files, "payloads/patch"); delete(w.files, "payloads/index") }, fetch.WayChunks, fetch.ErrRefused, fetch.WayFull},
		{"tampered index", func(_ *testing.T, w *world) { w.offer().Deltas, w.files["payloads/index"][99] = nil, 7 }, fetch.WayChunks, fetch.ErrDigest, fetch.WayFull},
		{"signed noise as index", func(_ *testing.T, w *world) {
			x := noise(9, len(w.files["payloads/index"]))
			w.offer().Deltas, w.files["payloads/index"], w.offer().Index.Digest = nil, x, verify.Sum(verify.SHA256, x)
		}, fetch.WayChunks, chunk.ErrIndex, fetch.WayFull},
		{"index of another image", func(t *testing.T, w *world) {
			x, err := chunk.BuildIndex(bytes.NewReader(w.image[1:]))
			must(t, err)
			var index bytes.Buffer
			_, err = x.WriteTo(&index)
			must(t, err)
			w.offer().Deltas, w.files["payloads/index"] = nil, index.Bytes()
			w.offer().Index.Size, w.offer().Index.Digest = int64(index.Len()), verify.Sum(verify.SHA256, index.Bytes())
		}, fetch.WayChunks, chunk.ErrIndex, fetch.WayFull},
		{"index too large for the device", func(_ *testing.T, w *world) { w.offer().Deltas, w.planner.MaxIndex = nil, 100 }, fetch.WayChunks, delta.ErrMemory, fetch.WayFull},
		{"server without ranges", func(_ *testing.T, w *world) { w.offer().Deltas, w.source.noRanges = nil, true }, fetch.WayChunks, fetch.ErrRange, fetch.WayFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			most := w.fullCost() + 3*int64(len(w.files["payloads/patch"])) + w.offer().Index.Size
			c.change(t, w)
			s, err := w.fetch()
			must(t, err)
			w.check(true)
			wantFallback(t, s, c.from, c.why)
			if s.Way != c.to {
				t.Errorf("came by %v, want %v", s.Way, c.to)
			}
			if s.Network > most {
				t.Errorf("took %d bytes, at most %d make sense", s.Network, most)
			}
		})
	}
}

// What was damaged on the way once is asked for again; it does not cost the delta.
func TestNET_06_PatchRepaired(t *testing.T) {
	for _, at := range []int{20, 130, 5000, -1} {
		w := newWorld(t)
		patch := w.files["payloads/patch"]
		if at < 0 {
			at += len(patch)
		}
		damaged := flipAlways(int64(at))
		w.source.body = func(uri string, offset int64, rest []byte) io.Reader {
			r := damaged(uri, offset, rest)
			if r != nil {
				damaged = func(string, int64, []byte) io.Reader { return nil }
			}
			return r
		}
		s, err := w.fetch()
		must(t, err)
		w.check(true)
		if s.Way != fetch.WayDelta || len(s.Fallbacks) > 0 {
			t.Errorf("byte %d: came by %v, fallbacks %v", at, s.Way, s.Fallbacks)
		}
		if most := int64(len(patch)+len(w.files["payloads/new.chunks"])) * 2; s.Network > most {
			t.Errorf("byte %d: took %d bytes, want at most %d", at, s.Network, most)
		}
	}
}

// Offers that cannot be read cost nothing but what they would have saved.
func TestOffersUnreadable(t *testing.T) {
	w := newWorld(t)
	s, err := w.fetchWith(t.Context(), []byte(`{"firmament-fetch":{"version":2}}`))
	must(t, err)
	w.check(true)
	wantFallback(t, s, fetch.WayNone, plan.ErrOffers)
	if s.Way != fetch.WayFull {
		t.Errorf("came by %v", s.Way)
	}
}

// A file that holds some of the image is a seed, too, and one that is written over at the same time does no harm.
func TestSeeds(t *testing.T) {
	w := newWorld(t)
	w.offer().Deltas = nil
	custom, err := w.offers.Custom(nil)
	must(t, err)
	target := make([]byte, len(w.image))
	copy(target[len(target)/2:], w.image[len(w.image)/2:])
	over := &overwritten{medium: target}
	s, err := plan.Planner{}.Fetch(t.Context(), fetch.Options{Source: w.source}, w.res, fetch.Help{Offers: custom, Seeds: []*io.SectionReader{section(target)},
		Resolve: func(uri string) (string, error) { return "payloads/" + uri, nil }}, over)
	must(t, err)
	if !bytes.Equal(target, w.image) || s.Way != fetch.WayChunks || s.Reused < w.res.Size/3 {
		t.Errorf("by %v, %d reused, %d fetched", s.Way, s.Reused, s.Network)
	}
}

// A place that was written halfway is a seed though no checkpoint tells of it: what is fetched is what it lacks. A byte that went bad in it costs its chunk.
func TestHalfWrittenPlaceIsASeed(t *testing.T) {
	for name, bad := range map[string]int{"sound": -1, "with a bad byte": 123_456} {
		w := newWorld(t)
		w.offer().Deltas = nil
		custom, err := w.offers.Custom(nil)
		must(t, err)
		help := fetch.Help{Offers: custom, Resolve: func(uri string) (string, error) { return "payloads/" + uri, nil }}
		medium := make([]byte, len(w.image)+3*step)
		const half = 500_000
		copy(medium, w.image[:half])
		most := int64(len(w.image)-half+len(w.files["payloads/index"])+len(w.files["payloads/new.chunks"])) + 64<<10 // what is cut by the end
		if bad >= 0 {
			medium[bad] ^= 1
			most += 64 << 10
		}
		help.Seeds = []*io.SectionReader{section(medium)}
		s, err := w.planner.Fetch(t.Context(), fetch.Options{Source: w.source}, w.res, help, &overwritten{medium: medium})
		must(t, err)
		if !bytes.Equal(medium[:len(w.image)], w.image) || s.Way != fetch.WayChunks || s.Network > most || s.Network != w.source.sent {
			t.Errorf("%s: by %v, %d bytes fetched, %d reused; want at most %d", name, s.Way, s.Network, s.Reused, most)
		}
	}
}

// What comes again in the payload is fetched once, if the sink can be read, and whatever the running image has.
func TestWrittenPartIsASeed(t *testing.T) {
	for name, c := range map[string]struct {
		sink   func(medium []byte) fetch.Sink
		copies int64
	}{
		"readable": {func(m []byte) fetch.Sink { return &readable{overwritten{medium: m}} }, 1},
		"not":      {func(m []byte) fetch.Sink { return &overwritten{medium: m} }, 2},
	} {
		w := newWorld(t)
		block := noise(7, 2<<20)
		w.image = append(append(bytes.Clone(w.old), block...), block...)
		pages, root, err := chunk.Build(bytes.NewReader(w.image), int64(len(w.image)), step)
		must(t, err)
		x, err := chunk.BuildIndex(bytes.NewReader(w.image))
		must(t, err)
		var index bytes.Buffer
		_, err = x.WriteTo(&index)
		must(t, err)
		w.res.Size, w.res.Digest, w.res.Chunks.Root = int64(len(w.image)), verify.Sum(verify.SHA256, w.image), root
		w.files["payloads/new"], w.files["payloads/new.chunks"], w.files["payloads/index"] = w.image, pages, index.Bytes()
		w.offers.Payloads = []plan.Payload{{Digest: w.res.Digest, Size: w.res.Size,
			Index: &plan.Index{URI: "index", Size: int64(index.Len()), Digest: verify.Sum(verify.SHA256, index.Bytes())}}}
		custom, err := w.offers.Custom(nil)
		must(t, err)
		medium := make([]byte, len(w.image))
		s, err := w.planner.Fetch(t.Context(), fetch.Options{Source: w.source}, w.res, fetch.Help{Offers: custom, Running: section(w.running),
			Resolve: func(uri string) (string, error) { return "payloads/" + uri, nil }}, c.sink(medium))
		must(t, err)
		least := c.copies * int64(len(block))
		if !bytes.Equal(medium, w.image) || s.Network < least || s.Network > least+int64(index.Len()+len(pages))+4*64<<10 {
			t.Errorf("%s: by %v, %d bytes fetched, want about %d", name, s.Way, s.Network, least)
		}
	}
}

// readable is a place that can be read while it is written.
type readable struct{ overwritten }

func (r *readable) ReadAt(p []byte, at int64) (int, error) { return copy(p, r.medium[at:]), nil }

// overwritten writes to where a seed is.
type overwritten struct {
	medium []byte
	at     int
}

func (o *overwritten) Offset() int64 { return int64(o.at) }
func (o *overwritten) Sync() error   { return nil }
func (o *overwritten) Write(p []byte) (int, error) {
	o.at += copy(o.medium[o.at:], p)
	return len(p), nil
}

// A call that the caller ends is not a reason for another way.
func TestCancelled(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.source.body = func(uri string, _ int64, rest []byte) io.Reader {
		if uri == "payloads/patch" {
			cancel()
		}
		return nil
	}
	custom, err := w.offers.Custom(nil)
	must(t, err)
	s, err := w.fetchWith(ctx, custom)
	if !errors.Is(err, ctx.Err()) || err == nil || len(s.Fallbacks) > 0 || slices.Contains(w.source.asked, "payloads/new") {
		t.Errorf("%v, fallbacks %v, asked for %q", err, s.Fallbacks, w.source.asked)
	}
	w.check(false)
}

// Of several places the one that serves a wrong patch is left, and the delta stays the way.
//
// covers: NET-13
func TestNET_13_PoisonedMirror(t *testing.T) {
	w := newWorld(t)
	for name, b := range maps.Clone(w.files) {
		w.files["good"+name[len("payloads"):]] = b
	}
	w.source.body = flipAlways(int64(len(w.files["payloads/patch"]) / 2)) // in the first place alone
	m, err := fetch.NewMirrors(w.source, "payloads/", "good/")
	must(t, err)
	custom, err := w.offers.Custom(nil)
	must(t, err)
	s, err := w.planner.Fetch(t.Context(), fetch.Options{Source: m, Backoff: time.Millisecond}, w.res,
		fetch.Help{Offers: custom, Running: section(w.running), Resolve: func(uri string) (string, error) { return "payloads/" + uri, nil }}, w.sink)
	must(t, err)
	w.check(true)
	if s.Way != fetch.WayDelta || len(s.Fallbacks) > 0 || !slices.Contains(w.source.asked, "good/patch") {
		t.Errorf("by %v, fallbacks %v, asked for %q", s.Way, s.Fallbacks, firstUses(w.source.asked))
	}
}
