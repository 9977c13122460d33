// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// interrupted fetches the first n chunks of r and stops.
func interrupted(t *testing.T, r release, store simfs.FS, n int) *recorder {
	t.Helper()
	src := newServer(r)
	src.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
		if q.uri != r.res.URI {
			return nil
		}
		return broken(rest[:n*step], &fetch.StatusError{Status: 451})
	}
	var sink recorder
	_, err := newFetcher(t, fetch.Options{Source: src, Storage: store}).Fetch(t.Context(), r.res, &sink)
	if !errors.Is(err, fetch.ErrRefused) || sink.Offset() != int64(n*step) {
		t.Fatalf("%v at %d", err, sink.Offset())
	}
	return &sink
}

func TestNET_16_CheckpointDamaged(t *testing.T) {
	r := newRelease(t, noise(7, 6*step))
	for name, damage := range map[string]func(t *testing.T, path string){
		"missing": func(t *testing.T, path string) { os.Remove(path) },
		"empty":   func(t *testing.T, path string) { write(t, path, nil) },
		"garbage": func(t *testing.T, path string) { write(t, path, noise(8, 200)) },
		"zeros":   func(t *testing.T, path string) { write(t, path, make([]byte, 200)) },
		"flipped": func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, flip(b, len(b)-1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			store, err := simfs.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			first := interrupted(t, r, store, 4)
			for _, copy := range []string{"fetch.0", "fetch.1"} {
				damage(t, filepath.Join(dir, copy))
			}
			for i := range 2 { // the second time the new checkpoint works
				again := first.afterCut()
				st, err := newFetcher(t, fetch.Options{Source: newServer(r), Storage: store}).Fetch(t.Context(), r.res, again)
				if err != nil {
					t.Fatal(err)
				}
				if want := int64(i) * r.res.Size; st.Kept != want || st.Checkpoint != nil {
					t.Errorf("run %d: %+v, want %d kept", i, st, want)
				}
				if i == 0 {
					again.holds(t, r.data)
					first = &again.recorder
				}
			}
		})
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNET_16_CheckpointOfAnotherResource(t *testing.T) {
	r := newRelease(t, noise(7, 6*step))
	other := newRelease(t, noise(8, 6*step))
	store := storage(t)
	first := interrupted(t, other, store, 4)
	again := first.afterCut()
	st, err := newFetcher(t, fetch.Options{Source: newServer(r), Storage: store}).Fetch(t.Context(), r.res, again)
	if err != nil || st.Kept != 0 {
		t.Fatalf("%+v, %v", st, err)
	}
	again.holds(t, r.data)
}

// TestNET_16_CheckpointOfAnotherMirror: the bytes are the same wherever they lie, the validator is not.
func TestNET_16_CheckpointOfAnotherMirror(t *testing.T) {
	r := newRelease(t, noise(7, 6*step))
	store := storage(t)
	first := interrupted(t, r, store, 4)
	r.res.URI = "https://mirror.example/image.bin"
	src := newServer(r)
	src.files[r.res.URI+".chunks"] = file{r.pages, `"p"`}
	again := first.afterCut()
	st, err := newFetcher(t, fetch.Options{Source: src, Storage: store}).Fetch(t.Context(), r.res, again)
	if err != nil || st.Kept != 4*step || st.Fetched != 2*step {
		t.Fatalf("%+v, %v", st, err)
	}
	again.holds(t, r.data)
	if want := (request{uri: r.res.URI, offset: 4 * step}); !slices.Contains(src.requests, want) {
		t.Errorf("requests %+v, want one that carries no validator of another server", src.requests)
	}
}

// TestNET_16_CheckpointNewerThanData: Fetch takes a forged or misplaced checkpoint at its word, and the owner of the medium,
// who reads it back, has Forget.
func TestNET_16_CheckpointNewerThanData(t *testing.T) {
	r := newRelease(t, noise(7, 6*step))
	store := storage(t)
	interrupted(t, r, store, 4)
	f := newFetcher(t, fetch.Options{Source: newServer(r), Storage: store})
	var blank recorder // a sink that does not hold what the checkpoint says
	if st, err := f.Fetch(t.Context(), r.res, &blank); err != nil || st.Kept != 4*step || bytes.Equal(blank.medium, r.data) {
		t.Fatalf("%+v, %v", st, err)
	}
	if err := f.Forget(r.res); err != nil {
		t.Fatal(err)
	}
	var sink recorder
	st, err := f.Fetch(t.Context(), r.res, &sink)
	if err != nil || st.Kept != 0 {
		t.Fatalf("%+v, %v", st, err)
	}
	sink.holds(t, r.data)
	// Forgetting another resource leaves this one alone.
	if err := f.Forget(newRelease(t, noise(8, step)).res); err != nil {
		t.Fatal(err)
	}
	if st, err := f.Fetch(t.Context(), r.res, sink.afterCut()); err != nil || st.Kept != r.res.Size {
		t.Fatalf("%+v, %v", st, err)
	}
}

// TestSinkThatCannotResume falls back to the offset where the sink stands.
func TestSinkThatCannotResume(t *testing.T) {
	r := newRelease(t, noise(7, 6*step))
	store := storage(t)
	interrupted(t, r, store, 4)
	sink := recorder{refuse: syscall.EIO}
	st, err := newFetcher(t, fetch.Options{Source: newServer(r), Storage: store}).Fetch(t.Context(), r.res, &sink)
	if err != nil || st.Kept != 0 || !errors.Is(st.Checkpoint, syscall.EIO) {
		t.Fatalf("%+v, %v", st, err)
	}
	sink.holds(t, r.data)
}

func TestSinkStandsWrong(t *testing.T) {
	r := newRelease(t, noise(7, 6*step))
	f := newFetcher(t, fetch.Options{Source: newServer(r)})
	// In the middle of a chunk: goes back to its beginning.
	sink := recorder{medium: bytes.Clone(r.data[:2*step+1])}
	if st, err := f.Fetch(t.Context(), r.res, &sink); err != nil || st.Kept != 2*step {
		t.Errorf("%+v, %v", st, err)
	}
	sink.holds(t, r.data)
	// Cannot go back, or beyond the end.
	stuck := recorder{medium: bytes.Clone(r.data[:2*step+1])}
	if _, err := f.Fetch(t.Context(), r.res, plainSink{&stuck}); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("stuck sink: %v", err)
	}
	beyond := recorder{medium: make([]byte, r.res.Size+1)}
	if _, err := f.Fetch(t.Context(), r.res, &beyond); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("sink beyond the end: %v", err)
	}
}

