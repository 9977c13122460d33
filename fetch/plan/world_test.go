// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

const step = fetch.MinChunkSize

// noise returns n bytes that depend on seed alone.
func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

// A world is a device that runs old, and a server with everything for the new image.
type world struct {
	t           *testing.T
	old, image  []byte
	res         fetch.Resource
	offers      plan.Offers
	files       map[string][]byte
	source      *source
	sink        *sink
	storage     fetch.Storage
	running     []byte // what the slot holds, the old image first
	planner     plan.Planner
	maxBytes    int64
	way         []fetch.Way // as progress told it
	retries     []fetch.Retry
	lastNetwork int64
}

// usual is the patch of newWorld, packed what it has as a packed payload: they take a while to make.
var (
	once, packedOnce sync.Once
	usual, packed    made
)

type made struct {
	patch []byte
	info  delta.Info
}

// newWorld has a new image that is the old one with a few bytes changed here and there, and 40 KB of its own in the middle.
func newWorld(t *testing.T) *world {
	t.Helper()
	old := noise(1, 40*step+333)
	image := bytes.Clone(old)
	for i := 5_000; i < len(image); i += 97_001 {
		image[i]++
	}
	image = append(image[:300_000], append(noise(2, 40_000), image[300_000:]...)...)
	once.Do(func() { usual.patch, usual.info = makePatch(t, old, image) })
	w := &world{t: t, old: old, image: image, running: append(bytes.Clone(old), 0xff, 0xfe), sink: &sink{}}
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), step)
	must(t, err)
	w.res = fetch.Resource{URI: "payloads/new", Size: int64(len(image)), Digest: verify.Sum(verify.SHA256, image), Chunks: &fetch.Chunks{Root: root, Size: step}}
	w.files = map[string][]byte{"payloads/new": image, "payloads/new.chunks": pages}
	info := usual.info
	w.files["payloads/patch"] = bytes.Clone(usual.patch)
	x, err := chunk.BuildIndex(bytes.NewReader(image))
	must(t, err)
	var index bytes.Buffer
	_, err = x.WriteTo(&index)
	must(t, err)
	w.files["payloads/index"] = index.Bytes()
	from := plan.Old{Digest: verify.Sum(verify.SHA256, old), Size: int64(len(old))}
	w.offers.Payloads = []plan.Payload{{Digest: w.res.Digest, Size: w.res.Size,
		Deltas: []plan.Delta{{From: from, URI: "patch", Size: info.Size, Digest: info.Digest, Memory: info.Memory}},
		Index:  &plan.Index{URI: "index", Size: int64(index.Len()), Digest: verify.Sum(verify.SHA256, index.Bytes())},
	}}
	w.source = &source{files: w.files}
	return w
}

// emptyImage is what packed payloads are patches to.
var emptyImage = plan.Old{Digest: verify.Sum(verify.SHA256, nil)}

// newPackedWorld has a new image of which a third goes away when it is packed, and which is offered in no other way.
func newPackedWorld(t *testing.T) *world {
	w := newWorld(t)
	for i := range w.image {
		if i/step%3 == 1 {
			w.image[i] = byte(i >> 9)
		}
	}
	pages, root, err := chunk.Build(bytes.NewReader(w.image), w.res.Size, step)
	must(t, err)
	w.res.Digest, w.res.Chunks.Root = verify.Sum(verify.SHA256, w.image), root
	w.files["payloads/new.chunks"] = pages
	packedOnce.Do(func() { packed.patch, packed.info = makePatch(t, nil, w.image) })
	w.files["payloads/patch"] = bytes.Clone(packed.patch)
	w.offers.Payloads = []plan.Payload{{Digest: w.res.Digest, Size: w.res.Size,
		Deltas: []plan.Delta{{From: emptyImage, URI: "patch", Size: packed.info.Size, Digest: packed.info.Digest, Memory: packed.info.Memory}}}}
	return w
}

func makePatch(t *testing.T, old, image []byte) ([]byte, delta.Info) {
	t.Helper()
	var f writerAt
	info, err := delta.Make(t.Context(), bytes.NewReader(old), bytes.NewReader(image), &f, delta.Options{FrameSize: delta.MinFrameSize})
	must(t, err)
	return f.data, info
}

// offer is the one payload's entry, to be changed.
func (w *world) offer() *plan.Payload { return &w.offers.Payloads[0] }

// offerPatch puts another patch in the place of the right one, under its own digest.
func (w *world) offerPatch(patch []byte) {
	head := verify.Sum(verify.SHA256, patch[:128])
	w.files["payloads/patch"] = patch
	w.offer().Deltas[0].Size, w.offer().Deltas[0].Digest = int64(len(patch)), head
}

// fetch is one call, by a device that just started.
func (w *world) fetch() (fetch.Stats, error) {
	w.t.Helper()
	custom, err := w.offers.Custom(nil)
	must(w.t, err)
	return w.fetchWith(w.t.Context(), custom)
}

