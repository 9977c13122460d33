// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"context"
	"fmt"
	"strings"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
)

// A Download tells how an image came to the device. The zero value says nothing, as for an image that came in its envelope.
type Download struct {
	Way      fetch.Way
	Network  int64  // bytes that came over the network for it, chunk digests and what was tried in vain included, since the process that finished it was started
	Reused   int64  // bytes of the image that were made from what the device had, likewise
	Fallback string // why cheaper ways were not taken; at most 512 bytes, for people
}

// download brings res to w, within the budget of this moment.
func (c component) download(ctx context.Context, res fetch.Resource, w install.Writer) (fetch.Stats, error) {
	o := c.u.fetch
	if c.u.o.Budget != nil {
		if o.MaxBytes = c.u.o.Budget(); o.MaxBytes <= 0 {
			o.MaxBytes, o.Source = 0, noSource{}
		}
	}
	if c.u.o.Planner != nil {
		return c.u.o.Planner.Fetch(ctx, o, res, c.help(ctx), w)
	}
	f, err := fetch.New(o)
	if err != nil {
		return fetch.Stats{}, err
	}
	s, err := f.Fetch(ctx, res, w)
	s.Way, s.Network = fetch.WayFull, s.Fetched+s.Pages
	return s, err
}

// help is what the device and the signed metadata have for a planner. What cannot be read does not help.
func (c component) help(ctx context.Context) fetch.Help {
	h := fetch.Help{Offers: c.custom, Resolve: c.u.resolveOffered}
	r, ok := c.u.o.Installer.(install.Readable)
	if !ok {
		return h
	}
	if running, err := r.Running(ctx); err == nil {
		h.Running = running
	}
	if target, err := r.Target(ctx); err == nil {
		h.Seeds = append(h.Seeds, target)
	}
	return h
}

// resolveOffered is resolve for a URI that no manifest names: it passes the check that the processor makes of those that one does.
func (u *Updater) resolveOffered(uri string) (string, error) {
	if err := u.o.CheckURI(uri); err != nil {
		return "", err
	}
	return u.resolve(uri)
}

// noSource is the network while the budget allows nothing.
type noSource struct{}

func (noSource) Open(_ context.Context, uri string, _ int64, _ string) (*fetch.Stream, error) {
	return nil, fmt.Errorf("open %s: nothing may be fetched now: %w", fetch.RedactURI(uri), fetch.ErrBudget)
}

// A tally adds up what the calls for one image took: after a broken connection there are several.
type tally struct {
	img       install.Image
	way       fetch.Way
	network   int64
	reused    int64
	fallbacks []fetch.Fallback
}

func (t *tally) add(img install.Image, s fetch.Stats) {
	if t.img != img {
		*t = tally{img: img}
	}
	if s.Network > 0 || t.way == fetch.WayNone {
		t.way = s.Way // a call that had nothing left to do does not count
	}
	t.network, t.reused = t.network+s.Network, t.reused+s.Reused
	// The last call's are what counts: it tried all that was cheaper.
	t.fallbacks = s.Fallbacks
}

func (t *tally) download() Download {
	var why []string
	for _, f := range t.fallbacks {
		why = append(why, fmt.Sprintf("%v: %v", f.Way, f.Err))
	}
	return Download{t.way, t.network, t.reused, truncate(strings.Join(why, "; "), maxReason)}
}
