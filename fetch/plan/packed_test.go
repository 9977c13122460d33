// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/verify"
)

// A packed payload is for every device: one that knows what it runs, one that runs something else, and one that cannot read itself.
func TestPacked(t *testing.T) {
	for name, running := range map[string][]byte{"another image": noise(3, 50_000), "nothing to read": nil, "an empty place": {}} {
		w := newPackedWorld(t)
		w.running = running
		s, err := w.fetch()
		must(t, err)
		w.check(true)
		want := int64(len(w.files["payloads/patch"]) + len(w.files["payloads/new.chunks"]))
		if s.Way != fetch.WayPacked || s.Network != want || want > w.res.Size*3/4 || s.Reused != 0 || len(s.Fallbacks) > 0 {
			t.Errorf("%s: by %v, %d bytes of %d, %d reused, fallbacks %v", name, s.Way, s.Network, want, s.Reused, s.Fallbacks)
		}
	}
}

// Of what is offered, the packed payload is one way more: the cheapest is taken.
func TestPackedIsOneWay(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(w *world)
		way    fetch.Way
	}{
		{"a delta is cheaper", func(*world) {}, fetch.WayDelta},
		{"no delta from what runs", func(w *world) { w.running[0] ^= 1 }, fetch.WayPacked},
		{"the delta is larger", func(w *world) { w.offer().Deltas[1].Size = w.offer().Deltas[0].Size + 1 }, fetch.WayPacked},
		{"the packed one is larger than the payload", func(w *world) {
			w.offer().Deltas = w.offer().Deltas[:1]
			w.offer().Deltas[0].Size = w.res.Size + 1
		}, fetch.WayFull},
	} {
		w := newPackedWorld(t)
		patch, info := makePatch(t, w.old, w.image)
		w.files["payloads/delta"] = patch
		from := plan.Old{Digest: verify.Sum(verify.SHA256, w.old), Size: int64(len(w.old))}
		w.offer().Deltas = append(w.offer().Deltas, plan.Delta{From: from, URI: "delta", Size: 1000, Digest: info.Digest, Memory: info.Memory})
		w.offer().Deltas[1].Size = min(info.Size, int64(len(patch)))
		c.change(w)
		s, err := w.fetch()
		must(t, err)
		if w.check(true); s.Way != c.way {
			t.Errorf("%s: by %v, want %v; fallbacks %v", c.name, s.Way, c.way, s.Fallbacks)
		}
	}
}

// A packed payload that is not what was signed, or unpacks to something else, costs what it took; the payload comes whole.
//
// covers: NET-11 NET-12
func TestNET_12_PackedFallback(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, w *world)
		why    error
	}{
		{"not on the server", func(_ *testing.T, w *world) { delete(w.files, "payloads/patch") }, fetch.ErrRefused},
		{"tampered header", func(_ *testing.T, w *world) { w.source.body = flipAlways(20) }, fetch.ErrDigest},
		{"tampered in the middle", func(_ *testing.T, w *world) { w.source.body = flipAlways(int64(len(w.files["payloads/patch"]) / 2)) }, fetch.ErrDigest},
		{"truncated", func(_ *testing.T, w *world) { w.files["payloads/patch"] = w.files["payloads/patch"][:9999] }, fetch.ErrSize},
		{"signed, and unpacks to wrong bytes", func(t *testing.T, w *world) { w.offerPatch(wrongBytes(t, nil, w.image)) }, fetch.ErrDigest},
		{"signed, and unpacks to more", func(t *testing.T, w *world) {
			patch, _ := makePatch(t, nil, append(bytes.Clone(w.image), make([]byte, 1<<20)...))
			w.offerPatch(patch)
		}, fetch.ErrDigest},
		{"signed, and wants an old image", func(t *testing.T, w *world) {
			patch, _ := makePatch(t, w.old, w.image)
			w.offerPatch(patch)
		}, delta.ErrBase},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newPackedWorld(t)
			most := w.fullCost() + 2*int64(len(w.files["payloads/patch"]))
			c.change(t, w)
			s, err := w.fetch()
			must(t, err)
			w.check(true)
			wantFallback(t, s, fetch.WayPacked, c.why)
			if s.Way != fetch.WayFull || s.Network > most {
				t.Errorf("came by %v with %d bytes, at most %d make sense", s.Way, s.Network, most)
			}
		})
	}
}

