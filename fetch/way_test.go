// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// Saved is where Fetch goes on.
func TestSaved(t *testing.T) {
	r, other := newRelease(t, noise(7, 6*step)), newRelease(t, noise(8, 6*step))
	store := simfs.NewSim(simfs.Options{}).FS()
	saved := func(res fetch.Resource, o fetch.Options) int64 {
		t.Helper()
		o.Source = newServer(r)
		n, err := newFetcher(t, o).Saved(t.Context(), res)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := saved(r.res, fetch.Options{Storage: store}); n != 0 {
		t.Errorf("%d saved before anything was fetched", n)
	}
	interrupted(t, r, store, 4)
	for _, c := range []struct {
		name string
		res  fetch.Resource
		o    fetch.Options
		want int64
	}{
		{"the same", r.res, fetch.Options{Storage: store}, 4 * step},
		{"another resource", other.res, fetch.Options{Storage: store}, 0},
		{"without chunk digests", fetch.Resource{URI: r.res.URI, Size: r.res.Size, Digest: r.res.Digest}, fetch.Options{Storage: store}, 0},
		{"without storage", r.res, fetch.Options{}, 0},
	} {
		if n := saved(c.res, c.o); n != c.want {
			t.Errorf("%s: %d saved, want %d", c.name, n, c.want)
		}
	}
	_, err := newFetcher(t, fetch.Options{Source: newServer(r), Storage: store}).Saved(t.Context(), fetch.Resource{})
	if !errors.Is(err, fetch.ErrResource) {
		t.Errorf("got %v, want %v", err, fetch.ErrResource)
	}
}
