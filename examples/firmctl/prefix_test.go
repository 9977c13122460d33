// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/verify"
)

// A line is a server for one file, over a line with a fault.
type line struct {
	data   []byte
	ranges int           // so many connections, the first ones, serve ranges
	cut    int           // each connection breaks after so many bytes
	once   int           // the first one does
	each   time.Duration // how long 64 KiB take
	opened int
	sent   int64
}

func (s *line) Open(ctx context.Context, _ string, at int64, _ string) (*fetch.Stream, error) {
	if s.opened++; s.opened > s.ranges {
		at = 0
	}
	rest, left := s.data[at:], s.cut
	if s.opened == 1 && s.once > 0 {
		left = s.once
	}
	cuts := left > 0
	return &fetch.Stream{Offset: at, Size: int64(len(s.data)), Validator: `"v"`, Body: io.NopCloser(reading(func(p []byte) (int, error) {
		if cuts && left == 0 {
			return 0, errors.New("connection reset")
		}
		if len(rest) == 0 {
			return 0, io.EOF
		}
		if s.each > 0 {
			select {
			case <-time.After(s.each):
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		n := copy(p[:min(len(p), 64<<10)], rest)
		if cuts {
			n = min(n, left)
		}
		rest, left, s.sent = rest[n:], left-n, s.sent+int64(n)
		return n, nil
	}))}, nil
}

type reading func(p []byte) (int, error)

func (f reading) Read(p []byte) (int, error) { return f(p) }

// wholeOver fetches without chunk digests, on what a part has, and wants the file to be right.
func wholeOver(t *testing.T, s *line, had []byte) (st fetch.Stats, err error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "out")
	put(t, name+".part", had)
	synctest.Test(t, func(t *testing.T) {
		part, errOpen := openPart(name)
		if errOpen != nil {
			t.Fatal(errOpen)
		}
		defer part.Close()
		mirrors, errMirrors := fetch.NewMirrors(s, "x:i") // as fetch has it, with one --url, too
		if errMirrors != nil {
			t.Fatal(errMirrors)
		}
		f, errNew := fetch.New(fetch.Options{Source: &prefix{Source: mirrors, uri: "x:i", part: part, size: int64(len(s.data))}})
		if errNew != nil {
			t.Fatal(errNew)
		}
		res := fetch.Resource{URI: "x:i", Size: int64(len(s.data)), Digest: verify.Sum(verify.SHA256, s.data)}
		if st, err = f.Fetch(t.Context(), res, part); err == nil {
			err = readBack(part, res)
		}
	})
	t.Logf("%d bytes sent, %d connections, error %v, %+v", s.sent, s.opened, err, st)
	return st, err
}

// What an earlier connection brought is in the part, and no waste of traffic, however often the line breaks.
func TestWholeGoesOnAfterCuts(t *testing.T) {
	s := &line{data: bytes.Repeat([]byte("firmware"), 8<<20), ranges: 1000, cut: 1 << 20} // 64 MiB
	st, err := wholeOver(t, s, nil)
	if err != nil || st.Discarded != 0 || s.sent != int64(len(s.data)) {
		t.Errorf("%v; %d bytes sent and %d discarded, want %d and none", err, s.sent, st.Discarded, len(s.data))
	}
}

// A server without ranges sends again what the part has. While it does, the line is not idle.
func TestWholeOverServerWithoutRanges(t *testing.T) {
	s := &line{data: noise(1, 4<<20), each: time.Second}
	if _, err := wholeOver(t, s, s.data[:3<<20]); err != nil {
		t.Error(err)
	}
	s = &line{data: noise(1, 4<<20)}
	if _, err := wholeOver(t, s, noise(2, 3<<20)); err != nil || s.sent != int64(len(s.data)) {
		t.Errorf("another version in the part: %v, %d bytes sent", err, s.sent)
	}
	s = &line{data: noise(1, 4<<20), ranges: 1, once: 1 << 19}
	if _, err := wholeOver(t, s, noise(2, 3<<20)); err != nil {
		t.Errorf("another version in the part, and ranges no more: %v", err)
	}
	s = &line{data: noise(1, 16<<20), cut: 15 << 20}
	st, err := wholeOver(t, s, s.data[:14<<20])
	if err == nil || st.Discarded < s.sent-int64(len(s.data)) {
		t.Errorf("%v; %d bytes sent in vain, %d counted", err, s.sent, st.Discarded)
	}
}
