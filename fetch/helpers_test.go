// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

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

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

const (
	uri      = "https://user:secret@fw.example/image.bin?token=hidden"
	pagesURI = "https://user:secret@fw.example/image.bin.chunks?token=hidden"
	step     = fetch.MinChunkSize
)

// noise returns n bytes that depend on seed alone.
func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

// release is a payload with its page file.
type release struct {
	data, pages []byte
	res         fetch.Resource
}

func newRelease(tb testing.TB, data []byte) release {
	tb.Helper()
	pages, root, err := chunk.Build(bytes.NewReader(data), int64(len(data)), step)
	if err != nil {
		tb.Fatal(err)
	}
	return release{data, pages, fetch.Resource{
		URI: uri, Size: int64(len(data)), Digest: verify.Sum(verify.SHA256, data),
		Chunks: &fetch.Chunks{Root: root, Size: step},
	}}
}

// file is what the server has under a URI.
type file struct {
	data      []byte
	validator string
}

// request is what the server saw.
type request struct {
	uri            string
	offset, length int64
	validator      string
}

// server is a Source in memory that behaves, apart from what its hooks do.
type server struct {
	mu       sync.Mutex
	files    map[string]file
	requests []request

	noRanges bool                         // answers every range with the whole file
	open     func(n int, r request) error // called with the number of the request, before it is answered
	// body may replace the body of an answer; rest is what an honest one holds.
	body func(ctx context.Context, n int, r request, rest []byte) io.Reader
}

func newServer(r release) *server {
	return &server{files: map[string]file{
		r.res.URI: {r.data, `"v1"`},
		pagesURI:  {r.pages, `"p1"`},
	}}
}

func (s *server) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return s.OpenRange(ctx, uri, offset, 0, validator)
}

func (s *server) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := request{uri, offset, length, validator}
	s.requests = append(s.requests, r)
	n := len(s.requests) - 1
	if s.open != nil {
		if err := s.open(n, r); err != nil {
			return nil, err
		}
	}
	f, ok := s.files[uri]
	if !ok {
		return nil, &fetch.StatusError{URI: fetch.RedactURI(uri), Status: 404}
	}
	st := &fetch.Stream{Offset: offset, Size: int64(len(f.data)), Validator: f.validator}
	if s.noRanges || validator != "" && validator != f.validator {
		st.Offset, length = 0, 0
	}
	rest := f.data[min(st.Offset, int64(len(f.data))):]
	if length > 0 {
		rest = rest[:min(length, int64(len(rest)))]
	}
	var body io.Reader = bytes.NewReader(rest)
	if s.body != nil {
		if b := s.body(ctx, n, r, rest); b != nil {
			body = b
		}
	}
	st.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return body.Read(p)
	}))
	return st, nil
}

// seen returns the requests for the payload only.
func (s *server) seen() (payload []request) {
	for _, r := range s.requests {
		if r.uri == uri {
			payload = append(payload, r)
		}
	}
	return payload
}

var errCut = errors.New("connection reset by peer")

// broken yields p, then the error.
func broken(p []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(p), errReader{err})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// silent yields nothing until the request is cancelled.
type silent struct{ ctx context.Context }

func (r silent) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, r.ctx.Err()
}

// recorder is a Sink that forgets nothing: what was ever written, and where.
type recorder struct {
	ever    [][]byte // every Write, in order
	at      []int64  // its offset
	medium  []byte
	synced  int
	staging bool

	beforeWrite func() error
	beforeSync  func() error
	refuse      error // Resume's
}

func (s *recorder) Offset() int64 { return int64(len(s.medium)) }
func (s *recorder) Staging() bool { return s.staging }

func (s *recorder) Write(p []byte) (int, error) {
	if s.beforeWrite != nil {
		if err := s.beforeWrite(); err != nil {
			return 0, err
		}
	}
	s.ever = append(s.ever, bytes.Clone(p))
	s.at = append(s.at, s.Offset())
	s.medium = append(s.medium, p...)
	return len(p), nil
}

func (s *recorder) Sync() error {
	if s.beforeSync != nil {
		if err := s.beforeSync(); err != nil {
			return err
		}
	}
	s.synced = len(s.medium)
	return nil
}

// Resume finds on the medium what a slot would: what was written, then what was there before, here zeros.
func (s *recorder) Resume(offset int64) error {
	if s.refuse != nil {
		return s.refuse
	}
	for int64(len(s.medium)) < offset {
		s.medium = append(s.medium, 0)
	}
	s.medium = s.medium[:offset]
	return nil
}

// afterCut is the sink over the same medium after power came back: it stands at 0 and kept what was synced.
func (s *recorder) afterCut() *survivor {
	return &survivor{recorder: recorder{}, kept: bytes.Clone(s.medium[:s.synced])}
}

// survivor is a recorder whose Resume finds what was kept.
type survivor struct {
	recorder
	kept []byte
}

func (s *survivor) Resume(offset int64) error {
	if offset > int64(len(s.kept)) {
		return fmt.Errorf("resume at %d, only %d bytes were synced", offset, len(s.kept))
	}
	s.medium = bytes.Clone(s.kept[:offset])
	return nil
}

// onlyVerified fails if any byte that ever reached the sink is not the signed one at its place.
func (s *recorder) onlyVerified(tb testing.TB, signed []byte) {
	tb.Helper()
	for i, p := range s.ever {
		at := s.at[i]
		if at+int64(len(p)) > int64(len(signed)) || !bytes.Equal(p, signed[at:at+int64(len(p))]) {
			tb.Fatalf("write %d at %d: %d bytes that nobody signed reached the sink", i, at, len(p))
		}
	}
}

func (s *recorder) holds(tb testing.TB, want []byte) {
	tb.Helper()
	if got := sha256.Sum256(s.medium); got != sha256.Sum256(want) {
		tb.Fatalf("sink holds %d bytes, not the %d signed ones", len(s.medium), len(want))
	}
	if s.synced != len(want) {
		tb.Fatalf("%d bytes synced, want %d", s.synced, len(want))
	}
}

func newFetcher(tb testing.TB, o fetch.Options) *fetch.Fetcher {
	tb.Helper()
	f, err := fetch.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func storage(tb testing.TB) simfs.FS {
	tb.Helper()
	return simfs.NewSim(simfs.Options{}).FS()
}

// balanced checks the equation that Stats promises.
func balanced(tb testing.TB, st fetch.Stats, size int64) {
	tb.Helper()
	if st.Fetched != size-st.Kept+st.Discarded {
		tb.Errorf("stats do not balance for %d bytes: %+v", size, st)
	}
}

// honest serves the files as they are from now on.
func (s *server) honest() { s.open, s.body, s.noRanges, s.requests = nil, nil, false, nil }

// flip returns p with one bit of byte i changed.
func flip(p []byte, i int) []byte {
	p = bytes.Clone(p)
	p[i] ^= 1
	return p
}
