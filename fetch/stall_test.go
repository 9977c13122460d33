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

// drip yields one byte per interval, in virtual time.
type drip struct {
	ctx   context.Context
	rest  []byte
	every time.Duration
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(d.every):
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
	n := copy(p[:1], d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

func TestNET_07_StallThenProgress(t *testing.T) {
	r := newRelease(t, noise(6, 5*step))
	for _, test := range []struct {
		name string
		step string
		body func(ctx context.Context, rest []byte) io.Reader
		open bool // the answer itself does not come
	}{
		{"silent from the start", "idle", func(ctx context.Context, _ []byte) io.Reader { return silent{ctx} }, false},
		{"silent midway", "idle", func(ctx context.Context, rest []byte) io.Reader {
			return io.MultiReader(bytes.NewReader(rest[:2*step+5]), silent{ctx})
		}, false},
		{"trickle", "rate", func(ctx context.Context, rest []byte) io.Reader { return &drip{ctx, rest, 10 * time.Millisecond} }, false},
		{"no answer", "answer", nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newServer(r)
				var source fetch.Source = src
				first := true
				src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
					if q.uri != uri || !first || test.body == nil {
						return nil
					}
					first = false
					return test.body(ctx, rest)
				}
				if test.open {
					source = &mute{server: src}
				}
				var retries []fetch.Retry
				f := newFetcher(t, fetch.Options{Source: source, OnRetry: func(r fetch.Retry) { retries = append(retries, r) }})
				start := time.Now()
				var sink recorder
				if _, err := f.Fetch(t.Context(), r.res, &sink); err != nil {
					t.Fatal(err)
				}
				sink.holds(t, r.data)
				if len(retries) != 1 {
					t.Fatalf("%d retries, want 1", len(retries))
				}
				err := retries[0].Err
				var stall *fetch.StallError
				if !errors.As(err, &stall) || stall.Step != test.step || !stall.Timeout() ||
					!errors.Is(err, fetch.ErrStalled) || !errors.Is(err, fetch.ErrTransport) {
					t.Errorf("got %v, want a stall (%s)", err, test.step)
				}
				if d := time.Since(start); d < 30*time.Second || d > 65*time.Second {
					t.Errorf("noticed after %v", d)
				}
			})
		})
	}
}

// mute does not answer the first request.
type mute struct {
	*server
	asked bool
}

func (m *mute) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return m.OpenRange(ctx, uri, offset, 0, validator)
}

func (m *mute) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	if !m.asked {
		m.asked = true
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return m.server.OpenRange(ctx, uri, offset, length, validator)
}

func TestNET_07_StallForEver(t *testing.T) {
	r := newRelease(t, noise(6, 5*step))
	synctest.Test(t, func(t *testing.T) {
		src := newServer(r)
		src.body = func(ctx context.Context, _ int, _ request, _ []byte) io.Reader { return silent{ctx} }
		start := time.Now()
		_, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &recorder{})
		if !errors.Is(err, fetch.ErrStalled) || len(src.requests) != 9 {
			t.Errorf("%v after %d requests, want ErrStalled after 1 and 8 retries", err, len(src.requests))
		}
		if d := time.Since(start); d > 10*time.Minute {
			t.Errorf("gave up after %v", d)
		}
	})
}

// TestNET_07_SlowSinkIsNoStall: time spent writing flash is not the server's.
func TestNET_07_SlowSinkIsNoStall(t *testing.T) {
	r := newRelease(t, noise(6, 5*step))
	synctest.Test(t, func(t *testing.T) {
		var sink recorder
		sink.beforeWrite = func() error {
			<-time.After(time.Hour)
			return nil
		}
		f := newFetcher(t, fetch.Options{Source: newServer(r), OnRetry: func(r fetch.Retry) { t.Errorf("retry: %v", r.Err) }})
		if _, err := f.Fetch(t.Context(), r.res, &sink); err != nil {
			t.Fatal(err)
		}
	})
}

