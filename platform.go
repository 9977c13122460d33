// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// platform is the manifest processor's view of the device: one component, fetched by the fetcher, installed by the
// machine.
type platform struct {
	u      *Updater
	custom []byte // of the Offer
}

// Component implements [processor.Platform].
func (p platform) Component(id manifest.ComponentID) (processor.Component, error) {
	if !slices.EqualFunc(id, p.u.o.Component, slices.Equal[[]byte]) {
		return nil, fmt.Errorf("component %s, this device has %s: %w", id, p.u.o.Component, manifest.ErrComponent)
	}
	c := component(p)
	if s, ok := p.u.o.Installer.(install.Slotted); ok {
		return slottedComponent{c, s}, nil
	}
	return c, nil
}

type component platform

// slottedComponent can answer the manifest's component-slot condition.
type slottedComponent struct {
	component
	install.Slotted
}

// Fetch downloads into the installer's writer and has it read back. A medium that turns out not to hold what a
// checkpoint says it holds is written again from the start, once.
func (c component) Fetch(ctx context.Context, req processor.FetchRequest) error {
	if req.Integrated != nil {
		return c.write(ctx, req)
	}
	uri, err := c.u.resolve(req.URI)
	if err != nil {
		return err
	}
	res := fetch.Resource{URI: uri, Size: req.Size, Digest: req.Digest}
	if req.Chunks != nil {
		res.Chunks = &fetch.Chunks{Root: req.Chunks.Root, Size: int64(req.Chunks.Size)}
		if req.Chunks.URI != "" {
			if res.Chunks.URI, err = c.u.resolve(req.Chunks.URI); err != nil {
				return err
			}
		}
	}
	img := install.Image{Size: req.Size, Digest: req.Digest}
	resumed, err := c.fetch(ctx, res, img)
	if resumed && errors.Is(err, install.ErrVerifyAfterWrite) {
		_, err = c.fetch(ctx, res, img)
	}
	return err
}

func (c component) fetch(ctx context.Context, res fetch.Resource, img install.Image) (resumed bool, err error) {
	w, err := c.u.machine.Begin(ctx, img)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	stats, err := c.download(ctx, res, w)
	c.u.tally.add(img, stats)
	if err != nil {
		return false, err
	}
	// The journal keeps it with the Candidate that Finish makes.
	c.u.j.arriving = c.u.tally.download()
	if err := w.Finish(ctx); err != nil {
		if errors.Is(err, install.ErrVerifyAfterWrite) {
			err = errors.Join(err, c.u.fetcher.Forget(res))
		}
		return stats.ResumedFrom > 0, err
	}
	// A checkpoint that stays is found out by the next Finish; trouble with it must not end an update that is whole.
	_ = c.u.fetcher.Forget(res)
	c.u.emit(Event{Kind: EventFetched, Release: c.u.j.state.current, Download: c.u.tally.download(), Fallbacks: c.u.tally.fallbacks})
	c.u.tally = tally{}
	return false, nil
}

// write installs a payload that came in the envelope, and was verified with it.
func (c component) write(ctx context.Context, req processor.FetchRequest) (err error) {
	w, err := c.u.machine.Begin(ctx, install.Image{Size: req.Size, Digest: req.Digest})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	c.u.j.arriving = Download{}
	if _, err := w.Write(req.Integrated); err != nil {
		return err
	}
	return w.Finish(ctx)
}

// Match answers image-match for the candidate: the medium was read back when it became one.
func (c component) Match(ctx context.Context, want verify.Digest, size int64) error {
	r, err := c.u.machine.Query(ctx)
	if err != nil {
		return err
	}
	if r.State != install.Candidate && r.State != install.Staged {
		return fmt.Errorf("component holds no candidate, it is %s: %w", r.State, manifest.ErrDigest)
	}
	if r.Image.Digest != want || size >= 0 && r.Image.Size != size {
		return fmt.Errorf("component holds %d bytes with digest %s, want %d with %s: %w",
			r.Image.Size, r.Image.Digest, size, want, manifest.ErrDigest)
	}
	return nil
}

// resolve makes a payload URI absolute (RFC 3986, section 5). The URI is signed; where it leads is the server's business,
// since only bytes with the signed digests count.
func (u *Updater) resolve(uri string) (string, error) {
	if u.o.Base == "" {
		return uri, nil
	}
	ref, err := url.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("payload URI: %v: %w", err, manifest.ErrMalformed)
	}
	return u.base.ResolveReference(ref).String(), nil
}