func (w *world) fetchWith(ctx context.Context, custom []byte) (fetch.Stats, error) {
	w.t.Helper()
	help := fetch.Help{Offers: custom, Running: section(w.running), Resolve: func(uri string) (string, error) { return "payloads/" + uri, nil }}
	w.lastNetwork = 0
	if w.running == nil {
		help.Running = nil
	}
	return w.planner.Fetch(ctx, fetch.Options{Source: w.source, Storage: w.storage, Retries: 2, CheckpointEvery: 2 * step, Backoff: time.Millisecond, MaxBackoff: time.Millisecond,
		MaxBytes: w.maxBytes, OnRetry: func(r fetch.Retry) { w.retries = append(w.retries, r) }, OnProgress: func(p fetch.Progress) {
			if n := len(w.way); n == 0 || w.way[n-1] != p.Way {
				w.way = append(w.way, p.Way)
			}
			if p.Network < w.lastNetwork {
				w.t.Errorf("network bytes went from %d to %d", w.lastNetwork, p.Network)
			}
			w.lastNetwork = p.Network
		}}, w.res, help, w.sink)
}

// check wants the sink to hold nothing but the image's beginning, and all of it if whole.
func (w *world) check(whole bool) {
	w.t.Helper()
	if !bytes.HasPrefix(w.image, w.sink.data) {
		w.t.Errorf("the sink holds %d bytes that nobody signed", len(w.sink.data))
	}
	if whole && len(w.sink.data) != len(w.image) {
		w.t.Errorf("the sink holds %d of %d bytes", len(w.sink.data), len(w.image))
	}
	for i, n := range w.sink.writes {
		if last := i == len(w.sink.writes)-1 && len(w.sink.data) == len(w.image); n%step != 0 && !(last && n%step == len(w.image)%step) {
			w.t.Errorf("a write of %d bytes is not of whole chunks", n)
		}
	}
}

// fullCost is what the payload and its chunk digests take.
func (w *world) fullCost() int64 { return int64(len(w.image) + len(w.files["payloads/new.chunks"])) }

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// source serves files and counts. A nil file answers 404. trouble may fail a request, body may change what it brings.
type source struct {
	files    map[string][]byte
	asked    []string
	sent     int64
	trouble  func(uri string) error
	body     func(uri string, offset int64, rest []byte) io.Reader
	noRanges bool
}

func (s *source) Open(ctx context.Context, uri string, offset int64, v string) (*fetch.Stream, error) {
	return s.OpenRange(ctx, uri, offset, 0, v)
}

func (s *source) OpenRange(_ context.Context, uri string, offset, length int64, _ string) (*fetch.Stream, error) {
	s.asked = append(s.asked, uri)
	if s.trouble != nil {
		if err := s.trouble(uri); err != nil {
			return nil, err
		}
	}
	b, ok := s.files[uri]
	if !ok {
		return nil, &fetch.StatusError{URI: uri, Status: 404}
	}
	if s.noRanges {
		offset, length = 0, 0
	}
	rest := b[min(offset, int64(len(b))):]
	if length > 0 {
		rest = rest[:min(length, int64(len(rest)))]
	}
	var body io.Reader = bytes.NewReader(rest)
	if s.body != nil {
		if other := s.body(uri, offset, rest); other != nil {
			body = other
		}
	}
	return &fetch.Stream{Body: io.NopCloser(&counted{body, s}), Offset: offset, Size: int64(len(b)), Validator: "v1"}, nil
}

type counted struct {
	io.Reader
	s *source
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.s.sent += int64(n)
	return n, err
}

// sink keeps what it is given.
type sink struct {
	data   []byte
	writes []int
}

func (s *sink) Offset() int64 { return int64(len(s.data)) }
func (s *sink) Sync() error   { return nil }
func (s *sink) Write(p []byte) (int, error) {
	s.data, s.writes = append(s.data, p...), append(s.writes, len(p))
	return len(p), nil
}

func (s *sink) Resume(offset int64) error {
	if offset > int64(cap(s.data)) {
		return fmt.Errorf("resume at %d of %d", offset, cap(s.data))
	}
	s.data = s.data[:offset]
	return nil
}

// restart is a sink over the same medium, as a process has it after a power cut.
func (s *sink) restart() *sink { return &sink{data: s.data[:0]} }

type writerAt struct{ data []byte }

func (f *writerAt) WriteAt(p []byte, at int64) (int, error) {
	if n := int(at) + len(p); n > len(f.data) {
		f.data = append(f.data, make([]byte, n-len(f.data))...)
	}
	return copy(f.data[at:], p), nil
}

func store() fetch.Storage { return simfs.NewSim(simfs.Options{}).FS() }

// wrongBytes is a patch that is signed and makes one byte of the last block wrong, while it says that it makes image.
func wrongBytes(t *testing.T, old, image []byte) []byte {
	t.Helper()
	other := bytes.Clone(image)
	other[len(other)/2] ^= 1
	patch, _ := makePatch(t, old, other)
	sum := sha256.Sum256(image)
	copy(patch[64:], sum[:])
	return patch
}

func flipAlways(at int64) func(string, int64, []byte) io.Reader {
	return func(uri string, offset int64, rest []byte) io.Reader {
		if uri != "payloads/patch" || at < offset || at >= offset+int64(len(rest)) {
			return nil
		}
		rest = bytes.Clone(rest)
		rest[at-offset] ^= 1
		return bytes.NewReader(rest)
	}
}

var errDown = fmt.Errorf("no route to host: %w", fetch.ErrTransport)

func wantFallback(t *testing.T, s fetch.Stats, way fetch.Way, err error) {
	t.Helper()
	for _, f := range s.Fallbacks {
		if f.Way == way && errors.Is(f.Err, err) {
			return
		}
	}
	t.Errorf("fallbacks %v, want %v because of %v", s.Fallbacks, way, err)
}
