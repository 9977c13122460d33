// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
)

const content = "0123456789abcdefghij"

// serve starts a loopback server and returns a Source and the URI of the file on it.
func serve(t *testing.T, h http.HandlerFunc) (*httpsource.Source, string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return httpsource.New(nil), s.URL + "/image.bin?token=hidden"
}

// read opens and reads everything.
func read(s *httpsource.Source, uri string, offset, length int64, validator string) (*fetch.Stream, string, error) {
	st, err := s.OpenRange(context.Background(), uri, offset, length, validator)
	if err != nil {
		return nil, "", err
	}
	defer st.Body.Close()
	b, err := io.ReadAll(st.Body)
	return st, string(b), err
}

func TestHonestServer(t *testing.T) {
	var got http.Header
	s, uri := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	})
	for _, test := range []struct {
		offset, length   int64
		validator        string
		want             string
		begins           int64
		wantRange, wantI string
	}{
		{0, 0, "", content, 0, "", ""},
		{0, 0, `"v1"`, content, 0, "", ""},
		{7, 0, `"v1"`, content[7:], 7, "bytes=7-", `"v1"`},
		{7, 0, "", content[7:], 7, "bytes=7-", ""},
		{7, 0, `"v0"`, content, 0, "bytes=7-", `"v0"`},
		{7, 5, `"v1"`, content[7:12], 7, "bytes=7-11", `"v1"`},
		{0, 5, `"v1"`, content[:5], 0, "bytes=0-4", `"v1"`},
		{15, 500, `"v1"`, content[15:], 15, "bytes=15-514", `"v1"`},
	} {
		st, body, err := read(s, uri, test.offset, test.length, test.validator)
		if err != nil {
			t.Fatalf("%+v: %v", test, err)
		}
		if body != test.want || st.Offset != test.begins || st.Size != int64(len(content)) || st.Validator != `"v1"` {
			t.Errorf("%+v: %q from %d of %d, validator %s", test, body, st.Offset, st.Size, st.Validator)
		}
		if got.Get("Range") != test.wantRange || got.Get("If-Range") != test.wantI || got.Get("Accept-Encoding") != "identity" {
			t.Errorf("%+v: sent %v", test, got)
		}
	}
	if _, _, err := read(s, uri, 20, 0, `"v1"`); !errors.Is(err, fetch.ErrRange) {
		t.Errorf("range beyond the end: %v", err)
	}
}

