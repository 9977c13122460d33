// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package fetchtest has what tests of downloads need: [TestSource], the contract test for a fetch.Source of your own, and
// [Server], a web server that lies, stalls and breaks off on command, for testing whatever downloads from one.
package fetchtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
)

// A Setup returns a source that serves data at uri, honestly, and nothing at absent. It cleans up with t.Cleanup.
type Setup func(t *testing.T, data []byte) (source fetch.Source, uri, absent string)

// TestSource checks a Source, and a RangeSource if it is one. Each check is a subtest with a setup of its own.
func TestSource(t *testing.T, setup Setup) {
	data := make([]byte, 100_003)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	for _, check := range []struct {
		name string
		run  func(t *testing.T, s fetch.Source, uri, absent string, data []byte)
	}{
		{"Whole", whole}, {"Offset", offset}, {"Range", ranges}, {"Absent", missing}, {"Validator", validator}, {"Cancelled", cancelled}, {"Concurrent", concurrent},
	} {
		t.Run(check.name, func(t *testing.T) {
			s, uri, absent := setup(t, data)
			check.run(t, s, uri, absent, data)
		})
	}
}

// read opens and reads, and checks what a Stream says of itself.
func read(t *testing.T, s fetch.Source, uri string, offset, length int64, validator string, data []byte) []byte {
	t.Helper()
	var st *fetch.Stream
	var err error
	if r, ok := s.(fetch.RangeSource); ok && length > 0 {
		st, err = r.OpenRange(t.Context(), uri, offset, length, validator)
	} else {
		st, err = s.Open(t.Context(), uri, offset, validator)
	}
	if err != nil {
		t.Errorf("open at %d: %v", offset, err)
		return nil
	}
	defer st.Body.Close()
	if st.Size != -1 && st.Size != int64(len(data)) {
		t.Errorf("stream of a file of %d bytes says %d, want that or -1", len(data), st.Size)
	}
	if st.Offset != offset && st.Offset != 0 {
		t.Errorf("stream begins at %d, want %d or 0", st.Offset, offset)
		return nil
	}
	b, err := io.ReadAll(st.Body)
	if err != nil {
		t.Errorf("read from %d: %v", offset, err)
	}
	return b[min(offset-st.Offset, int64(len(b))):]
}

func whole(t *testing.T, s fetch.Source, uri, _ string, data []byte) {
	if got := read(t, s, uri, 0, 0, "", data); !bytes.Equal(got, data) {
		t.Errorf("%d bytes, want the %d of the file", len(got), len(data))
	}
}

func offset(t *testing.T, s fetch.Source, uri, _ string, data []byte) {
	for _, at := range []int64{1, 4096, int64(len(data)) - 1} {
		if got := read(t, s, uri, at, 0, "", data); !bytes.Equal(got, data[at:]) {
			t.Errorf("from %d: %d bytes, want the last %d of the file", at, len(got), int64(len(data))-at)
		}
	}
}

func ranges(t *testing.T, s fetch.Source, uri, _ string, data []byte) {
	if _, ok := s.(fetch.RangeSource); !ok {
		t.Skip("not a fetch.RangeSource")
	}
	for _, r := range [][2]int64{{0, 1}, {5, 4096}, {int64(len(data)) - 7, 7}} {
		if got := read(t, s, uri, r[0], r[1], "", data); !bytes.HasPrefix(got, data[r[0]:r[0]+r[1]]) {
			t.Errorf("%d bytes from %d: others, or fewer", r[1], r[0])
		}
	}
}

func missing(t *testing.T, s fetch.Source, _, absent string, _ []byte) {
	st, err := s.Open(t.Context(), absent, 0, "")
	if err == nil {
		st.Body.Close()
	}
	if !errors.Is(err, fetch.ErrRefused) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: error %v, want fetch.ErrRefused and fs.ErrNotExist", err)
	}
}

// The validator of this version continues it; another one brings the file as it is, from its first byte.
func validator(t *testing.T, s fetch.Source, uri, _ string, data []byte) {
	st, err := s.Open(t.Context(), uri, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	st.Body.Close()
	if st.Validator == "" {
		t.Skip("the source has no validators")
	}
	if got := read(t, s, uri, 1000, 0, st.Validator, data); !bytes.Equal(got, data[1000:]) {
		t.Error("the same version is not continued")
	}
	other, err := s.Open(t.Context(), uri, 1000, `"another version"`)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Body.Close()
	if got, err := io.ReadAll(other.Body); other.Offset != 0 || err != nil || !bytes.Equal(got, data) {
		t.Errorf("of another version %d bytes from %d, error %v; want the whole file from 0", len(got), other.Offset, err)
	}
}

func cancelled(t *testing.T, s fetch.Source, uri, _ string, _ []byte) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	st, err := s.Open(ctx, uri, 0, "")
	if err == nil {
		_, err = io.ReadAll(st.Body)
		st.Body.Close()
	}
	if err == nil {
		t.Error("a cancelled context brought the whole file")
	}
}

func concurrent(t *testing.T, s fetch.Source, uri, _ string, data []byte) {
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			at := int64(n) * 1000
			if got := read(t, s, uri, at, 0, "", data); !bytes.Equal(got, data[at:]) {
				t.Errorf("from %d beside others: other bytes", at)
			}
		})
	}
	wg.Wait()
}
