// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/verify"
)

func TestFetch(t *testing.T) {
	for name, size := range map[string]int{
		"one byte": 1, "one chunk": step, "a chunk and a byte": step + 1, "full root page": 128 * step, "two levels": 300*step + 7,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelease(t, noise(1, size))
			var last fetch.Progress
			src := newServer(r)
			f := newFetcher(t, fetch.Options{Source: src, Storage: storage(t), OnProgress: func(p fetch.Progress) {
				if p.Done < last.Done || p.Total != int64(size) {
					t.Errorf("progress %+v after %+v", p, last)
				}
				last = p
			}})
			var sink recorder
			st, err := f.Fetch(t.Context(), r.res, &sink)
			if err != nil {
				t.Fatal(err)
			}
			sink.holds(t, r.data)
			balanced(t, st, int64(size))
			if st.Discarded != 0 || len(src.seen()) != 1 || st.Pages != int64(len(r.pages)) {
				t.Errorf("%+v, %d payload requests; want every byte and page once", st, len(src.seen()))
			}
			if last.Done != int64(size) || strings.Contains(last.URI, "secret") || strings.Contains(last.URI, "hidden") {
				t.Errorf("last progress %+v", last)
			}
			// Once more: all is there, nothing is asked for.
			again := sink.afterCut()
			st, err = f.Fetch(t.Context(), r.res, again)
			if err != nil || st.Fetched != 0 || st.Requests != 0 || st.Kept != int64(size) || again.Offset() != int64(size) {
				t.Errorf("second fetch: %+v, %v", st, err)
			}
		})
	}
}

// plain is a Source without OpenRange and a Sink without Resume and Staging.
type plain struct{ s *server }

func (p plain) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return p.s.Open(ctx, uri, offset, validator)
}

type plainSink struct{ s *recorder }

func (p plainSink) Offset() int64               { return p.s.Offset() }
func (p plainSink) Write(b []byte) (int, error) { return p.s.Write(b) }
func (p plainSink) Sync() error                 { return p.s.Sync() }

func TestFetchWithoutOptionalInterfaces(t *testing.T) {
	r := newRelease(t, noise(1, 300*step))
	f := newFetcher(t, fetch.Options{Source: plain{newServer(r)}, Storage: storage(t)})
	for range 2 { // such a sink begins at zero whatever the checkpoint says
		var sink recorder
		st, err := f.Fetch(t.Context(), r.res, plainSink{&sink})
		if err != nil || st.Kept != 0 {
			t.Fatalf("%+v, %v", st, err)
		}
		sink.holds(t, r.data)
	}
}

func TestResourceRefusedBeforeAnyRequest(t *testing.T) {
	r := newRelease(t, noise(1, 3*step))
	change := func(edit func(*fetch.Resource)) fetch.Resource {
		res, chunks := r.res, *r.res.Chunks
		res.Chunks = &chunks
		edit(&res)
		return res
	}
	for name, res := range map[string]fetch.Resource{
		"no uri":             change(func(r *fetch.Resource) { r.URI = "" }),
		"size 0":             change(func(r *fetch.Resource) { r.Size = 0 }),
		"negative size":      change(func(r *fetch.Resource) { r.Size = -1 }),
		"no digest":          change(func(r *fetch.Resource) { r.Digest = verify.Digest{} }),
		"no root":            change(func(r *fetch.Resource) { r.Chunks.Root = verify.Digest{} }),
		"root not sha256":    change(func(r *fetch.Resource) { r.Chunks.Root = verify.Sum(verify.SHA512, nil) }),
		"chunk size 0":       change(func(r *fetch.Resource) { r.Chunks.Size = 0 }),
		"chunk too small":    change(func(r *fetch.Resource) { r.Chunks.Size = step / 2 }),
		"chunk too large":    change(func(r *fetch.Resource) { r.Chunks.Size = 2 * fetch.MaxChunkSize }),
		"chunk not a power":  change(func(r *fetch.Resource) { r.Chunks.Size = 3 * step }),
		"unstaged, no roots": change(func(r *fetch.Resource) { r.Chunks = nil }),
	} {
		src := newServer(r)
		var sink recorder
		_, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), res, &sink)
		if !errors.Is(err, fetch.ErrResource) || len(src.requests) != 0 || len(sink.ever) != 0 {
			t.Errorf("%s: %v after %d requests, want ErrResource before any", name, err, len(src.requests))
		}
	}
	if _, err := newFetcher(t, fetch.Options{Source: newServer(r)}).Fetch(t.Context(), r.res, nil); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("no sink: %v", err)
	}
	for _, o := range []fetch.Options{{}, {Source: newServer(r), Retries: -1}, {Source: newServer(r), IdleTimeout: -1}} {
		if _, err := fetch.New(o); !errors.Is(err, fetch.ErrResource) {
			t.Errorf("New(%+v): %v", o, err)
		}
	}
}

