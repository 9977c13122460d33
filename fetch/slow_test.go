// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

// dripper yields size bytes per second.
func dripper(ctx context.Context, rest []byte, size int) io.Reader {
	return every(ctx, rest, time.Second, size)
}

// every yields size bytes per interval.
func every(ctx context.Context, rest []byte, d time.Duration, size int) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		n := copy(p[:min(size, len(p))], rest)
		if rest = rest[n:]; n == 0 {
			return 0, io.EOF
		}
		return n, nil
	})
}

// A server just below the minimum rate brings more in each window than counts as progress elsewhere. It does not keep the call for ever.
func TestNET_07_DripIsNoProgress(t *testing.T) {
	for _, rate := range []int{1000, 1100} {
		synctest.Test(t, func(t *testing.T) {
			r := newRelease(t, noise(1, 128*step))
			src, sink := newServer(r), &recorder{}
			src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
				if q.uri != uri {
					return nil
				}
				return dripper(ctx, rest, rate)
			}
			began := time.Now()
			_, err := newFetcher(t, fetch.Options{Source: src, Retries: 4}).Fetch(t.Context(), r.res, sink)
			took := time.Since(began)
			if rate > 1024 {
				if err != nil {
					t.Errorf("slow, but not too slow: %v after %v", err, took)
				}
				return
			}
			var stall *fetch.StallError
			if !errors.As(err, &stall) || stall.Step != "rate" || took > 5*time.Minute {
				t.Errorf("got %v after %v, want a stall by rate within five windows and their pauses", err, took)
			}
		})
	}
}

// Ranges that share a slow line are not too slow for what each has of it; on a line that is too slow for one connection, they are.
func TestNET_07_RangesShareASlowLine(t *testing.T) {
	for _, rate := range []int{3 << 10, 1000} {
		synctest.Test(t, func(t *testing.T) {
			r := wideRelease()
			src, sink := newServer(r), newScattered()
			l := line{rate: rate}
			src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
				if q.uri != uri {
					return nil
				}
				return l.reader(ctx, rest)
			}
			began := time.Now()
			st, err := newFetcher(t, fetch.Options{Source: src, Parallel: 4, Retries: 4}).Fetch(t.Context(), r.res, sink)
			if rate < 1024 {
				if !errors.Is(err, fetch.ErrStalled) || time.Since(began) > 5*time.Minute {
					t.Errorf("%d bytes per second: %v after %v, want ErrStalled within five windows and their pauses", rate, err, time.Since(began))
				}
				return
			}
			if err != nil || st.Discarded > 0 {
				t.Errorf("%d bytes per second: %v after %v, %+v", rate, err, time.Since(began), st)
			}
		})
	}
}

// A line is what all connections share: a quarter of a second's worth for each in turn.
type line struct {
	rate int // bytes per second
	mu   sync.Mutex
	free time.Time
}

func (l *line) reader(ctx context.Context, rest []byte) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		n := copy(p[:min(len(p), l.rate/4)], rest)
		if rest = rest[n:]; n == 0 {
			return 0, io.EOF
		}
		l.mu.Lock()
		if l.free.Before(time.Now()) {
			l.free = time.Now()
		}
		l.free = l.free.Add(time.Second * time.Duration(n) / time.Duration(l.rate))
		turn := time.Until(l.free)
		l.mu.Unlock()
		select {
		case <-time.After(turn):
			return n, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
}

// Nor does one that brings as little by falling silent, or by answering late and breaking off.
func TestNET_07_LittleByLittleIsNoProgress(t *testing.T) {
	for name, test := range map[string]struct {
		late time.Duration
		body func(ctx context.Context, rest []byte) io.Reader
	}{
		"falls silent": {0, func(ctx context.Context, rest []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(rest[:min(len(rest), step+step/2)]), silent{ctx})
		}},
		"answers late": {29 * time.Second, func(_ context.Context, rest []byte) io.Reader {
			return broken(rest[:min(len(rest), step+step/2)], errCut)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelease(t, noise(1, 128*step))
				src, sink := newServer(r), &recorder{}
				src.open = func(_ int, q request) error {
					if q.uri == uri {
						time.Sleep(test.late)
					}
					return nil
				}
				src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
					if q.uri != uri {
						return nil
					}
					return test.body(ctx, rest)
				}
				began := time.Now()
				_, err := newFetcher(t, fetch.Options{Source: src, Retries: 4}).Fetch(t.Context(), r.res, sink)
				if took := time.Since(began); !errors.Is(err, fetch.ErrTransport) || took > 5*time.Minute {
					t.Errorf("got %v after %v, want to give up after five attempts", err, took)
				}
			})
		})
	}
}

// A place that does not answer, falls silent or drips is left for another one after one deadline.
func TestNET_13_OnePlaceIsSlow(t *testing.T) {
	for name, body := range map[string]func(ctx context.Context, rest []byte) io.Reader{
		"no answer": nil,
		"silent": func(ctx context.Context, rest []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(rest[:min(len(rest), 100)]), silent{ctx})
		},
		"drips": func(ctx context.Context, rest []byte) io.Reader { return dripper(ctx, rest, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelease(t, noise(1, 128*step))
				s, _ := places(t, r)
				s.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
					if body == nil || fromSecond(q) {
						return nil
					}
					return body(ctx, rest)
				}
				m, err := fetch.NewMirrors(hanging{s, body == nil}, first, second)
				if err != nil {
					t.Fatal(err)
				}
				began, sink := time.Now(), &recorder{}
				if _, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, sink); err != nil {
					t.Fatal(err)
				}
				sink.holds(t, r.data)
				if took := time.Since(began); took > 70*time.Second {
					t.Errorf("took %v, want one deadline for the pages and one for the payload at most", took)
				}
			})
		})
	}
}

// hanging is a source of which the first place does not answer.
type hanging struct {
	*server
	hangs bool
}

func (h hanging) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return h.OpenRange(ctx, uri, offset, 0, validator)
}

func (h hanging) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	if h.hangs && !fromSecond(request{uri: uri}) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return h.server.OpenRange(ctx, uri, offset, length, validator)
}
