// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetchtest_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/fetchtest"
	"github.com/firmament-dev/firmament/fetch/httpsource"
)

// web serves data at /file, with a strong validator.
func web(t *testing.T, data []byte) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/file" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestHTTPSource(t *testing.T) {
	fetchtest.TestSource(t, func(t *testing.T, data []byte) (fetch.Source, string, string) {
		base := web(t, data)
		return httpsource.New(nil), base + "/file", base + "/none"
	})
}

func TestMirrors(t *testing.T) {
	fetchtest.TestSource(t, func(t *testing.T, data []byte) (fetch.Source, string, string) {
		empty, full := httptest.NewServer(http.NotFoundHandler()), web(t, data)
		t.Cleanup(empty.Close)
		m, err := fetch.NewMirrors(httpsource.New(nil), empty.URL, full)
		if err != nil {
			t.Fatal(err)
		}
		return m, empty.URL + "/file", empty.URL + "/none"
	})
}

func TestReuse(t *testing.T) {
	fetchtest.TestSource(t, func(t *testing.T, data []byte) (fetch.Source, string, string) {
		base := web(t, data)
		index, err1 := chunk.BuildIndex(bytes.NewReader(data))
		seed, err2 := chunk.BuildIndex(bytes.NewReader(data[:70_000]))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		r := chunk.NewReuse(httpsource.New(nil), base+"/file", index, chunk.Seed{Image: bytes.NewReader(data), Index: seed})
		return r, base + "/file", base + "/none"
	})
}

func TestStore(t *testing.T) {
	fetchtest.TestSource(t, func(t *testing.T, data []byte) (fetch.Source, string, string) {
		index, err := chunk.BuildIndex(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		server := fetchtest.NewServer()
		err = chunk.WriteStore(index, bytes.NewReader(data), nil, func(name string, packed []byte) error {
			server.Put("/store/"+name, bytes.Clone(packed))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		listener := httptest.NewServer(server)
		t.Cleanup(listener.Close)
		return chunk.NewStore(httpsource.New(nil), listener.URL+"/store", listener.URL+"/file", index), listener.URL + "/file", listener.URL + "/none"
	})
}

func TestMeter(t *testing.T) {
	fetchtest.TestSource(t, func(t *testing.T, data []byte) (fetch.Source, string, string) {
		base := web(t, data)
		return fetch.NewMeter(fetch.Options{Source: httpsource.New(nil), MaxRate: 100 << 20, MaxBytes: 1 << 20}), base + "/file", base + "/none"
	})
}
