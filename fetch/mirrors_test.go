// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

const (
	first  = "https://user:secret@fw.example/"
	second = "https://two.example/"
)

// places returns a server that has the release in two places, and mirrors over both.
func places(tb testing.TB, r release) (*server, *fetch.Mirrors) {
	tb.Helper()
	s := newServer(r)
	s.files[strings.Replace(uri, first, second, 1)] = file{r.data, `"v2"`}
	s.files[strings.Replace(pagesURI, first, second, 1)] = file{r.pages, ""}
	m, err := fetch.NewMirrors(s, first, second)
	if err != nil {
		tb.Fatal(err)
	}
	return s, m
}

func fromSecond(r request) bool { return strings.HasPrefix(r.uri, second) }

func TestMirrorsRefused(t *testing.T) {
	for name, err := range map[string]error{"absent": &fetch.StatusError{Status: 404}, "unavailable": &fetch.StatusError{Status: 503}, "reset": errCut} {
		t.Run(name, func(t *testing.T) {
			r := newRelease(t, noise(1, 5*step))
			s, m := places(t, r)
			s.open = func(_ int, q request) error {
				if fromSecond(q) {
					return nil
				}
				return err
			}
			var sink recorder
			st, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, &sink)
			if err != nil {
				t.Fatal(err)
			}
			sink.holds(t, r.data)
			balanced(t, st, r.res.Size)
			if first := len(s.requests); first != 3 {
				t.Errorf("%d requests, want 1 to the first place and then 2 to the second", first)
			}
		})
	}
}

func TestNET_13_OnePlacePoisons(t *testing.T) {
	r := newRelease(t, noise(1, 8*step))
	s, m := places(t, r)
	s.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
		if q.uri != uri || len(rest) < 3*step {
			return nil
		}
		return broken(flip(rest, len(rest)-3*step+7), io.EOF)
	}
	var sink recorder
	st, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, &sink)
	if err != nil {
		t.Fatal(err)
	}
	sink.onlyVerified(t, r.data)
	sink.holds(t, r.data)
	balanced(t, st, r.res.Size)
	if st.Discarded != step {
		t.Errorf("%d bytes discarded, want one chunk", st.Discarded)
	}
	last := s.requests[len(s.requests)-1]
	if !fromSecond(last) {
		t.Errorf("after the bad chunk %v was asked, want the second place", last.uri)
	}
}

// One that has wrong chunk digests is left, too.
func TestNET_13_OnePlacePoisonsPages(t *testing.T) {
	r := newRelease(t, noise(1, 8*step))
	s, m := places(t, r)
	s.files[pagesURI] = file{flip(r.pages, 5), ""}
	var sink recorder
	st, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, &sink)
	if err != nil {
		t.Fatal(err)
	}
	sink.holds(t, r.data)
	if balanced(t, st, r.res.Size); st.Pages != 2*fetch.PageSize {
		t.Errorf("%d bytes of pages, want one page of each place", st.Pages)
	}
}

// A place that has another version, or a page to log in, has a file of another size. That is for the next place to put right; if all have it, it is ErrSize.
func TestNET_13_OnePlaceHasAnotherSize(t *testing.T) {
	r := newRelease(t, noise(1, 8*step))
	s, m := places(t, r)
	s.files[uri] = file{r.data[1:], ""}
	s.files[pagesURI] = file{[]byte("<html>log in</html>"), ""}
	var sink recorder
	st, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, &sink)
	if err != nil {
		t.Fatal(err)
	}
	sink.holds(t, r.data)
	balanced(t, st, r.res.Size)
	if len(s.requests) > 4 {
		t.Errorf("%d requests, want two for the pages and at most two for the payload", len(s.requests))
	}

	s.files[strings.Replace(uri, first, second, 1)] = file{r.data[1:], ""}
	s.requests = nil
	if _, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, &recorder{}); !errors.Is(err, fetch.ErrSize) || len(s.requests) > 6 {
		t.Errorf("everywhere: error %v after %d requests, want ErrSize after a few", err, len(s.requests))
	}
}

// The place named first is asked again when what it did is long ago.
func TestMirrorsRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(1, step))
		s, m := places(t, r)
		m.Reject(uri, 0, 1) // served nothing yet: nobody to blame
		ask := func(want string) {
			t.Helper()
			st, err := m.Open(t.Context(), uri, 0, "")
			if err != nil {
				t.Fatal(err)
			}
			st.Body.Close()
			if got := s.requests[len(s.requests)-1].uri; !strings.HasPrefix(got, want) {
				t.Errorf("asked %s, want %s", fetch.RedactURI(got), fetch.RedactURI(want))
			}
		}
		ask(first)
		m.Reject(uri, 0, 1)
		ask(second)
		time.Sleep(20 * time.Minute)
		ask(second)
		time.Sleep(time.Hour)
		ask(first)
	})
}

// Of wrong bytes those are blamed that served them, whoever served something else since.
func TestNET_13_WrongBytesAreTheirServers(t *testing.T) {
	r := newRelease(t, noise(1, 4*step))
	s, m := places(t, r)
	serve := func(by string, offset, length int64) {
		t.Helper()
		s.open = func(_ int, q request) error {
			if strings.HasPrefix(q.uri, by) {
				return nil
			}
			return errCut
		}
		st, err := m.OpenRange(t.Context(), uri, offset, length, "")
		if err == nil {
			_, err = io.ReadAll(st.Body)
			st.Body.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		s.open = nil
	}
	asked := func() string {
		st, err := m.Open(t.Context(), uri, 0, "")
		if err != nil {
			t.Fatal(err)
		}
		st.Body.Close()
		return s.requests[len(s.requests)-1].uri
	}
	serve(first, 0, 2*step)
	serve(second, 2*step, step) // costs the first place one failure
	if m.Reject(uri, step, step); !strings.HasPrefix(asked(), second) {
		t.Error("the first place served the wrong chunk, and is asked")
	}
	serve(first, step, step/2)
	serve(second, step+step/2, step/2)
	m.Reject(uri, step, step) // by both
	serve(first, step, step)
	if m.Reject(uri, step, step); !strings.HasPrefix(asked(), second) {
		t.Error("the first place served the wrong chunk again, and is asked")
	}
	serve(second, step, step)
	for range 4 { // more than the first has against it
		m.Reject(uri, step, step)
	}
	if !strings.HasPrefix(asked(), first) {
		t.Error("the second place served the wrong chunk last, and is asked")
	}
}

func TestMirrorsAllRefuse(t *testing.T) {
	r := newRelease(t, noise(1, step))
	s, m := places(t, r)
	s.open = func(int, request) error { return &fetch.StatusError{Status: 404} }
	if _, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, &recorder{}); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("error %v, want ErrRefused", err)
	}
	if _, err := m.Open(t.Context(), "https://else.example/", 0, ""); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("error %v, want ErrResource", err)
	}
}
