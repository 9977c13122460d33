// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// served are the folders of a repository that are for devices.
var served = []string{"metadata", "targets", "payloads", "suit"}

// Handler serves the files of a repository folder as any web server does: ranges, and strong entity tags for files that
// never change under their name. It lists no directory, follows no link out of dir, and serves nothing that is being signed or belongs to the
// publisher. Nothing that it serves needs to be believed.
func Handler(dir string) (http.Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	files := http.FileServerFS(root.FS())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		folder, _, _ := strings.Cut(strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/"), "/")
		if strings.HasSuffix(r.URL.Path, "/") || !slices.Contains(served, folder) {
			http.NotFound(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/payloads/") {
			// The name is the digest of the content, so it serves as a strong validator.
			w.Header().Set("ETag", `"`+path.Base(r.URL.Path)+`"`)
		}
		files.ServeHTTP(w, r)
	}), nil
}

// Logged serves h and prints a line for each request when it is answered: time, method, path, status, and how many bytes of the file, from where on.
func Logged(h http.Handler, out io.Writer, now func() time.Time) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := &logged{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			from := ""
			if v := r.Header.Get("Range"); l.status == http.StatusPartialContent {
				from = " (" + printable(v) + ")"
			}
			fmt.Fprintf(out, "%s %s %s %d, %d bytes%s\n", now().Format("15:04:05"), printable(r.Method), printable(r.URL.Path), l.status, l.bytes, from)
		}()
		h.ServeHTTP(l, r)
	})
}

// printable is what a client sent, in a form that does nothing to a terminal.
func printable(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
}

type logged struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (l *logged) WriteHeader(status int) {
	l.status = status
	l.ResponseWriter.WriteHeader(status)
}

func (l *logged) Write(p []byte) (int, error) {
	n, err := l.ResponseWriter.Write(p)
	l.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (l *logged) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// Server returns a server for h with every limit set.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Hour, // a large image over a slow link
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

// Serve serves h on l until ctx is done.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := Server(h)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		err := s.Close()
		if serr := <-done; !errors.Is(serr, http.ErrServerClosed) {
			err = errors.Join(err, serr)
		}
		return err
	}
}
