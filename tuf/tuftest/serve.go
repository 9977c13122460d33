// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuftest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Get serves Files; it is the Remote of tuf/client. It gives up after Patience.
func (r *Repo) Get(ctx context.Context, name string, max int64) ([]byte, error) {
	a := r.answer(name)
	data, err := r.get(ctx, name, max, a)
	if r.Fault != nil {
		data, err = r.Fault(name, bytes.Clone(data), err)
	}
	return bytes.Clone(data), err
}

func (r *Repo) get(ctx context.Context, name string, max int64, a *Answer) ([]byte, error) {
	if a.Status == http.StatusOK && a.whole() && r.Fault != nil && ctx.Err() == nil {
		return a.Data, nil // however long: Fault may shorten it
	}
	b, err := r.open(ctx, name, a)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	data, err := io.ReadAll(io.LimitReader(b, max+1))
	if err == nil && int64(len(data)) > max {
		err = tooLong(max)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	return data, nil
}

func (r *Repo) open(ctx context.Context, name string, a *Answer) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		err := fmt.Errorf("get %s: status %d", name, a.Status)
		if a.Status == http.StatusNotFound {
			err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
		}
		return nil, err
	}
	patience := r.Patience
	if patience == 0 {
		patience = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	return &body{a.body(ctx), cancel}, nil
}

// Streaming is a Repo that is a client.Streamer, too: files come in pieces, so that a fault can happen when some have been used.
type Streaming struct{ *Repo }

// Open serves Files from their beginning. Reading gives up when Patience has passed since.
func (s Streaming) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.open(ctx, name, s.answer(name))
}

// tooLong is the error of a file that is longer than asked for.
type tooLong int64

func (e tooLong) Error() string { return fmt.Sprintf("more than %d bytes", int64(e)) }

func (tooLong) TooLong() bool { return true }

// answer is what goes out for a request, after the faults.
func (r *Repo) answer(name string) *Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Requests = append(r.Requests, name)
	a := &Answer{Name: name, Status: http.StatusNotFound}
	if data, ok := r.Files[name]; ok {
		a.serve(data)
	}
	for _, s := range r.faults {
		if s.matches(name) {
			s.fault(r, a)
		}
	}
	return a
}

// RoundTrip answers a request as a web server would, without a network. It makes a Repo an http.RoundTripper.
func (r *Repo) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(req.Context())
	a := r.answer(requested(req.URL))
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	a.part(req.Header, header)
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)), StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: a.Length, Request: req,
		Body: &body{a.body(ctx), cancel},
	}
	if req.Method == http.MethodHead {
		_ = resp.Body.Close()
		resp.Body = http.NoBody
	}
	if a.Length >= 0 {
		resp.Header.Set("Content-Length", fmt.Sprint(a.Length))
	}
	return resp, nil
}

// part names the version of a file, and leaves out its beginning if that is asked for, of the same version.
func (a *Answer) part(req, resp http.Header) {
	if a.Status != http.StatusOK || a.Endless {
		return
	}
	etag := fmt.Sprintf(`"%x"`, a.version)
	resp.Set("ETag", etag)
	var from int64
	if n, err := fmt.Sscanf(req.Get("Range"), "bytes=%d-", &from); n != 1 || err != nil || from < 0 || from >= a.Length {
		return
	}
	if same := req.Get("If-Range"); same != "" && same != etag {
		return
	}
	resp.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, a.Length-1, a.Length))
	a.Status, a.Length, a.Data = http.StatusPartialContent, a.Length-from, a.Data[min(from, int64(len(a.Data))):]
}

// body ends what still waits when it is closed.
type body struct {
	io.Reader
	cancel context.CancelFunc
}

func (b *body) Close() error {
	b.cancel()
	return nil
}

// ServeHTTP answers like RoundTrip, over a real connection, which breaks where the answer does.
func (r *Repo) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	resp, err := r.RoundTrip(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	flush := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			_ = flush.Flush()
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// requested is the name that a URL stands for: names of metadata are escaped already, those of targets are not.
func requested(u *url.URL) string {
	path := u.EscapedPath()
	if i := strings.LastIndex(path, "/metadata/"); i >= 0 {
		return path[i+1:]
	}
	if _, target, ok := strings.Cut(u.Path, "/targets/"); ok {
		return "targets/" + target
	}
	return strings.TrimPrefix(path, "/")
}
