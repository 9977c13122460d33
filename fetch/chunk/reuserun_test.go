// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/bits"
	"testing"
	"testing/synctest"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

// bending is an origin that flips a byte on the way, the first so many times that it sends it, and whose connections break after so many bytes.
type bending struct {
	origin
	at    int
	times int
	cut   int

	sent     int
	rejected []int64 // offset and length of what was
}

func (o *bending) Open(ctx context.Context, uri string, offset int64, _ string) (*fetch.Stream, error) {
	return o.OpenRange(ctx, uri, offset, 0, "")
}

func (o *bending) OpenRange(ctx context.Context, uri string, offset, length int64, _ string) (*fetch.Stream, error) {
	s, err := o.origin.OpenRange(ctx, uri, offset, length, "")
	if err != nil {
		return nil, err
	}
	at, left, body := int(offset), o.cut, s.Body
	s.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
		if o.cut > 0 {
			if left == 0 {
				return 0, errors.New("connection reset")
			}
			p = p[:min(len(p), left)]
		}
		n, err := body.Read(p[:min(len(p), 5000)])
		if o.times > 0 && at <= o.at && o.at < at+n {
			o.times--
			p[o.at-at] ^= 1
		}
		at, left, o.sent = at+n, left-n, o.sent+n
		return n, err
	}))
	return s, nil
}

func (o *bending) Reject(_ string, offset, length int64) {
	o.rejected = append(o.rejected, offset, length)
}

// whole fetches an image of which only the whole is signed.
func whole(t *testing.T, r fetch.Source, image []byte) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, errNew := fetch.New(fetch.Options{Source: r})
		if errNew != nil {
			t.Fatal(errNew)
		}
		var s staging
		_, err = f.Fetch(t.Context(), fetch.Resource{URI: imageURI, Size: int64(len(image)), Digest: verify.Sum(verify.SHA256, image)}, &s)
		if err == nil && !bytes.Equal(s.Bytes(), image) {
			t.Fatal("the sink holds other bytes")
		}
	})
	return err
}

type staging struct{ sink }

func (s *staging) Staging() bool { return true }

func (s *staging) Resume(at int64) error {
	s.Truncate(int(at))
	return nil
}

// A byte that went bad on the way costs its chunk, though only the whole is signed: the index says which one it is in.
func TestNET_06_IndexFindsBadChunk(t *testing.T) {
	image := random(1, 2<<20)
	index := buildIndex(t, image)
	other := bytes.Clone(image)
	copy(other[900_000:], random(3, 300_000))
	for at, seeds := range map[int][]chunk.Seed{0: nil, 999_999: nil, 1_000_000: {seedOf(t, other)}, len(image) - 1: nil} {
		o := &bending{origin: origin{files: map[string][]byte{imageURI: image}}, at: at, times: 1}
		if err := whole(t, chunk.NewReuse(o, imageURI, index, seeds...), image); err != nil {
			t.Fatal(err)
		}
		if most := len(image) + 64<<10; o.sent > most || len(o.rejected) != 2 || o.rejected[0] > int64(at) || o.rejected[0]+o.rejected[1] <= int64(at) {
			t.Errorf("byte %d: %d bytes sent, want at most %d; rejected %v", at, o.sent, most, o.rejected)
		}
	}
}

// Of two places the first one has a bad byte, always: it costs its chunk, and the others come from the second.
func TestNET_13_IndexFindsBadMirror(t *testing.T) {
	image := random(1, 2<<20)
	bad := &bending{origin: origin{files: map[string][]byte{"x:bad": image}}, at: 500_000, times: 1000}
	good := &bending{origin: origin{files: map[string][]byte{"x:good": image}}}
	m, err := fetch.NewMirrors(both{bad, good}, "x:bad", "x:good")
	if err != nil {
		t.Fatal(err)
	}
	r := chunk.NewReuse(m, "x:bad", buildIndex(t, image))
	s, err := r.Open(t.Context(), "x:bad", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s.Body)
	if err != nil || !bytes.Equal(got, image) || bad.sent > 600_000 || bad.sent+good.sent > len(image)+64<<10 {
		t.Errorf("%v; %d bytes from the bad one, %d from the good one", err, bad.sent, good.sent)
	}
}

type both struct{ bad, good *bending }

func (b both) Open(ctx context.Context, uri string, offset int64, v string) (*fetch.Stream, error) {
	return b.OpenRange(ctx, uri, offset, 0, v)
}

func (b both) OpenRange(ctx context.Context, uri string, offset, length int64, v string) (*fetch.Stream, error) {
	if uri == "x:bad" {
		return b.bad.OpenRange(ctx, uri, offset, length, v)
	}
	return b.good.OpenRange(ctx, uri, offset, length, v)
}

// An index of another file is found to be one by the first chunk that comes twice as it is not, and is in nobody's way from then on.
func TestNET_06_IndexOfAnotherFile(t *testing.T) {
	image := random(1, 2<<20)
	o := &bending{origin: origin{files: map[string][]byte{imageURI: image}}}
	if err := whole(t, chunk.NewReuse(o, imageURI, buildIndex(t, random(2, 2<<20))), image); err != nil {
		t.Fatal(err)
	}
	if most := len(image) + 64<<10; o.sent > most || len(o.asked) > 2 {
		t.Errorf("%d bytes sent, want at most %d, for %d requests", o.sent, most, len(o.asked))
	}
}

// What a connection brought of a chunk is kept when it breaks.
func TestNET_01_CutsWithinChunks(t *testing.T) {
	image := random(1, 1<<20)
	o := &bending{origin: origin{files: map[string][]byte{imageURI: image}}, cut: 20_000}
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	o.files[imageURI+".chunks"] = pages
	synctest.Test(t, func(t *testing.T) {
		get(t, chunk.NewReuse(o, imageURI, buildIndex(t, image)), fetch.Resource{URI: imageURI, Size: int64(len(image)), Digest: verify.Sum(verify.SHA256, image),
			Chunks: &fetch.Chunks{Root: root, Size: 16 << 10}}, image)
	})
	if o.sent != len(image)+len(pages) {
		t.Errorf("%d bytes sent, want %d and %d of pages", o.sent, len(image), len(pages))
	}
}

// A seed that is no longer what its index says costs no request for each of its chunks, and a few bad ones in a good seed not much more than themselves.
func TestStaleIndexOfASeed(t *testing.T) {
	image := random(1, 4<<20)
	index := buildIndex(t, image)
	o := &bending{origin: origin{files: map[string][]byte{imageURI: image}}}
	stale := chunk.Seed{Image: bytes.NewReader(random(2, 4<<20)), Index: index}
	if got := readAll(t, chunk.NewReuse(o, imageURI, index, stale)); !bytes.Equal(got, image) {
		t.Fatal("other bytes")
	}
	if most := bits.Len(uint(index.Chunks())); len(o.asked) > most {
		t.Errorf("%d requests for %d chunks, want at most %d", len(o.asked), index.Chunks(), most)
	}
	bent := bytes.Clone(image)
	copy(bent[1<<20:], make([]byte, 500_000))
	o.sent, o.asked = 0, nil
	if got := readAll(t, chunk.NewReuse(o, imageURI, index, chunk.Seed{Image: bytes.NewReader(bent), Index: index})); !bytes.Equal(got, image) {
		t.Fatal("other bytes")
	}
	if o.sent > 2*(500_000+128<<10) || len(o.asked) > 6 {
		t.Errorf("half a megabyte was bad: %d bytes sent, for %d requests", o.sent, len(o.asked))
	}
}
