// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuftest

import (
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"time"
)

// Answer is what the repository sends for one request. A Fault changes it.
type Answer struct {
	Name   string // asked for
	Status int    // of HTTP
	Data   []byte
	Length int64 // what the Content-Length says: where there is less, the connection breaks, and what is more is not sent; -1 says nothing

	Chunk   int           // bytes that come at a time, all if 0
	Every   time.Duration // and the time before each
	Stall   bool          // after Data nothing comes, and the connection stays
	Endless bool          // after Data comes Data again; Length should be -1

	version [sha256.Size]byte // of what was to be served
}

// serve makes a a whole file.
func (a *Answer) serve(data []byte) {
	*a = Answer{Name: a.Name, Status: http.StatusOK, Data: data, Length: int64(len(data)), version: sha256.Sum256(data)}
}

func (a *Answer) whole() bool {
	return !a.Stall && !a.Endless && a.Every == 0 && a.Length == int64(len(a.Data))
}

// A Fault is something that goes wrong on the way to the client, or on purpose.
type Fault func(r *Repo, a *Answer)

// Stall sends n bytes, and then nothing.
func Stall(n int) Fault {
	return func(_ *Repo, a *Answer) { a.Data, a.Stall = a.Data[:min(n, len(a.Data))], true }
}

// Truncate breaks the connection after n bytes.
func Truncate(n int) Fault {
	return func(_ *Repo, a *Answer) { a.Data = a.Data[:min(n, len(a.Data))] }
}

// Drip sends n bytes at a time, the first and each of the others after a pause.
func Drip(n int, pause time.Duration) Fault {
	return func(_ *Repo, a *Answer) { a.Chunk, a.Every = n, pause }
}

// Claim says that the file is n bytes long. If it is longer, the client gets the beginning, with nothing wrong about the connection; if it is
// shorter, the connection breaks.
func Claim(n int64) Fault {
	return func(_ *Repo, a *Answer) { a.Length = n }
}

// Endless sends the file again and again, and does not say how long it is.
func Endless() Fault {
	return func(_ *Repo, a *Answer) { a.Endless, a.Length = len(a.Data) > 0, -1 }
}

// Status sends an HTTP status instead of the file: 404, 500, 503.
func Status(code int) Fault {
	return func(_ *Repo, a *Answer) { *a = Answer{Name: a.Name, Status: code} }
}

// Swap sends another file of the repository under this one's name.
func Swap(name string) Fault {
	return func(r *Repo, a *Answer) { a.serve(r.Files[name]) }
}

// Stale sends the file as it was in past, which Past returned earlier.
func Stale(past map[string][]byte) Fault {
	return func(_ *Repo, a *Answer) {
		if data, ok := past[a.Name]; ok {
			a.serve(data)
			return
		}
		*a = Answer{Name: a.Name, Status: http.StatusNotFound}
	}
}

type spoilt struct {
	name  string
	fault Fault
}

func (s spoilt) matches(name string) bool {
	if prefix, ok := strings.CutSuffix(s.name, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return s.name == name
}

// Spoil lets faults happen, in this order, to a file; name may end in * for all files that begin like that: "targets/*", "*". Files
// that do not exist are spoilt too: Status(500) is no 404.
func (r *Repo) Spoil(name string, faults ...Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range faults {
		r.faults = append(r.faults, spoilt{name, f})
	}
}

// Honest ends all faults.
func (r *Repo) Honest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults, r.Fault = nil, nil
}

// body is the answer as it comes in.
func (a *Answer) body(ctx context.Context) io.Reader {
	return &stream{ctx: ctx, a: *a, rest: a.Data}
}

type stream struct {
	ctx  context.Context
	a    Answer
	rest []byte
	sent int64
}

func (s *stream) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if s.a.Length >= 0 && s.sent == s.a.Length {
		return 0, io.EOF
	}
	if len(s.rest) == 0 {
		switch {
		case s.a.Endless:
			s.rest = s.a.Data
		case s.a.Stall:
			<-s.ctx.Done()
			return 0, s.ctx.Err()
		case s.a.Length > s.sent:
			return 0, io.ErrUnexpectedEOF
		default:
			return 0, io.EOF
		}
	}
	if s.a.Every > 0 {
		pause := time.NewTimer(s.a.Every)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
	}
	n := min(len(p), len(s.rest))
	if s.a.Chunk > 0 {
		n = min(n, s.a.Chunk)
	}
	if s.a.Length >= 0 {
		n = int(min(int64(n), s.a.Length-s.sent))
	}
	copy(p, s.rest[:n])
	s.rest, s.sent = s.rest[n:], s.sent+int64(n)
	return n, nil
}
