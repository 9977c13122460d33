// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
)

// versioned is a server of one file, whose connections break after so many bytes.
type versioned struct {
	data     []byte
	tag      string
	breaks   int // bytes after which an answer breaks off, 0 for never
	requests []string
	sent     int
}

func (v *versioned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.requests = append(v.requests, fmt.Sprint(r.Header.Get("Range"), " ", r.Header.Get("If-None-Match")))
	if v.tag != "" {
		w.Header().Set("ETag", v.tag)
	}
	http.ServeContent(&cutWriter{w, v, v.breaks}, r, "", time.Time{}, bytes.NewReader(v.data))
}

type cutWriter struct {
	http.ResponseWriter
	v    *versioned
	left int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if c.v.breaks > 0 && len(p) > c.left {
		n, _ := c.ResponseWriter.Write(p[:c.left])
		c.v.sent += n
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	n, err := c.ResponseWriter.Write(p)
	c.v.sent += n
	c.left -= n
	return n, err
}

func remoteOf(t *testing.T, v *versioned) *fetch.Remote {
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	r, err := fetch.NewRemote(fetch.Options{Source: httpsource.New(nil), Backoff: time.Millisecond, MaxBackoff: time.Millisecond}, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A file that has not changed is not sent again; one that has is.
func TestRemoteGetUnless(t *testing.T) {
	v := &versioned{data: []byte("one"), tag: `"v1"`}
	r := remoteOf(t, v)
	data, version, err := r.GetUnless(t.Context(), "a/b.json", 10, "")
	if err != nil || string(data) != "one" || version != `"v1"` {
		t.Fatalf("%q, %q, %v", data, version, err)
	}
	v.sent = 0
	if data, _, err := r.GetUnless(t.Context(), "a/b.json", 10, version); !errors.Is(err, fetch.ErrUnchanged) || data != nil || v.sent != 0 {
		t.Errorf("unchanged: %q, %v, %d bytes sent", data, err, v.sent)
	}
	v.data, v.tag = []byte("two"), `"v2"`
	if data, version, err = r.GetUnless(t.Context(), "a/b.json", 10, version); err != nil || string(data) != "two" || version != `"v2"` {
		t.Errorf("changed: %q, %q, %v", data, version, err)
	}
	v.tag = `W/"v2"`
	if data, version, err = r.GetUnless(t.Context(), "a/b.json", 10, `W/"v2"`); err != nil || string(data) != "two" || version != "" {
		t.Errorf("weak: %q, %q, %v", data, version, err)
	}
	if len(v.requests) != 4 {
		t.Errorf("requests %q", v.requests)
	}
}

// A stream goes on where a connection broke, if the file is still the same.
func TestRemoteOpen(t *testing.T) {
	v := &versioned{data: bytes.Repeat([]byte("0123456789"), 50000), tag: `"v1"`, breaks: 150000}
	r := remoteOf(t, v)
	s, err := r.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(data, v.data) || len(v.requests) < 4 || v.sent > len(v.data)+4*150000 {
		t.Errorf("%d bytes, %v, %q", len(data), err, v.requests)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(){"changed": func() { v.tag = `"v2"` }, "nameless": func() { v.tag = "" }} {
		v.tag = `"v1"`
		if what == "nameless" {
			v.tag = ""
		}
		s, err := r.Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		change()
		if _, err := io.ReadAll(s); !errors.Is(err, fetch.ErrRange) {
			t.Errorf("%s: %v, want ErrRange", what, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Open(t.Context(), "../a"); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("path: %v", err)
	}
}
