// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
)

// web answers requests by URI without a network: a location to redirect to, or content.
type web struct {
	locations map[string]string
	seen      []*http.Request
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	w.seen = append(w.seen, r)
	resp := &http.Response{StatusCode: 200, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(content)), ContentLength: int64(len(content))}
	if to, ok := w.locations[r.URL.String()]; ok {
		resp.StatusCode = 302
		resp.Header.Set("Location", to)
	}
	return resp, nil
}

func TestNET_05_Redirects(t *testing.T) {
	chain := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m["https://fw.example/"+strconv.Itoa(i)] = "https://fw.example/" + strconv.Itoa(i+1)
		}
		return m
	}
	for _, test := range []struct {
		name      string
		from      string
		locations map[string]string
		ok        bool
	}{
		{"to another host", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://cdn.example/x"}, true},
		{"http to https", "http://fw.example/0", map[string]string{"http://fw.example/0": "https://fw.example/x"}, true},
		{"10 deep", "https://fw.example/0", chain(10), true},
		{"11 deep", "https://fw.example/0", chain(11), false},
		{"loop", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://fw.example/0"}, false},
		{"https to http", "https://fw.example/0", map[string]string{"https://fw.example/0": "http://fw.example/0"}, false},
		{"to a file", "https://fw.example/0", map[string]string{"https://fw.example/0": "file:///etc/passwd"}, false},
		{"with credentials", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://u:secret@fw.example/1"}, false},
		{"to loopback", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://127.0.0.1/x"}, false},
		{"to loopback by name", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://localhost:8/x"}, false},
		{"to loopback in IPv6", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://[::1]/x"}, false},
		{"to loopback in mapped IPv4", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://[::ffff:127.0.0.1]/x"}, false},
		{"to this host in mapped IPv4", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://[::ffff:0.0.0.0]/x"}, false},
		{"to a cloud's metadata", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://169.254.169.254/latest"}, false},
		{"to a private address", "https://fw.example/0", map[string]string{"https://fw.example/0": "https://10.0.0.1/x"}, false},
		{"within a private network", "https://10.0.0.1/0", map[string]string{"https://10.0.0.1/0": "https://10.0.0.2/x"}, true},
	} {
		w := &web{locations: test.locations}
		_, body, err := read(httpsource.New(&http.Client{Transport: w}), test.from, 0, 0, "")
		if test.ok && (err != nil || body != content) || !test.ok && !errors.Is(err, fetch.ErrRedirect) {
			t.Errorf("%s: %q, %v", test.name, body, err)
		}
		if err != nil && (errors.Is(err, fetch.ErrTransport) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestNET_05_NothingSecretFollowsARedirect(t *testing.T) {
	const from = "https://u:secret@fw.example/0?token=hidden"
	w := &web{locations: map[string]string{from: "https://cdn.example/x"}}
	if _, _, err := read(httpsource.New(&http.Client{Transport: w}), from, 7, 0, `"v1"`); err != nil {
		t.Fatal(err)
	}
	last := w.seen[len(w.seen)-1]
	if last.Header.Get("Authorization") != "" || last.Header.Get("Referer") != "" {
		t.Errorf("redirected request carries %v", last.Header)
	}
	if last.Header.Get("Range") != "bytes=7-" || last.Header.Get("If-Range") != `"v1"` || last.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("redirected request lost its question: %v", last.Header)
	}
}

func TestNET_05_ClientsOwnPolicy(t *testing.T) {
	w := &web{locations: map[string]string{"https://fw.example/0": "https://cdn.example/x"}}
	own := errors.New("not there")
	client := &http.Client{Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return own }}
	if _, _, err := read(httpsource.New(client), "https://fw.example/0", 0, 0, ""); !errors.Is(err, fetch.ErrRedirect) || !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
}
