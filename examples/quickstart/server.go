// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strings"
	"sync"
)

// A badServer serves a repository and misbehaves on request. Everything it can do, a broken network or the thief of a
// server can do as well.
type badServer struct {
	mu      sync.Mutex
	handler http.Handler
	payload string // path of the payload that trouble is made with
	cut     int64  // cut the connection once after so many bytes of the payload; 0: no
	hang    int64  // stop sending for good after so many bytes of the payload; 0: no
	hung    chan struct{}
	flip    int64 // flip the byte at this offset of the payload; -1: no
	sent    int64 // payload bytes sent since the last set
}

// set replaces the server's behaviour.
func (s *badServer) set(change func(*badServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut, s.hang, s.flip, s.sent, s.hung = 0, 0, -1, 0, make(chan struct{})
	change(s)
}

// sentSoFar returns how many bytes of the payload left the server since the last set.
func (s *badServer) sentSoFar() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

func (s *badServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	h, trouble := s.handler, s.payload != "" && r.URL.Path == "/"+s.payload
	s.mu.Unlock()
	if trouble {
		w = &badWriter{ResponseWriter: w, s: s, r: r}
	}
	h.ServeHTTP(w, r)
}

// badWriter makes trouble with one answer.
type badWriter struct {
	http.ResponseWriter
	s      *badServer
	r      *http.Request
	offset int64 // position in the payload
	begun  bool
}

func (w *badWriter) WriteHeader(code int) {
	w.begun = true
	if v := w.Header().Get("Content-Range"); code == http.StatusPartialContent {
		w.offset = rangeStart(v)
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *badWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	w.s.mu.Lock()
	cut, hang, flip, hung := w.s.cut, w.s.hang, w.s.flip, w.s.hung
	w.s.mu.Unlock()
	end := w.offset + int64(len(p))
	if flip >= w.offset && flip < end {
		p = append([]byte(nil), p...)
		p[flip-w.offset] ^= 1
	}
	if cut > 0 && end > cut {
		w.send(p[:max(0, cut-w.offset)])
		w.s.mu.Lock()
		w.s.cut = 0 // once
		w.s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	if hang > 0 && end > hang {
		w.send(p[:max(0, hang-w.offset)])
		close(hung)
		<-w.r.Context().Done() // the client goes away when it is killed
		panic(http.ErrAbortHandler)
	}
	return w.send(p)
}

func (w *badWriter) send(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.offset += int64(n)
	w.s.mu.Lock()
	w.s.sent += int64(n)
	w.s.mu.Unlock()
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	return n, err
}

// rangeStart reads the first number of "bytes 123-456/789".
func rangeStart(v string) int64 {
	var n int64
	for _, c := range strings.TrimPrefix(v, "bytes ") {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
