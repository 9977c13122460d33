// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

// A maker is a source that reads all of another's body before its Read returns a byte of it, and says that a third as much came, as one that unpacks does.
type maker struct {
	*server
	silent bool // it does not say what arrives
}

func (m maker) Open(ctx context.Context, u string, offset int64, validator string) (*fetch.Stream, error) {
	return m.OpenRange(ctx, u, offset, 0, validator)
}

func (m maker) OpenRange(ctx context.Context, u string, offset, length int64, validator string) (*fetch.Stream, error) {
	st, err := m.server.OpenRange(ctx, u, offset, length, validator)
	if err == nil && u == uri {
		body, made := st.Body, (*bytes.Reader)(nil)
		st.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
			if made == nil {
				rest, n, buf := []byte(nil), 0, make([]byte, 1<<16)
				for err := error(nil); err != io.EOF; rest = append(rest, buf[:n]...) {
					if n, err = body.Read(buf); err != nil && err != io.EOF {
						return 0, err
					}
					if !m.silent {
						fetch.Arrived(ctx, n/3)
					}
				}
				made = bytes.NewReader(rest)
			}
			return made.Read(p)
		}))
	}
	return st, err
}

// What a source reads before it returns a byte keeps the call alive, as long as it is not slower than MinRate: the time of a stolen server's drip is bounded by
// the size and the rate, as it is where nothing is made of the bytes.
func TestNET_07_ArrivedWithinOneRead(t *testing.T) {
	for name, test := range map[string]struct {
		body   func(ctx context.Context, rest []byte) io.Reader
		silent bool
		step   string // of the stall, "" for none
		most   time.Duration
	}{
		"flows":             {func(ctx context.Context, rest []byte) io.Reader { return dripper(ctx, rest, 6000) }, false, "", 70 * time.Second},
		"just fast enough":  {func(ctx context.Context, rest []byte) io.Reader { return dripper(ctx, rest, 3*1100) }, false, "", 150 * time.Second},
		"nobody says so":    {func(ctx context.Context, rest []byte) io.Reader { return dripper(ctx, rest, 6000) }, true, "idle", 3 * time.Minute},
		"just too slow":     {func(ctx context.Context, rest []byte) io.Reader { return dripper(ctx, rest, 3*1000) }, false, "rate", 3 * time.Minute},
		"a crumb at a time": {func(ctx context.Context, rest []byte) io.Reader { return every(ctx, rest, 29*time.Second, 3) }, false, "rate", 5 * time.Minute},
		"flows, then is silent": {func(ctx context.Context, rest []byte) io.Reader {
			return io.MultiReader(dripper(ctx, rest[:step:step], 6000), silent{ctx})
		}, false, "idle", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelease(t, noise(1, 24*step))
				src, sink := newServer(r), &recorder{}
				src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
					if q.uri != uri {
						return nil
					}
					return test.body(ctx, rest)
				}
				began := time.Now()
				_, err := newFetcher(t, fetch.Options{Source: maker{src, test.silent}, Retries: 3}).Fetch(t.Context(), r.res, sink)
				took := time.Since(began)
				if took > test.most {
					t.Errorf("took %v, want at most %v", took, test.most)
				}
				if test.step == "" {
					if err != nil {
						t.Fatalf("%v after %v", err, took)
					}
					sink.holds(t, r.data)
					return
				}
				var stall *fetch.StallError
				if !errors.As(err, &stall) || stall.Step != test.step {
					t.Errorf("%v after %v, want a stall (%s)", err, took, test.step)
				}
			})
		})
	}
}

// Arrived means nothing to a context of nobody, nor when no Read is under way.
func TestArrivedElsewhere(t *testing.T) {
	fetch.Arrived(t.Context(), 1)
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(1, 4*step))
		src, sink := newServer(r), &recorder{}
		src.body = func(ctx context.Context, n int, q request, rest []byte) io.Reader {
			fetch.Arrived(ctx, 1<<30) // while it is opened
			if q.uri != uri || n > 2 {
				return nil
			}
			return silent{ctx}
		}
		began := time.Now()
		if _, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, sink); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 30*time.Second || took > 2*time.Minute {
			t.Errorf("a silent connection was left after %v, want 30 s for each", took)
		}
	})
}
