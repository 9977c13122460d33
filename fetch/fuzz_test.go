// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"

	"github.com/firmament-dev/firmament/fetch"
)

// FuzzFetch lets the input play the server: for each request it decides whether the answer is an error, begins elsewhere,
// announces another size, breaks off, or holds changed bytes. Whatever it does, only signed bytes reach the sink, and
// the call ends.
func FuzzFetch(f *testing.F) {
	r := newRelease(f, noise(13, 4*step+99))
	for _, script := range [][]byte{
		nil, {0}, {0, 1, 7}, {0, 2, 50, 2, 90, 2, 3}, {0, 3, 1}, {0, 4, 200, 4, 9}, {0, 5, 1, 6, 2}, {0, 2, 30, 7}, {4, 1, 4, 1, 4, 1},
	} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 64 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			src := &scripted{server: newServer(r), script: script}
			var sink recorder
			st, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &sink)
			sink.onlyVerified(t, r.data)
			if err == nil {
				sink.holds(t, r.data)
				balanced(t, st, r.res.Size)
			} else if sink.Offset()%step != 0 && sink.Offset() != r.res.Size {
				t.Errorf("part of a chunk in the sink: %d bytes", sink.Offset())
			}
		})
	})
}

type scripted struct {
	*server
	script []byte
}

// next takes a byte off the script; after its end everything is honest.
func (s *scripted) next() int {
	if len(s.script) == 0 {
		return 0
	}
	b := s.script[0]
	s.script = s.script[1:]
	return int(b)
}

func (s *scripted) Open(ctx context.Context, u string, offset int64, validator string) (*fetch.Stream, error) {
	return s.OpenRange(ctx, u, offset, 0, validator)
}

func (s *scripted) OpenRange(ctx context.Context, u string, offset, length int64, validator string) (*fetch.Stream, error) {
	st, err := s.server.OpenRange(ctx, u, offset, length, validator)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(st.Body)
	if err != nil {
		return nil, err
	}
	at := 0
	if len(body) > 0 {
		at = s.next() * 331 % len(body)
	}
	switch s.next() % 9 {
	case 1:
		return nil, &fetch.StatusError{Status: 400 + s.next()}
	case 2:
		st.Body = io.NopCloser(broken(body[:at], errCut))
		return st, nil
	case 3:
		st.Offset += int64(s.next() - 100)
	case 4:
		body = flip(body, at)
	case 5:
		st.Size = int64(s.next()) - 2
	case 6:
		st.Validator = string(rune('a' + s.next()%3))
	case 7:
		st.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:at]), silent{ctx}))
		return st, nil
	case 8:
		return nil, fetch.ErrRange
	}
	st.Body = io.NopCloser(bytes.NewReader(body))
	return st, nil
}
