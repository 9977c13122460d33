// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/verify"
)

const step = fetch.MinChunkSize

// pipes is a net.Listener and dialer without a network, so that a test can run on virtual time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// liar is an HTTP server for one payload and its page file, and what it does wrong.
type liar struct {
	t         *testing.T
	mu        sync.Mutex
	data      []byte
	pages     []byte
	tag       string
	requests  []http.Header            // for the payload
	misbehave func(n int) http.Handler // for the n-th request for the payload; nil: honest
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	if strings.HasSuffix(r.URL.Path, ".chunks") {
		pages := l.pages
		l.mu.Unlock()
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(pages))
		return
	}
	l.requests = append(l.requests, r.Header.Clone())
	var h http.Handler
	if l.misbehave != nil {
		h = l.misbehave(len(l.requests) - 1)
	}
	if h == nil {
		h = l.serve(l.data)
	}
	l.mu.Unlock()
	h.ServeHTTP(w, r)
}

// serve is an honest answer with data.
func (l *liar) serve(data []byte) http.HandlerFunc {
	tag := l.tag
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

// limited is an honest answer whose body is let through for n bytes; then what happens is up to after.
func (l *liar) limited(n int, after func(r *http.Request)) http.HandlerFunc {
	honest := l.serve(l.data)
	return func(w http.ResponseWriter, r *http.Request) {
		honest(&limitedWriter{ResponseWriter: w, left: n}, r)
		http.NewResponseController(w).Flush()
		after(r)
	}
}

func hangUp(*http.Request)                 { panic(http.ErrAbortHandler) }
func hang(r *http.Request)                 { <-r.Context().Done() }
func (l *liar) cut(n int) http.HandlerFunc { return l.limited(n, hangUp) }

type limitedWriter struct {
	http.ResponseWriter
	left int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	w.left -= n
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// dripping is an honest answer at one byte per interval.
func (l *liar) dripping(every time.Duration) http.HandlerFunc {
	honest := l.serve(l.data)
	return func(w http.ResponseWriter, r *http.Request) {
		honest(writerFunc{w, func(p []byte) (int, error) {
			for i := range p {
				if _, err := w.Write(p[i : i+1]); err != nil {
					return i, err
				}
				http.NewResponseController(w).Flush()
				select {
				case <-time.After(every):
				case <-r.Context().Done():
					return i, r.Context().Err()
				}
			}
			return len(p), nil
		}}, r)
	}
}

type writerFunc struct {
	http.ResponseWriter
	write func([]byte) (int, error)
}

func (w writerFunc) Write(p []byte) (int, error) { return w.write(p) }

// slot is a Sink in memory.
type slot struct{ medium []byte }

func (s *slot) Offset() int64               { return int64(len(s.medium)) }
func (s *slot) Write(p []byte) (int, error) { s.medium = append(s.medium, p...); return len(p), nil }
func (s *slot) Sync() error                 { return nil }

// TestFaultTable is the table of faults that download tools get wrong, over real HTTP on virtual time.
func TestFaultTable(t *testing.T) {
	const size = 20 * step
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(data)
	other := make([]byte, size)
	rand.NewChaCha8([32]byte{2}).Read(other)
	pages, root, err := chunk.Build(bytes.NewReader(data), size, step)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(data)
	flipped[10*step] ^= 1
	first := func(h http.Handler) func(int) http.Handler {
		return func(n int) http.Handler {
			if n == 0 {
				return h
			}
			return nil
		}
	}
	for _, test := range []struct {
		name    string
		lie     func(l *liar) func(n int) http.Handler
		want    error
		fetched int64 // at most
	}{
		{"NET-01 hangs up midway", func(l *liar) func(int) http.Handler { return first(l.cut(13*step + 7)) }, nil, size},
		{"NET-01 hangs up every five chunks", func(l *liar) func(int) http.Handler {
			return func(int) http.Handler { return l.cut(5 * step) }
		}, nil, size},
		{"NET-02 never knows ranges", func(l *liar) func(int) http.Handler {
			return func(n int) http.Handler {
				whole := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.Header.Del("Range")
					l.serve(data)(w, r)
				})
				if n == 0 {
					return l.cut(13 * step)
				}
				return whole
			}
		}, nil, size + 13*step},
		{"NET-02 tag changes, same bytes", func(l *liar) func(int) http.Handler {
			return func(n int) http.Handler {
				if n == 0 {
					h := l.cut(13 * step)
					l.tag = `"v2"`
					return h
				}
				return nil
			}
		}, nil, size + 13*step},
		{"NET-02 tag and content change", func(l *liar) func(int) http.Handler {
			return func(n int) http.Handler {
				if n == 0 {
					h := l.cut(13 * step)
					l.tag, l.data = `"v2"`, other
					return h
				}
				return nil
			}
		}, fetch.ErrDigest, 3*size + size},
		{"NET-06 one flipped bit", func(l *liar) func(int) http.Handler { return first(l.serve(flipped)) }, nil, size + step},
		{"NET-06 one bit flipped for good", func(l *liar) func(int) http.Handler {
			return func(int) http.Handler { return l.serve(flipped) }
		}, fetch.ErrDigest, size + 2*step},
		{"NET-07 stalls midway", func(l *liar) func(int) http.Handler { return first(l.limited(13*step+7, hang)) }, nil, size},
		{"NET-07 drips", func(l *liar) func(int) http.Handler { return first(l.dripping(10 * time.Millisecond)) }, nil, size},
		{"NET-07 never answers", func(l *liar) func(int) http.Handler {
			return func(int) http.Handler {
				return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hang(r) })
			}
		}, fetch.ErrStalled, 0},
		{"NET-08 busy", func(l *liar) func(int) http.Handler { return first(reply(503, "", "Retry-After: 77")) }, nil, size},
		{"NET-10 captive portal", func(l *liar) func(int) http.Handler {
			return func(int) http.Handler { return reply(200, "<html>please log in", "Content-Type: text/html") }
		}, fetch.ErrSize, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &liar{t: t, data: data, pages: pages, tag: `"v1"`}
				l.misbehave = test.lie(l)
				net := newPipes()
				server := &http.Server{Handler: l}
				go server.Serve(net)
				transport := &http.Transport{DialContext: net.dial}
				defer transport.CloseIdleConnections()
				defer server.Close()

				f, err := fetch.New(fetch.Options{Source: httpsource.New(&http.Client{Transport: transport})})
				if err != nil {
					t.Fatal(err)
				}
				var sink slot
				st, err := f.Fetch(t.Context(), fetch.Resource{
					URI: "http://fw.example/image.bin", Size: size, Digest: verify.Sum(verify.SHA256, data),
					Chunks: &fetch.Chunks{Root: root, Size: step},
				}, &sink)
				if !errors.Is(err, test.want) {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				if !bytes.HasPrefix(data, sink.medium) || err == nil && len(sink.medium) != size {
					t.Fatalf("sink holds %d bytes that are not the payload's first", len(sink.medium))
				}
				if st.Fetched > test.fetched {
					t.Errorf("%+v, want at most %d fetched", st, test.fetched)
				}
				for i, h := range l.requests {
					if h.Get("Range") != "" && h.Get("If-Range") == "" {
						t.Errorf("request %d: %v has no If-Range", i, h)
					}
				}
				t.Logf("%+v", st)
			})
		})
	}
}
