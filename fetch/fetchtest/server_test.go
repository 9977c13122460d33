// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetchtest_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/fetchtest"
	"github.com/firmament-dev/firmament/fetch/httpsource"
)

// An honest Server is an honest source, in both versions of HTTP.
func TestServerIsHonest(t *testing.T) {
	for name, client := range map[string]func(*fetchtest.Server, testing.TB) *http.Client{
		"HTTP/1.1": (*fetchtest.Server).Client, "HTTP/2": (*fetchtest.Server).ClientHTTP2,
	} {
		t.Run(name, func(t *testing.T) {
			fetchtest.TestSource(t, func(t *testing.T, data []byte) (fetch.Source, string, string) {
				s := fetchtest.NewServer()
				s.Put("/file", data)
				return httpsource.New(client(s, t)), "http://fw.example/file", "http://fw.example/none"
			})
		})
	}
}

// A script is played once, then Always, and the log tells what left.
func TestServerScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fetchtest.NewServer()
		s.Put("/file", bytes.Repeat([]byte("x"), 100))
		s.Script("/file", nil, fetchtest.Cut(60))
		s.Always("/file", fetchtest.Status(503, "Retry-After: 7"))
		client := s.Client(t)
		for i, want := range []struct {
			status, bytes int
			err           error
		}{{200, 100, nil}, {200, 60, io.ErrUnexpectedEOF}, {503, 0, nil}, {503, 0, nil}} {
			resp, err := client.Get("https://any.example/file")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			log := s.Requests("/file")
			if len(body) != want.bytes || err != want.err || log[i].Status != want.status || log[i].Bytes != int64(want.bytes) || log[i].Proto != 1 {
				t.Errorf("request %d: %d bytes, %v, logged %+v; want %+v", i, len(body), err, log[i], want)
			}
		}
		if s.Sent("") != 160 || s.Sent("/other") != 0 {
			t.Errorf("%d bytes sent, want 160", s.Sent(""))
		}
	})
}

// A stall of half a minute costs a test no time.
func TestExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fetchtest.NewServer()
		server.Put("/version", []byte("1.2.3"))
		server.Script("/version", fetchtest.Stall(3)) // the first request; after it the server is honest

		source := httpsource.New(server.Client(t))
		remote, err := fetch.NewRemote(fetch.Options{Source: source}, "https://fw.example/")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		got, err := remote.Get(t.Context(), "version", 100)
		if err != nil || string(got) != "1.2.3" || len(server.Requests("/version")) != 2 {
			t.Errorf("%q, %v after %d requests", got, err, len(server.Requests("")))
		}
		if d := time.Since(start); d < 30*time.Second || d > 32*time.Second {
			t.Errorf("took %v, want the idle timeout and a pause", d)
		}
	})
}