// TestNET_07_Flap: up for 2 s at 15 kB/s, down for 30 s, for days. Calls give up now and then, and the
// next one goes on; what is verified stays.
func TestNET_07_Flap(t *testing.T) {
	const rate = 15000
	r := newRelease(t, noise(6, 128*step))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		up := func() (bool, time.Duration) { // is it up, and for how long will it stay so
			phase := time.Since(start) % (32 * time.Second)
			return phase < 2*time.Second, 2*time.Second - phase
		}
		src := newServer(r)
		src.open = func(int, request) error {
			if ok, _ := up(); !ok {
				return errCut
			}
			return nil
		}
		src.body = func(ctx context.Context, _ int, _ request, rest []byte) io.Reader {
			return readerFunc(func(p []byte) (int, error) {
				ok, left := up()
				if !ok {
					return 0, errCut
				}
				if len(rest) == 0 {
					return 0, io.EOF
				}
				n := copy(p[:min(len(p), rate/10)], rest)
				rest = rest[n:]
				<-time.After(min(left, 100*time.Millisecond))
				return n, nil
			})
		}
		var sink recorder
		f := newFetcher(t, fetch.Options{Source: src})
		var fetched, discarded int64
		calls := 0
		for {
			calls++
			before := sink.Offset()
			st, err := f.Fetch(t.Context(), r.res, &sink)
			fetched, discarded = fetched+st.Fetched, discarded+st.Discarded
			if err == nil {
				break
			}
			if !errors.Is(err, fetch.ErrTransport) || sink.Offset() < before || st.Discarded > step {
				t.Fatalf("call %d: %+v, from %d to %d: %v", calls, st, before, sink.Offset(), err)
			}
			if time.Since(start) > 30*24*time.Hour {
				t.Fatalf("at %d after %v", sink.Offset(), time.Since(start))
			}
		}
		sink.holds(t, r.data)
		if fetched != r.res.Size+discarded {
			t.Errorf("%d fetched, %d of it discarded, for %d bytes", fetched, discarded, r.res.Size)
		}
		t.Logf("%d calls, %v of virtual time, %.1f%% fetched twice", calls, time.Since(start), 100*float64(discarded)/float64(r.res.Size))
	})
}

// A line that flaps without a word, so that each silence has to be waited for: what came before it, fast enough, is progress.
func TestNET_07_SilentFlap(t *testing.T) {
	for _, rate := range []int{12 << 10, 20 << 10} {
		synctest.Test(t, func(t *testing.T) {
			r := newRelease(t, noise(1, 256*step))
			src, sink := newServer(r), &recorder{}
			src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
				if q.uri != uri {
					return nil
				}
				n := min(len(rest), 2*rate)
				return io.MultiReader(dripper(ctx, rest[:n:n], rate), silent{ctx})
			}
			st, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, sink)
			if err != nil {
				t.Fatalf("%d bytes per second for 2 s, then none: %v at %d of %d", rate, err, sink.Offset(), r.res.Size)
			}
			sink.holds(t, r.data)
			balanced(t, st, r.res.Size)
		})
	}
}

// At least as much as counts as progress has to come before each silence, and not too slowly.
func TestNET_07_SilentFlapBringsTooLittle(t *testing.T) {
	for rate, most := range map[int]int{6 << 10: 2 * 6 << 10, 1000: 20_000} { // too little; too slow
		synctest.Test(t, func(t *testing.T) {
			r := newRelease(t, noise(1, 256*step))
			src, sink := newServer(r), &recorder{}
			src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
				if q.uri != uri {
					return nil
				}
				n := min(len(rest), most)
				return io.MultiReader(dripper(ctx, rest[:n:n], rate), silent{ctx})
			}
			began := time.Now()
			_, err := newFetcher(t, fetch.Options{Source: src, Retries: 4}).Fetch(t.Context(), r.res, sink)
			if took := time.Since(began); !errors.Is(err, fetch.ErrStalled) || took > 10*time.Minute {
				t.Errorf("%d bytes at %d per second: got %v after %v, want to give up", most, rate, err, took)
			}
		})
	}
}

func TestRetryBudgetAndBackoff(t *testing.T) {
	r := newRelease(t, noise(6, 2*step))
	synctest.Test(t, func(t *testing.T) {
		src := newServer(r)
		src.open = func(int, request) error { return errCut }
		var waits []time.Duration
		f := newFetcher(t, fetch.Options{Source: src, Retries: 10, OnRetry: func(r fetch.Retry) {
			waits = append(waits, r.Wait)
			if r.Left != 10-len(waits) {
				t.Errorf("%d left after %d", r.Left, len(waits))
			}
		}})
		start := time.Now()
		_, err := f.Fetch(t.Context(), r.res, &recorder{})
		if !errors.Is(err, fetch.ErrTransport) || !errors.Is(err, errCut) || len(waits) != 10 {
			t.Fatalf("%v after %d waits", err, len(waits))
		}
		full, total := time.Second, time.Duration(0)
		for i, w := range waits {
			if w < full/2 || w > full {
				t.Errorf("wait %d is %v, want %v to %v", i, w, full/2, full)
			}
			full = min(2*full, time.Minute)
			total += w
		}
		if d := time.Since(start); d != total {
			t.Errorf("%v passed, waits sum up to %v", d, total)
		}
	})
}

