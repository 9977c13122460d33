// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetchtest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Server is an http.Handler that serves files as a good web server does (strong ETag, single byte ranges, If-Range),
// except where a [Trick] says otherwise. It logs every request and the bytes that left for it. Use it behind any listener, or
// through [Server.Client], which needs no network and works in a testing/synctest bubble, where a stall costs no time.
// Safe for concurrent use.
type Server struct {
	mu     sync.Mutex
	files  map[string]File
	script map[string][]Trick
	always map[string]Trick
	log    []*Request
}

// A File is what the server has under a path.
type File struct {
	Data []byte // not changed by the server
	ETag string // with its quotes; "" if the answers carry none
}

// A Request is one request and what became of it.
type Request struct {
	Method string
	Host   string
	Path   string
	Header http.Header // Range and If-Range among others
	Proto  int         // 1 or 2: the major version of HTTP
	Status int         // of the answer; 0 if none was given
	Bytes  int64       // of the answer's body that left the handler
	Answer http.Header // of the answer; nil for a Raw one
}

// NewServer returns a Server without files.
func NewServer() *Server {
	return &Server{files: map[string]File{}, script: map[string][]Trick{}, always: map[string]Trick{}}
}

// Put makes data the file at path, under an ETag of its content.
func (s *Server) Put(path string, data []byte) {
	s.PutFile(path, File{Data: data, ETag: contentTag(data)})
}

// PutFile makes f the file at path.
func (s *Server) PutFile(path string, f File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = f
}

func contentTag(data []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(data))[:18] + `"` }

// Script sets what the next requests for path meet, one trick for each; nil is an honest answer. After the last of them comes what
// Always set, or honesty. The script replaces an earlier one.
func (s *Server) Script(path string, tricks ...Trick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script[path] = slices.Clone(tricks)
}

// Always sets what every request for path meets that no script is left for; nil is an honest answer.
func (s *Server) Always(path string, trick Trick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always[path] = trick
}

// Requests returns the log for path, or of everything if path is "".
func (s *Server) Requests(path string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var log []Request
	for _, r := range s.log {
		if path == "" || r.Path == path {
			log = append(log, *r)
		}
	}
	return log
}

// Sent returns how many bytes of bodies left for path, or in all if path is "".
func (s *Server) Sent(path string) (n int64) {
	for _, r := range s.Requests(path) {
		n += r.Bytes
	}
	return n
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	path := r.URL.Path
	seen := &Request{Method: r.Method, Host: r.Host, Path: path, Header: r.Header.Clone(), Proto: r.ProtoMajor}
	s.log = append(s.log, seen)
	trick := s.always[path]
	if rest := s.script[path]; len(rest) > 0 {
		trick, s.script[path] = rest[0], rest[1:]
	}
	f, ok := s.files[path]
	a := &Answer{Request: r, File: f, missing: !ok, put: func(f File) { s.PutFile(path, f) }}
	s.mu.Unlock()
	a.Honest()
	if trick != nil {
		trick(a)
	}
	s.mu.Lock()
	if a.Raw == nil {
		seen.Answer = a.Header.Clone()
	}
	s.mu.Unlock()
	a.send(w, func(status, n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if status != 0 {
			seen.Status = status
		}
		seen.Bytes += int64(n)
	})
}

// An Answer is what the server is about to say. A Trick may change any field.
type Answer struct {
	Request *http.Request // as it arrived
	File    File          // at its path

	Status int
	Header http.Header // of the answer; without Content-Length the body comes in chunks
	Body   []byte

	Delay time.Duration // before the header
	Piece int           // if not 0, the body goes out in pieces of so many bytes,
	Every time.Duration // one at a time
	Left  int           // bytes of the body that go out before Then; -1: all of them
	Then  Ending
	Raw   []byte // if not nil, all that is written to the connection, which is then closed; HTTP/1 only

	missing bool
	put     func(File)
}

// An Ending is what happens when the bytes of an answer have left.
type Ending int

const (
	Ends    Ending = iota // the answer is complete, or as complete as its header lets it be
	HangsUp               // the connection breaks
	Hangs                 // nothing more is sent until the client goes away
)