func TestSinkErrorsPassThrough(t *testing.T) {
	r := newRelease(t, noise(1, 6*step))
	for name, set := range map[string]func(*recorder, *int){
		"write": func(s *recorder, n *int) {
			s.beforeWrite = func() error {
				if *n++; *n == 4 {
					return syscall.ENOSPC
				}
				return nil
			}
		},
		"sync": func(s *recorder, n *int) {
			s.beforeSync = func() error {
				if *n++; *n == 2 {
					return syscall.ENOSPC
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := storage(t)
			f := newFetcher(t, fetch.Options{Source: newServer(r), Storage: store, CheckpointEvery: 2 * step})
			var sink recorder
			n := 0
			set(&sink, &n)
			if _, err := f.Fetch(t.Context(), r.res, &sink); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, fetch.ErrTransport) {
				t.Fatalf("got %v, want the sink's ENOSPC", err)
			}
			// Nothing was promised that is not synced.
			again := sink.afterCut()
			st, err := f.Fetch(t.Context(), r.res, again)
			if err != nil || st.ResumedFrom != 2*step {
				t.Fatalf("resumed from %d: %v", st.ResumedFrom, err)
			}
			again.holds(t, r.data)
		})
	}
}

func TestCancelKeepsWhatIsVerified(t *testing.T) {
	r := newRelease(t, noise(1, 20*step))
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("user went away")
	var sink recorder
	src := newServer(r)
	src.body = func(ctx context.Context, _ int, req request, rest []byte) io.Reader {
		if req.uri != uri {
			return nil
		}
		return io.MultiReader(bytes.NewReader(rest[:7*step+100]), readerFunc(func([]byte) (int, error) {
			cancel(reason)
			return silent{ctx}.Read(nil)
		}))
	}
	f := newFetcher(t, fetch.Options{Source: src, Storage: storage(t)})
	st, err := f.Fetch(ctx, r.res, &sink)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
		t.Fatalf("got %v", err)
	}
	src.honest()
	if st.Fetched != 7*step+100 || st.Discarded != 100 {
		t.Errorf("stats %+v", st)
	}
	again := sink.afterCut()
	st, err = f.Fetch(t.Context(), r.res, again)
	if err != nil || st.ResumedFrom != 7*step {
		t.Fatalf("resumed from %d, want %d: %v", st.ResumedFrom, 7*step, err)
	}
	again.holds(t, r.data)
	again.onlyVerified(t, r.data)
}

func TestCallsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(1, 3*step))
		src := newServer(r)
		src.body = func(ctx context.Context, n int, _ request, _ []byte) io.Reader {
			if n == 0 {
				return silent{ctx}
			}
			return nil
		}
		f := newFetcher(t, fetch.Options{Source: src})
		done := make(chan error)
		go func() {
			_, err := f.Fetch(t.Context(), r.res, &recorder{})
			done <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.Fetch(ctx, r.res, &recorder{}); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for a turn: %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestErrorsHideSecrets(t *testing.T) {
	r := newRelease(t, noise(1, step))
	src := newServer(r)
	delete(src.files, uri)
	_, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &recorder{})
	if !errors.Is(err, fetch.ErrRefused) || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fetch.ErrTransport) {
		t.Errorf("missing payload: %v", err)
	}
	if s := err.Error(); strings.Contains(s, "secret") || strings.Contains(s, "hidden") || !strings.Contains(s, "fw.example/image.bin") {
		t.Errorf("error text %q", s)
	}
	if got := fetch.RedactURI("http://[::1"); strings.Contains(got, "::1") {
		t.Errorf("unreadable uri shown as %q", got)
	}
}
