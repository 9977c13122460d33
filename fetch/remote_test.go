// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

func TestRemoteGet(t *testing.T) {
	const base = "https://repo.example/a%20b/?token=hidden"
	src := &server{files: map[string]file{
		"https://repo.example/a%20b/timestamp.json?token=hidden":    {[]byte("hello"), ""},
		"https://repo.example/a%20b/fw/50%25%20off%3F?token=hidden": {[]byte("x"), ""},
		"https://repo.example/a%20b/empty?token=hidden":             {nil, ""},
	}}
	remote, err := fetch.NewRemote(fetch.Options{Source: src}, base)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		limit int64
		want  string
		err   error
	}{
		{"timestamp.json", 100, "hello", nil},
		{"timestamp.json", 5, "hello", nil},
		{"timestamp.json", 4, "", fetch.ErrSize},
		{"timestamp.json", 0, "", fetch.ErrSize},
		{"empty", 0, "", nil},
		{"fw/50% off?", 5, "x", nil},
		{"absent.json", 5, "", fs.ErrNotExist},
		{"../timestamp.json", 5, "", fetch.ErrResource},
		{"/timestamp.json", 5, "", fetch.ErrResource},
		{".", 5, "", fetch.ErrResource},
		{"", 5, "", fetch.ErrResource},
		{"timestamp.json", -1, "", fetch.ErrResource},
	} {
		for _, announced := range []bool{true, false} {
			remote := remote
			if !announced {
				if remote, err = fetch.NewRemote(fetch.Options{Source: unsized{src}}, base); err != nil {
					t.Fatal(err)
				}
			}
			got, err := remote.Get(t.Context(), test.name, test.limit)
			if string(got) != test.want || !errors.Is(err, test.err) {
				t.Errorf("Get(%q, %d) = %q, %v; want %q, %v", test.name, test.limit, got, err, test.want, test.err)
			}
			var long interface{ TooLong() bool }
			if is := errors.As(err, &long) && long.TooLong(); is != (test.err == fetch.ErrSize) {
				t.Errorf("Get(%q, %d): TooLong is %v", test.name, test.limit, is)
			}
		}
	}
	for _, base := range []string{"", "metadata", "http://[::1"} {
		if _, err := fetch.NewRemote(fetch.Options{Source: src}, base); !errors.Is(err, fetch.ErrResource) {
			t.Errorf("base %q: %v", base, err)
		}
	}
}

// unsized announces no size.
type unsized struct{ s *server }

func (u unsized) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	st, err := u.s.Open(ctx, uri, offset, validator)
	if err == nil {
		st.Size = -1
	}
	return st, err
}

func TestNET_07_RemoteStallsAndRetries(t *testing.T) {
	const name = "https://repo.example/timestamp.json"
	for _, broken := range []func(ctx context.Context) io.Reader{
		func(ctx context.Context) io.Reader { return silent{ctx} },
		func(ctx context.Context) io.Reader { return bytes.NewReader([]byte("hel")) }, // ends early
	} {
		synctest.Test(t, func(t *testing.T) {
			src := &server{files: map[string]file{name: {[]byte("hello"), ""}}}
			faults := 3
			src.body = func(ctx context.Context, n int, _ request, _ []byte) io.Reader {
				if n < faults {
					return broken(ctx)
				}
				return nil
			}
			remote, err := fetch.NewRemote(fetch.Options{Source: src, Retries: 3}, "https://repo.example/")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := remote.Get(t.Context(), "timestamp.json", 10); err != nil || string(got) != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
			faults = 1000
			_, err = remote.Get(t.Context(), "timestamp.json", 10)
			if !errors.Is(err, fetch.ErrTransport) || len(src.requests) != 8 {
				t.Errorf("%v after %d requests", err, len(src.requests))
			}
			var timeout interface{ Timeout() bool }
			if errors.Is(err, fetch.ErrStalled) != (errors.As(err, &timeout) && timeout.Timeout()) {
				t.Errorf("%v: Timeout and ErrStalled disagree", err)
			}
		})
	}
}

// A server that drips is not waited for: what a connection brings below MinRate is no progress, however long it goes on.
func TestNET_07_RemoteStreamDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote, err := fetch.NewRemote(fetch.Options{Source: dripping{}}, "https://repo.example/")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		stream, err := remote.Open(t.Context(), "targets.json")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		n, err := io.Copy(io.Discard, stream)
		if took := time.Since(began); !errors.Is(err, fetch.ErrStalled) || took > time.Hour {
			t.Errorf("%d bytes in %v: %v, want ErrStalled within an hour", n, took, err)
		}
	})
}

// dripping sends one byte every five seconds.
type dripping struct{}

func (dripping) Open(ctx context.Context, _ string, offset int64, _ string) (*fetch.Stream, error) {
	rest := make([]byte, 4096-offset)
	return &fetch.Stream{Body: io.NopCloser(&drip{ctx, rest, 5 * time.Second}), Size: 4096, Offset: offset, Validator: "v"}, nil
}