// diary writes down, in one list, what happens to the sink and to the checkpoint.
type diary struct {
	simfs.FS
	entries *[]string
	fail    error
}

func (d diary) OpenFile(name string, flag int) (simfs.File, error) {
	f, err := d.FS.OpenFile(name, flag)
	return diaryFile{f, d}, err
}

type diaryFile struct {
	simfs.File
	d diary
}

func (f diaryFile) WriteAt(p []byte, off int64) (int, error) {
	*f.d.entries = append(*f.d.entries, "checkpoint")
	if f.d.fail != nil {
		return 0, f.d.fail
	}
	return f.File.WriteAt(p, off)
}

func TestSyncBeforeCheckpoint(t *testing.T) {
	r := newRelease(t, noise(7, 9*step))
	var entries []string
	store := diary{FS: storage(t), entries: &entries}
	f := newFetcher(t, fetch.Options{Source: newServer(r), Storage: store, CheckpointEvery: 3 * step})
	if err := f.Forget(r.res); err != nil { // makes the files
		t.Fatal(err)
	}
	entries = nil
	var sink recorder
	sink.beforeWrite = func() error { entries = append(entries, "write"); return nil }
	sink.beforeSync = func() error { entries = append(entries, "sync"); return nil }
	if _, err := f.Fetch(t.Context(), r.res, &sink); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(entries, " ")
	for strings.Contains(got, "checkpoint checkpoint") { // how often a record writes is its own affair
		got = strings.ReplaceAll(got, "checkpoint checkpoint", "checkpoint")
	}
	interval := "write write write sync checkpoint"
	if want := strings.Join([]string{interval, interval, interval}, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCheckpointStorageFull: the download goes on without.
func TestCheckpointStorageFull(t *testing.T) {
	r := newRelease(t, noise(7, 9*step))
	var entries []string
	store := diary{FS: storage(t), entries: &entries, fail: syscall.ENOSPC}
	var sink recorder
	st, err := newFetcher(t, fetch.Options{Source: newServer(r), Storage: store, CheckpointEvery: step}).Fetch(t.Context(), r.res, &sink)
	if err != nil || !errors.Is(st.Checkpoint, syscall.ENOSPC) {
		t.Fatalf("%+v, %v", st, err)
	}
	sink.holds(t, r.data)
}

// On a slow line much time is in few bytes: what was verified is saved after CheckpointAfter, stalls included.
func TestCheckpointAfterATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(7, 9*step))
		var entries []string
		store := diary{FS: storage(t), entries: &entries}
		src := newServer(r)
		src.body = func(ctx context.Context, n int, q request, rest []byte) io.Reader {
			if q.uri == uri {
				return io.MultiReader(slowly(ctx, rest[:2*step]), silent{ctx})
			}
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		var sink recorder
		start, at := time.Now(), time.Duration(0)
		sink.beforeSync = func() error {
			if at == 0 {
				at = time.Since(start)
			}
			return nil
		}
		_, err := newFetcher(t, fetch.Options{Source: src, Storage: store}).Fetch(ctx, r.res, &sink)
		if !errors.Is(err, context.DeadlineExceeded) || at != 11*time.Second || sink.synced != 2*step {
			t.Errorf("%v; %d bytes synced after %v, want 2 chunks 10 s after the first", err, sink.synced, at)
		}
	})
}