// Honest makes a what a good server answers to a.Request about a.File.
func (a *Answer) Honest() {
	a.Header, a.Left, a.Then = http.Header{}, -1, Ends
	if a.missing {
		a.Status, a.Body = http.StatusNotFound, []byte("not found\n")
		return
	}
	a.Header.Set("Accept-Ranges", "bytes")
	a.Header.Set("Content-Type", "application/octet-stream")
	if a.File.ETag != "" {
		a.Header.Set("ETag", a.File.ETag)
	}
	a.Status, a.Body = http.StatusOK, a.File.Data
	size := len(a.File.Data)
	if first, last, ok := a.asked(); ok {
		if first >= size {
			a.Status, a.Body = http.StatusRequestedRangeNotSatisfiable, nil
			a.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		} else {
			a.Part(first, last)
		}
	}
	a.length()
}

// Part makes a the bytes from first to last, and lets it say so.
func (a *Answer) Part(first, last int) {
	a.Status, a.Body = http.StatusPartialContent, a.File.Data[first:last+1]
	a.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(a.File.Data)))
	a.length()
}

func (a *Answer) length() { a.Header.Set("Content-Length", strconv.Itoa(len(a.Body))) }

// asked returns the single range that the request is for, if If-Range does not undo it.
func (a *Answer) asked() (first, last int, ok bool) {
	if v := a.Request.Header.Get("If-Range"); v != "" && v != a.File.ETag {
		return 0, 0, false
	}
	from, to, ok := strings.Cut(strings.TrimPrefix(a.Request.Header.Get("Range"), "bytes="), "-")
	first, err := strconv.Atoi(from)
	if !ok || err != nil || first < 0 {
		return 0, 0, false
	}
	last = len(a.File.Data) - 1
	if n, err := strconv.Atoi(to); err == nil {
		if n < first {
			return 0, 0, false
		}
		last = min(n, last)
	}
	return first, last, true
}

// begins is where in the file an honest body begins.
func (a *Answer) begins() int {
	first, _, _ := a.asked()
	return first
}

// send plays the answer. note is told the status once, and the bytes that left.
func (a *Answer) send(w http.ResponseWriter, note func(status, n int)) {
	gone := a.Request.Context().Done()
	if a.Delay > 0 {
		select {
		case <-time.After(a.Delay):
		case <-gone:
			return
		}
	}
	control := http.NewResponseController(w)
	if a.Raw != nil {
		conn, _, err := control.Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		left := make(chan struct{})
		go func() { // nobody else watches a hijacked connection
			io.Copy(io.Discard, conn)
			close(left)
		}()
		a.pieces(a.Raw, conn, func() {}, left, note)
		return
	}
	header := w.Header()
	for name, values := range a.Header {
		header[name] = values
	}
	note(a.Status, 0)
	w.WriteHeader(a.Status)
	if a.Header.Get("Content-Length") == "" {
		control.Flush() // or net/http would count a short body
	}
	body := a.Body
	if a.Left >= 0 {
		body = body[:min(a.Left, len(body))]
	}
	if !a.pieces(body, w, func() { control.Flush() }, gone, note) {
		return
	}
	if a.Then == Ends || len(body) == len(a.Body) && a.Header.Get("Content-Length") != "" {
		return // what the client has is complete: it may ask for more on this connection
	}
	control.Flush()
	if a.Then == Hangs {
		<-gone
	}
	panic(http.ErrAbortHandler)
}

// pieces writes p as Piece and Every say. It reports whether all of it left.
func (a *Answer) pieces(p []byte, w io.Writer, flush func(), gone <-chan struct{}, note func(status, n int)) bool {
	piece := a.Piece
	if piece <= 0 {
		piece = 32 << 10
	}
	for part := range slices.Chunk(p, piece) {
		n, err := w.Write(part)
		note(0, n)
		if err != nil {
			return false
		}
		if a.Every > 0 {
			flush()
			select {
			case <-time.After(a.Every):
			case <-gone:
				return false
			}
		}
	}
	return true
}