func TestBackoffIsJittered(t *testing.T) {
	seen := map[time.Duration]bool{}
	r := newRelease(t, noise(6, step))
	synctest.Test(t, func(t *testing.T) {
		for range 20 {
			src := newServer(r)
			src.open = func(int, request) error { return errCut }
			f := newFetcher(t, fetch.Options{Source: src, Retries: 1, OnRetry: func(r fetch.Retry) { seen[r.Wait] = true }})
			f.Fetch(t.Context(), r.res, &recorder{})
		}
	})
	if len(seen) < 10 {
		t.Errorf("%d different waits of 20", len(seen))
	}
}

// TestCrumbsAreNoProgress: a server that gives a few bytes per connection spends the budget; one that gives a
// smallest chunk each time does not.
func TestCrumbsAreNoProgress(t *testing.T) {
	r := newRelease(t, noise(6, 20*step))
	for _, test := range []struct {
		crumb int
		want  error
	}{{100, fetch.ErrTransport}, {step, nil}} {
		synctest.Test(t, func(t *testing.T) {
			src := newServer(r)
			src.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
				if q.uri != uri {
					return nil
				}
				return broken(rest[:min(test.crumb, len(rest))], errCut)
			}
			_, err := newFetcher(t, fetch.Options{Source: src, Retries: 3}).Fetch(t.Context(), r.res, &recorder{})
			if !errors.Is(err, test.want) {
				t.Errorf("%d bytes per connection: %v, want %v", test.crumb, err, test.want)
			}
		})
	}
}

func TestNET_08_RetryAfter(t *testing.T) {
	r := newRelease(t, noise(6, step))
	for _, test := range []struct {
		after    time.Duration
		min, max time.Duration
	}{
		{0, time.Second / 2, time.Second},
		{90 * time.Second, 90 * time.Second, 90 * time.Second * 5 / 4},
		{10 * 365 * 24 * time.Hour, 5 * time.Minute, 5 * time.Minute * 5 / 4},
		{-time.Hour, time.Second / 2, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := newServer(r)
			src.open = func(n int, _ request) error {
				if n == 0 {
					return &fetch.StatusError{Status: 503, RetryAfter: test.after}
				}
				return nil
			}
			start := time.Now()
			if _, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &recorder{}); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d < test.min || d > test.max {
				t.Errorf("Retry-After %v: waited %v, want %v to %v", test.after, d, test.min, test.max)
			}
		})
	}
}

func TestTerminalAnswersAreNotRetried(t *testing.T) {
	r := newRelease(t, noise(6, step))
	for status, retried := range map[int]bool{
		400: false, 401: false, 403: false, 404: false, 408: true, 410: false, 425: true, 429: true, 451: false, 500: true, 503: true,
	} {
		synctest.Test(t, func(t *testing.T) {
			src := newServer(r)
			src.open = func(n int, _ request) error {
				if n == 0 {
					return &fetch.StatusError{Status: status}
				}
				return nil
			}
			_, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &recorder{})
			if retried != (err == nil) || !retried && !errors.Is(err, fetch.ErrRefused) {
				t.Errorf("status %d: %v, want it retried: %v", status, err, retried)
			}
		})
	}
}

func TestNET_03_Sizes(t *testing.T) {
	r := newRelease(t, noise(6, 3*step))
	for _, test := range []struct {
		name string
		data []byte
		size int64 // announced
		want error
	}{
		{"smaller", r.data[:2*step], 2 * step, fetch.ErrSize},
		{"larger", append(bytes.Clone(r.data), 0), 3*step + 1, fetch.ErrSize},
		{"huge", r.data, 1<<63 - 1, fetch.ErrSize},
		{"absent", r.data, -1, nil},
		{"absent, larger", append(bytes.Clone(r.data), 0), -1, nil}, // nobody reads what is not signed
		{"absent, smaller", r.data[:2*step+5], -1, fetch.ErrTransport},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := newServer(r)
			src.files[uri] = file{test.data, `"v1"`}
			var sink recorder
			_, err := newFetcher(t, fetch.Options{Source: sized{src, test.size}}).Fetch(t.Context(), r.res, &sink)
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
			var size *fetch.SizeError
			if errors.As(err, &size) && (size.Want != 3*step || size.Seen != test.size || len(sink.ever) > 0) {
				t.Errorf("%s: %+v after %d writes", test.name, size, len(sink.ever))
			}
			sink.onlyVerified(t, r.data)
		})
	}
}

// sized announces another size for the payload.
type sized struct {
	*server
	size int64
}

func (s sized) OpenRange(ctx context.Context, u string, offset, length int64, validator string) (*fetch.Stream, error) {
	st, err := s.server.OpenRange(ctx, u, offset, length, validator)
	if err == nil && u == uri {
		st.Size = s.size
	}
	return st, err
}

func (s sized) Open(ctx context.Context, u string, offset int64, validator string) (*fetch.Stream, error) {
	return s.OpenRange(ctx, u, offset, 0, validator)
}
