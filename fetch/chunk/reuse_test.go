// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

const imageURI = "x:image"

// origin serves one image and its page file, and remembers what was asked for.
type origin struct {
	files map[string][]byte
	asked []int64 // lengths, of ranges of the image
}

func (o *origin) Open(ctx context.Context, uri string, offset int64, _ string) (*fetch.Stream, error) {
	return o.OpenRange(ctx, uri, offset, 0, "")
}

func (o *origin) OpenRange(_ context.Context, uri string, offset, length int64, _ string) (*fetch.Stream, error) {
	data, ok := o.files[uri]
	if !ok {
		return nil, &fetch.StatusError{URI: uri, Status: 404}
	}
	if uri == imageURI {
		o.asked = append(o.asked, length)
	}
	rest := data[min(offset, int64(len(data))):]
	if length > 0 {
		rest = rest[:min(length, int64(len(rest)))]
	}
	return &fetch.Stream{Body: io.NopCloser(bytes.NewReader(rest)), Offset: offset, Size: int64(len(data))}, nil
}

func readAll(tb testing.TB, r *chunk.Reuse) []byte {
	tb.Helper()
	s, err := r.Open(tb.Context(), imageURI, 0, "")
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Body.Close()
	b, err := io.ReadAll(s.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func seedOf(tb testing.TB, image []byte) chunk.Seed {
	tb.Helper()
	return chunk.Seed{Image: bytes.NewReader(image), Index: buildIndex(tb, image)}
}

// target is a version of an image that shares most with its predecessor, and the resource for it.
func target(tb testing.TB) (old, new []byte, o *origin, res fetch.Resource) {
	tb.Helper()
	old = random(1, 2<<20)
	new = bytes.Join([][]byte{old[:500_000], random(2, 100_000), old[500_000:1_500_000], []byte("x"), old[1_500_000:]}, nil)
	pages, root, err := chunk.Build(bytes.NewReader(new), int64(len(new)), 16<<10)
	if err != nil {
		tb.Fatal(err)
	}
	o = &origin{files: map[string][]byte{imageURI: new, imageURI + ".chunks": pages}}
	return old, new, o, fetch.Resource{URI: imageURI, Size: int64(len(new)), Digest: verify.Sum(verify.SHA256, new), Chunks: &fetch.Chunks{Root: root, Size: 16 << 10}}
}

type sink struct{ bytes.Buffer }

func (s *sink) Offset() int64 { return int64(s.Len()) }
func (s *sink) Sync() error   { return nil }

func get(tb testing.TB, r fetch.Source, res fetch.Resource, want []byte) fetch.Stats {
	tb.Helper()
	f, err := fetch.New(fetch.Options{Source: r})
	if err != nil {
		tb.Fatal(err)
	}
	var s sink
	st, err := f.Fetch(tb.Context(), res, &s)
	if err != nil {
		tb.Fatal(err)
	}
	if !bytes.Equal(s.Bytes(), want) {
		tb.Fatal("the sink holds other bytes")
	}
	return st
}

func TestReuse(t *testing.T) {
	old, new, o, res := target(t)
	r := chunk.NewReuse(o, imageURI, buildIndex(t, new), seedOf(t, old))
	missing := r.Missing()
	get(t, r, res, new)
	st := r.Stats()
	if st.Fetched != missing || st.Reused+st.Fetched != int64(len(new)) || st.Fetched > 400_000 {
		t.Errorf("%+v, %d missing", st, missing)
	}
	if len(o.asked) != 2 {
		t.Errorf("%d requests %v, want one for each of the two runs", len(o.asked), o.asked)
	}
}

// However many ranges are allowed, seeds are used.
func TestReuseDespiteParallel(t *testing.T) {
	old := random(1, 17<<20) // more than two ranges
	new := bytes.Clone(old)
	new[9<<20] ^= 1
	pages, root, err := chunk.Build(bytes.NewReader(new), int64(len(new)), 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{files: map[string][]byte{imageURI: new, imageURI + ".chunks": pages}}
	r := chunk.NewReuse(o, imageURI, buildIndex(t, new), seedOf(t, old))
	f, err := fetch.New(fetch.Options{Source: r, Parallel: 4})
	if err != nil {
		t.Fatal(err)
	}
	s := &scattered{data: make([]byte, len(new))}
	res := fetch.Resource{URI: imageURI, Size: int64(len(new)), Digest: verify.Sum(verify.SHA256, new), Chunks: &fetch.Chunks{Root: root, Size: 16 << 10}}
	if _, err := f.Fetch(t.Context(), res, s); err != nil || !bytes.Equal(s.data, new) || r.Stats().Fetched != r.Missing() {
		t.Errorf("error %v, %+v, %d missing", err, r.Stats(), r.Missing())
	}
}

// scattered takes chunks in any order.
type scattered struct {
	data []byte
	at   int64
}

func (s *scattered) Offset() int64                           { return s.at }
func (s *scattered) Sync() error                             { return nil }
func (s *scattered) Resume(at int64) error                   { s.at = at; return nil }
func (s *scattered) WriteAt(p []byte, at int64) (int, error) { return copy(s.data[at:], p), nil }
func (s *scattered) Write(p []byte) (n int, err error) {
	n = copy(s.data[s.at:], p)
	s.at += int64(n)
	return n, nil
}

// An origin without ranges is read once, whatever the seeds have, and what had to be skipped is counted.
func TestNET_02_ReuseWithoutRanges(t *testing.T) {
	old := random(1, 4<<20)
	new := bytes.Clone(old)
	for at := 0; at < len(new); at += 128 << 10 {
		copy(new[at:], random(byte(at>>17)+9, 1<<10))
	}
	pages, root, err := chunk.Build(bytes.NewReader(new), int64(len(new)), 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	o := &wholeOnly{origin: origin{files: map[string][]byte{imageURI: new, imageURI + ".chunks": pages}}}
	r := chunk.NewReuse(o, imageURI, buildIndex(t, new), seedOf(t, old))
	retries := 0
	f, err := fetch.New(fetch.Options{Source: r, Backoff: time.Millisecond, OnRetry: func(fetch.Retry) { retries++ }})
	if err != nil {
		t.Fatal(err)
	}
	var s sink
	size := int64(len(new))
	st, err := f.Fetch(t.Context(), fetch.Resource{URI: imageURI, Size: size, Digest: verify.Sum(verify.SHA256, new), Chunks: &fetch.Chunks{Root: root, Size: 16 << 10}}, &s)
	if err != nil || !bytes.Equal(s.Bytes(), new) {
		t.Fatalf("%v, or other bytes", err)
	}
	if o.sent > size+size/8 || retries != 1 {
		t.Errorf("%d bytes for a payload of %d, %d missing, after %d retries", o.sent, size, r.Missing(), retries)
	}
	if got := r.Stats(); got.Fetched != o.sent || st.Fetched != size+st.Discarded || st.Discarded == 0 {
		t.Errorf("%+v and %+v, the origin sent %d", got, st, o.sent)
	}
}

// wholeOnly is an origin that answers every request for the image with all of it.
type wholeOnly struct {
	origin
	sent int64
}

func (o *wholeOnly) Open(ctx context.Context, uri string, offset int64, _ string) (*fetch.Stream, error) {
	return o.OpenRange(ctx, uri, offset, 0, "")
}

func (o *wholeOnly) OpenRange(ctx context.Context, uri string, offset, length int64, _ string) (*fetch.Stream, error) {
	if uri != imageURI {
		return o.origin.OpenRange(ctx, uri, offset, length, "")
	}
	s, err := o.origin.OpenRange(ctx, uri, 0, 0, "")
	if err == nil {
		body := s.Body
		s.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
			n, err := body.Read(p)
			o.sent += int64(n)
			return n, err
		}))
	}
	return s, err
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A corrupt seed, one that ends early, and one whose index lies: each costs the chunks that are wrong.
func TestCorruptSeedCostsOnlyItsChunk(t *testing.T) {
	old, new, o, res := target(t)
	index := buildIndex(t, new)
	clean := chunk.NewReuse(o, imageURI, index, seedOf(t, old)).Missing()
	bent := bytes.Clone(old)
	bent[1_000_000] ^= 1
	for name, test := range map[string]struct {
		seed chunk.Seed
		most int64
	}{
		"one bit":       {chunk.Seed{Image: bytes.NewReader(bent), Index: buildIndex(t, old)}, clean + 64<<10},
		"short":         {chunk.Seed{Image: bytes.NewReader(old[:2<<20-100]), Index: buildIndex(t, old)}, clean + 64<<10},
		"half-written":  {seedOf(t, append(bytes.Clone(new[:1<<20]), make([]byte, 1<<20)...)), int64(len(new)) - 1<<20 + 64<<10},
		"of another":    {chunk.Seed{Image: bytes.NewReader(random(9, 2<<20)), Index: buildIndex(t, old)}, int64(len(new))},
		"nothing alike": {seedOf(t, random(9, 2<<20)), int64(len(new))},
	} {
		t.Run(name, func(t *testing.T) {
			r := chunk.NewReuse(o, imageURI, index, test.seed)
			get(t, r, res, new)
			if st := r.Stats(); st.Fetched > test.most {
				t.Errorf("%+v, want at most %d fetched", st, test.most)
			}
		})
	}
}

// A lying index makes other bytes; the author's digests refuse them, and the origin's are taken.
func TestNET_06_LyingIndex(t *testing.T) {
	old, new, o, res := target(t)
	other := bytes.Clone(new)
	copy(other[800_000:], random(7, 1000))
	r := chunk.NewReuse(o, imageURI, buildIndex(t, other), seedOf(t, other), seedOf(t, old))
	st := get(t, r, res, new)
	if st.Discarded == 0 || st.Discarded > 3*16<<10 {
		t.Errorf("%+v, want one or two chunks discarded", st)
	}
}

// From any offset on, and a broken origin is the fetcher's to retry.
func TestReuseFromAnyOffset(t *testing.T) {
	old, new, o, _ := target(t)
	r := chunk.NewReuse(o, imageURI, buildIndex(t, new), seedOf(t, old))
	for offset := 0; offset <= len(new); offset += 99_991 {
		s, err := r.Open(t.Context(), imageURI, int64(offset), "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(s.Body); err != nil || !bytes.Equal(got, new[offset:]) {
			t.Fatalf("from %d: %v, or other bytes", offset, err)
		}
	}
	if _, err := r.Open(t.Context(), imageURI, int64(len(new)+1), ""); !errors.Is(err, fetch.ErrRange) {
		t.Errorf("behind the end: %v, want ErrRange", err)
	}
	o.files[imageURI] = new[:400_000]
	s, err := chunk.NewReuse(o, imageURI, buildIndex(t, new)).Open(t.Context(), imageURI, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s.Body); !errors.Is(err, fetch.ErrSize) {
		t.Errorf("origin too short: %v, want ErrSize", err)
	}
}

// indexOf is an index of chunks of one size.
func indexOf(tb testing.TB, size uint64, ids [][32]byte) *chunk.Index {
	tb.Helper()
	var b []byte
	for _, v := range []uint64{48, 0x96824d9c7b129ff9, 0x9000000000000000, size, size, size, 1<<64 - 1, 0xe75b9e112f17417d} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for n, id := range ids {
		b = append(binary.LittleEndian.AppendUint64(b, uint64(n+1)*size), id[:]...)
	}
	for _, v := range []uint64{0, 0, 48, 16 + 40*uint64(len(ids)+1), 0x4b4f050e5549ecd1} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	x, err := chunk.ReadIndex(bytes.NewReader(b))
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// spied is a seed that is read in pieces, and fails from the read on that is told.
type spied struct {
	*bytes.Reader
	reads, longest, fail int
}

func (s *spied) ReadAt(p []byte, at int64) (int, error) {
	s.longest = max(s.longest, len(p))
	if s.reads++; s.reads == s.fail {
		return 0, io.ErrClosedPipe
	}
	return s.Reader.ReadAt(p, at)
}

// Another's index may have chunks of 4 MiB: no more than 64 KiB of a seed are held all the same, and a seed that fails in the middle of one
// that was compared costs what is left of it.
func TestLongChunksOfASeed(t *testing.T) {
	const size = chunk.MaxIndexChunk
	image := random(5, 2*size)
	x := indexOf(t, size, [][32]byte{sha256.Sum256(image[:size]), sha256.Sum256(image[size:])})
	o := &origin{files: map[string][]byte{imageURI: image}}
	for _, fail := range []int{0, 1, 100, size/(64<<10) + 5} { // the last: when it is read again
		seed := &spied{Reader: bytes.NewReader(image), fail: fail}
		r := chunk.NewReuse(o, imageURI, x, chunk.Seed{Image: seed, Index: x})
		for _, at := range []int64{0, size + 1000} {
			s, err := r.Open(t.Context(), imageURI, at, "")
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 32<<10)
			h, want := sha256.New(), sha256.Sum256(image[at:])
			for err == nil {
				var n int
				n, err = s.Body.Read(buf)
				h.Write(buf[:n])
			}
			if err != io.EOF || [32]byte(h.Sum(nil)) != want {
				t.Errorf("failing at read %d, from %d: %v, or other bytes", fail, at, err)
			}
		}
		if st := r.Stats(); seed.longest > 64<<10 || (fail > 0) != (st.Fetched > 0) || st.Fetched > size {
			t.Errorf("failing at read %d: %d bytes read at once, %+v", fail, seed.longest, st)
		}
	}
}

// turncoat is a seed that holds other bytes from some read on.
type turncoat struct {
	*bytes.Reader
	reads, turns int
}

func (s *turncoat) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.Reader.ReadAt(p, at)
	if s.reads++; s.reads > s.turns {
		for i := range p[:n] {
			p[i] ^= 0x55
		}
	}
	return n, err
}

// What a seed gives is what was compared with the chunk's name, though long chunks are read twice, and the seed changes in between.
func TestNET_06_SeedChangesBetweenReads(t *testing.T) {
	const size, pieces = chunk.MaxIndexChunk, chunk.MaxIndexChunk / (64 << 10)
	image := random(5, size+100)
	x := indexOf(t, size, [][32]byte{sha256.Sum256(image[:size])})
	o := &origin{files: map[string][]byte{imageURI: image[:size]}}
	for _, turns := range []int{0, 1, pieces - 1, pieces, pieces + 1, 2*pieces - 1, 2 * pieces} {
		r := chunk.NewReuse(o, imageURI, x, chunk.Seed{Image: &turncoat{bytes.NewReader(image), 0, turns}, Index: x})
		if got := readAll(t, r); !bytes.Equal(got, image[:size]) {
			t.Fatalf("seed that changes after %d reads: other bytes were given out", turns)
		}
		reused := max(0, int64(turns-pieces)*(64<<10)) // of the pieces that were read again before
		if st := r.Stats(); st.Reused != reused || st.Reused+st.Fetched != size {
			t.Errorf("seed that changes after %d reads: %+v, want %d reused", turns, st, reused)
		}
	}
}

// An image may be nothing but one chunk, again and again, and so may a seed: looking up each of the one in all of the other would not end before the test's
// time does.
func TestNET_12_ReuseOfOneChunk(t *testing.T) {
	const chunks, size = 1 << 20, 16 << 10
	id := sha256.Sum256(make([]byte, size))
	x := indexOf(t, size, slices.Repeat([][32]byte{id}, chunks))
	if missing := chunk.NewReuse(nil, "u", x, chunk.Seed{Index: x}, chunk.Seed{Index: x}).Missing(); missing != 0 {
		t.Errorf("%d bytes missing", missing)
	}
}

// fileSink is a sink that can be read while it is written.
type fileSink struct {
	*os.File
	at int64
}

func (s *fileSink) Offset() int64 { return s.at }
func (s *fileSink) Write(p []byte) (int, error) {
	n, err := s.WriteAt(p, s.at)
	s.at += int64(n)
	return n, err
}

// What comes again in a payload comes from where it was written, once it is there, and else from the origin.
func TestReuseOfThePayloadItself(t *testing.T) {
	again, between := random(1, 300_000), random(2, 8<<20)
	image := bytes.Join([][]byte{again, again, between, again}, nil)
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{files: map[string][]byte{imageURI: image, imageURI + ".chunks": pages}}
	f, err := os.Create(filepath.Join(t.TempDir(), "slot"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := chunk.NewReuse(o, imageURI, buildIndex(t, image), chunk.Seed{Image: f}, seedOf(t, between[:1<<20]))
	fetcher, err := fetch.New(fetch.Options{Source: r})
	if err != nil {
		t.Fatal(err)
	}
	_, err = fetcher.Fetch(t.Context(), fetch.Resource{
		URI: imageURI, Size: int64(len(image)), Digest: verify.Sum(verify.SHA256, image), Chunks: &fetch.Chunks{Root: root, Size: 16 << 10},
	}, &fileSink{File: f})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, image) {
		t.Fatalf("the file holds other bytes: %v", err)
	}
	// The third time costs nothing but the chunks at its edges, the second may.
	if st := r.Stats(); st.Fetched > int64(2*len(again)+len(between)-1<<20+4*64<<10) || st.Fetched < int64(len(again)) {
		t.Errorf("%+v for %d bytes", st, len(image))
	}
	// A place that says what is not there costs its chunk, not more.
	r = chunk.NewReuse(o, imageURI, buildIndex(t, image), chunk.Seed{Image: bytes.NewReader(random(3, len(image)))})
	if got := readAll(t, r); !bytes.Equal(got, image) || r.Stats().Fetched != int64(len(image)) {
		t.Errorf("%+v, or other bytes", r.Stats())
	}
}