// What is wrong with a patch is not the connection's trouble: it is not reported as that, nothing is waited for, and the part is asked for once more at most.
func TestTamperedIsNoTrouble(t *testing.T) {
	patch := int64(len(newWorld(t).files["payloads/patch"]))
	for _, at := range []int64{20, 130, patch / 2, patch - 1} {
		w := newWorld(t)
		w.source.body = flipAlways(at)
		s, err := w.fetch()
		must(t, err)
		w.check(true)
		wantFallback(t, s, fetch.WayDelta, fetch.ErrDigest)
		asked := 0
		for _, uri := range w.source.asked {
			if uri == "payloads/patch" {
				asked++
			}
		}
		if errors.Is(s.Fallbacks[0].Err, fetch.ErrTransport) || len(w.retries) > 0 || asked > 4 {
			t.Errorf("byte %d: left for %v, %d retries told, %d requests for the patch", at, s.Fallbacks[0].Err, len(w.retries), asked)
		}
	}
}

// An image that begins with another one is not taken for it: of what is offered from both, the cheaper is taken.
func TestImageThatBeginsWithAnother(t *testing.T) {
	w := newWorld(t)
	short := w.old[:len(w.old)/2]
	patch, info := makePatch(t, short, w.image)
	w.files["payloads/short"] = patch
	from := plan.Old{Digest: verify.Sum(verify.SHA256, short), Size: int64(len(short))}
	w.offer().Deltas = append([]plan.Delta{{From: from, URI: "short", Size: info.Size, Digest: info.Digest, Memory: info.Memory}}, w.offer().Deltas...)
	w.offer().Index.From = []plan.Missing{{From: from, Bytes: 600_000}, {From: w.offer().Deltas[1].From, Bytes: 500_000}}
	s, err := w.fetch()
	must(t, err)
	if w.check(true); s.Way != fetch.WayDelta || slices.Contains(w.source.asked, "payloads/short") || len(s.Fallbacks) > 0 {
		t.Errorf("by %v, asked for %q, fallbacks %v", s.Way, firstUses(w.source.asked), s.Fallbacks)
	}

	// A device that runs the short one gets what is offered from that, whatever its slot holds behind it.
	w.running, w.sink, w.source.asked = append(bytes.Clone(short), noise(4, len(short))...), &sink{}, nil
	s, err = w.fetch()
	must(t, err)
	if w.check(true); s.Way != fetch.WayDelta || slices.Contains(w.source.asked, "payloads/patch") || len(s.Fallbacks) > 0 {
		t.Errorf("by %v, asked for %q, fallbacks %v", s.Way, firstUses(w.source.asked), s.Fallbacks)
	}
}

// A server that damages one page of a patch's table and then another, in turn, is left: that it is never the same page twice is no progress.
func TestPackedDamagedInTurn(t *testing.T) {
	w := newPackedWorld(t)
	w.image = bytes.Repeat([]byte("0123456789abcdef"), 70*delta.MinFrameSize/16) // a page of the table has 64 frames
	pages, root, err := chunk.Build(bytes.NewReader(w.image), int64(len(w.image)), step)
	must(t, err)
	w.res = fetch.Resource{URI: "payloads/new", Size: int64(len(w.image)), Digest: verify.Sum(verify.SHA256, w.image), Chunks: &fetch.Chunks{Root: root, Size: step}}
	patch, info := makePatch(t, nil, w.image)
	w.files["payloads/new"], w.files["payloads/new.chunks"], w.files["payloads/patch"] = w.image, pages, patch
	w.offers.Payloads = []plan.Payload{{Digest: w.res.Digest, Size: w.res.Size,
		Deltas: []plan.Delta{{From: emptyImage, URI: "patch", Size: info.Size, Digest: info.Digest, Memory: info.Memory}}}}
	const first, second = 128, 128 + 64*68 + 32 // where the pages begin
	asked, turn := 0, 0
	w.source.body = func(uri string, offset int64, rest []byte) io.Reader {
		if uri != "payloads/patch" {
			return nil
		}
		asked++
		at := int64(second + 5)
		if offset == first {
			if turn++; turn%2 == 1 {
				at = first + 5
			}
		}
		damaged := bytes.Clone(rest)
		if at >= offset {
			damaged[at-offset] ^= 1
		}
		return bytes.NewReader(damaged)
	}
	s, err := w.fetch()
	must(t, err)
	if w.check(true); asked > 8 || s.Way != fetch.WayFull {
		t.Errorf("by %v; the patch was asked for %d times", s.Way, asked)
	}
}