// reply is an answer spelled out: status and header lines, then the body.
func reply(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range header {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestNET_02_WrongRanges(t *testing.T) {
	const tag = `ETag: "v1"`
	for _, test := range []struct {
		name string
		h    http.HandlerFunc
	}{
		{"no content range", reply(206, content[7:], tag)},
		{"begins before", reply(206, content[6:], tag, "Content-Range: bytes 6-19/20")},
		{"begins after", reply(206, content[8:], tag, "Content-Range: bytes 8-19/20")},
		{"ends before it begins", reply(206, "", tag, "Content-Range: bytes 7-6/20")},
		{"ends beyond the size", reply(206, content[7:], tag, "Content-Range: bytes 7-20/20")},
		{"other length", reply(206, content[7:], tag, "Content-Range: bytes 7-18/20")},
		{"other unit", reply(206, content[7:], tag, "Content-Range: chars 7-19/20")},
		{"negative", reply(206, content[7:], tag, "Content-Range: bytes -7-19/20")},
		{"overflow", reply(206, content[7:], tag, "Content-Range: bytes 7-9223372036854775808/*")},
		{"unsatisfied in a 206", reply(206, content[7:], tag, "Content-Range: bytes */20")},
		{"two content ranges", reply(206, content[7:], tag, "Content-Range: bytes 7-19/20", "Content-Range: bytes 0-19/20")},
		{"several parts", reply(206, content[7:], tag, "Content-Range: bytes 7-19/20", "Content-Type: multipart/byteranges; boundary=x")},
		{"another version", reply(206, content[7:], `ETag: "v2"`, "Content-Range: bytes 7-19/20")},
		{"weakly the same version", reply(206, content[7:], `ETag: W/"v1"`, "Content-Range: bytes 7-19/20")},
		{"not satisfiable", reply(416, "", tag, "Content-Range: bytes */20")},
	} {
		s, uri := serve(t, test.h)
		if _, body, err := read(s, uri, 7, 0, `"v1"`); !errors.Is(err, fetch.ErrRange) {
			t.Errorf("%s: %q, %v", test.name, body, err)
		} else if strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	s, uri := serve(t, reply(206, content, tag, "Content-Range: bytes 0-19/20"))
	if _, _, err := read(s, uri, 0, 0, ""); !errors.Is(err, fetch.ErrRange) {
		t.Errorf("206 to a request for the whole: %v", err)
	}
	s, uri = serve(t, reply(206, content[7:], tag, "Content-Range: bytes 7-19/20"))
	if _, _, err := read(s, uri, 7, 5, `"v1"`); !errors.Is(err, fetch.ErrRange) {
		t.Errorf("more than asked for: %v", err)
	}
	// A part that is shorter, or of unknown size, is the beginning of what was asked for.
	s, uri = serve(t, reply(206, content[7:9], "Content-Range: bytes 7-8/*"))
	if st, body, err := read(s, uri, 7, 0, `"v1"`); err != nil || body != content[7:9] || st.Size != -1 || st.Validator != `"v1"` {
		t.Errorf("shorter part: %+v, %q, %v", st, body, err)
	}
}

func TestValidators(t *testing.T) {
	const date = "Mon, 23 Nov 2026 10:00:00 GMT"
	for _, test := range []struct {
		name, tag, modified, want string
	}{
		{"strong tag", `"v1"`, date, `"v1"`},
		{"weak tag", `W/"v1"`, date, ""},
		{"unquoted tag", `v1`, "", ""},
		{"tag with a quote inside", `"v"1"`, "", ""},
		{"empty tag", `""`, "", `""`},
		{"long tag", `"` + strings.Repeat("v", 600) + `"`, "", ""},
		{"old file", "", "Mon, 23 Nov 2026 09:59:59 GMT", "Mon, 23 Nov 2026 09:59:59 GMT"},
		{"file of this second", "", date, ""},
		{"file of the future", "", "Mon, 23 Nov 2026 10:00:01 GMT", ""},
		{"no date", "", "yesterday", ""},
		{"nothing", "", "", ""},
	} {
		s, uri := serve(t, reply(200, content, "ETag: "+test.tag, "Last-Modified: "+test.modified, "Date: "+date))
		st, _, err := read(s, uri, 0, 0, "")
		if err != nil || st.Validator != test.want {
			t.Errorf("%s: %q, %v; want %q", test.name, st.Validator, err, test.want)
		}
	}
}

func TestNET_04_ContentEncoding(t *testing.T) {
	for _, encoding := range []string{"gzip", "br", "zstd", "identity, gzip", "x"} {
		s, uri := serve(t, reply(200, content, "Content-Encoding: "+encoding))
		if _, _, err := read(s, uri, 0, 0, ""); !errors.Is(err, fetch.ErrEncoding) {
			t.Errorf("%s: %v", encoding, err)
		}
	}
	s, uri := serve(t, reply(200, content, "Content-Encoding: identity"))
	if _, body, err := read(s, uri, 0, 0, ""); err != nil || body != content {
		t.Errorf("identity: %q, %v", body, err)
	}
}

func TestNET_08_StatusAndRetryAfter(t *testing.T) {
	const date = "Date: Mon, 23 Nov 2026 10:00:00 GMT"
	for _, test := range []struct {
		status int
		header []string
		class  error
		after  time.Duration
	}{
		{404, nil, fs.ErrNotExist, 0},
		{403, nil, fs.ErrNotExist, 0},
		{401, nil, fetch.ErrRefused, 0},
		{204, nil, fetch.ErrRefused, 0},
		{304, nil, fetch.ErrRefused, 0},
		{416, nil, fetch.ErrRefused, 0},
		{429, []string{"Retry-After: 120"}, fetch.ErrTransport, 2 * time.Minute},
		{503, []string{"Retry-After: 0"}, fetch.ErrTransport, 0},
		{503, []string{"Retry-After: -5"}, fetch.ErrTransport, 0},
		{503, []string{"Retry-After: 99999999999999999999"}, fetch.ErrTransport, 0},
		{503, []string{"Retry-After: 9999999999999"}, fetch.ErrTransport, (1 << 31) * time.Second},
		{503, []string{date, "Retry-After: Mon, 23 Nov 2026 10:01:00 GMT"}, fetch.ErrTransport, time.Minute},
		{503, []string{date, "Retry-After: Mon, 23 Nov 2026 09:00:00 GMT"}, fetch.ErrTransport, 0},
		{503, []string{date, "Retry-After: soon"}, fetch.ErrTransport, 0},
		{500, nil, fetch.ErrTransport, 0},
	} {
		s, uri := serve(t, reply(test.status, "", test.header...))
		_, _, err := read(s, uri, 0, 0, "")
		var status *fetch.StatusError
		if !errors.Is(err, test.class) || !errors.As(err, &status) || status.Status != test.status || status.RetryAfter != test.after {
			t.Errorf("%d %v: %v, %+v", test.status, test.header, err, status)
		}
	}
}

func TestNET_03_LengthsThatLie(t *testing.T) {
	for name, raw := range map[string]string{
		"negative":             "Content-Length: -1\r\n",
		"not a number":         "Content-Length: many\r\n",
		"2^63":                 "Content-Length: 9223372036854775808\r\n",
		"twice, not the same":  "Content-Length: 20\r\nContent-Length: 21\r\n",
		"larger than the body": "Content-Length: 21\r\n",
	} {
		s, uri := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\n%s", raw, content)
		})
		_, body, err := read(s, uri, 0, 0, "")
		if err == nil {
			t.Errorf("%s: %q without an error", name, body)
		} else if body == "" && !errors.Is(err, fetch.ErrTransport) {
			t.Errorf("%s: %v, want ErrTransport", name, err)
		}
	}
}

func TestNET_14_HeaderTooLong(t *testing.T) {
	s, uri := serve(t, reply(200, content, "X: "+strings.Repeat("x", 100<<10)))
	if _, _, err := read(s, uri, 0, 0, ""); !errors.Is(err, fetch.ErrTransport) {
		t.Errorf("got %v", err)
	}
}

func TestNoConnection(t *testing.T) {
	s := httptest.NewServer(reply(200, content))
	uri := s.URL + "/image.bin?token=hidden"
	s.Close()
	if _, _, err := read(httpsource.New(nil), uri, 0, 0, ""); !errors.Is(err, fetch.ErrTransport) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}

func TestURIs(t *testing.T) {
	for _, uri := range []string{"", "image.bin", "file:///etc/passwd", "ftp://x/y", "http://", "http://[::1", "https:opaque"} {
		if _, err := httpsource.New(nil).Open(t.Context(), uri, 0, ""); !errors.Is(err, fetch.ErrResource) {
			t.Errorf("%q: %v", uri, err)
		}
	}
	if _, err := httpsource.New(nil).Open(t.Context(), "http://x/", -1, ""); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("negative offset: %v", err)
	}
}

func TestClientTimeoutDoesNotCutDownloads(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	client := &http.Client{Timeout: time.Nanosecond}
	st, err := httpsource.New(client).Open(t.Context(), s.URL, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	st.Body.Close()
	if client.Timeout != time.Nanosecond || client.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}
