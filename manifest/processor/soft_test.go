// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

func TestCMD_03_EffectsInAnAlternative(t *testing.T) {
	for name, first := range map[string]seq{
		"directly":     {get("a"), slot(1), checkSlot},
		"deeper":       {run(run(uri("a"), fetch)), slot(1), checkSlot},
		"soft run":     {run(softly, get("a"), abort)},
		"in a nested":  {try(seq{get("a")}, seq{abort}), abort},
		"other target": {run(index(1), get("a")), abort},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(2)
			m := release(2, shared(all(), image("new")), seq{index(0), try(first, seq{get("b")})}, nil)
			// The rehearsal knows without having fetched.
			refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), manifest.ErrCondition)
		})
	}
	t.Run("invocation", func(t *testing.T) {
		d := newDevice(1)
		d.components["00"].content = *digest("new")
		m := release(1, shared(image("new")), seq{index(0), try(seq{imageMatch, invoke, abort}, seq{get("b")})}, nil)
		refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), manifest.ErrCondition)
	})
	t.Run("other content than expected", func(t *testing.T) {
		d := newDevice(1)
		m := release(1, shared(image("new")),
			seq{index(0), try(seq{get("a"), image("else"), imageMatch}, seq{get("b")})}, nil)
		refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), manifest.ErrDigest)
	})
	t.Run("other content than fetched", func(t *testing.T) { // nobody can know before
		s := newStore(map[string]string{"00": "old"})
		s.uris["a"], s.uris["b"] = []byte("bad"), []byte("new")
		to := func(uri string) manifest.Command {
			return override(manifest.Parameters{URI: &uri, ImageSize: new(uint64(3))})
		}
		err := runStore(t, s, seq{try(seq{to("a"), fetch, of("new"), imageMatch}, seq{to("b"), fetch})}, processor.Options{Compat: processor.CompatNoDigest})
		if !errors.Is(err, manifest.ErrDigest) || len(s.log) != 1 {
			t.Errorf("got %v after %v", err, s.log)
		}
	})
}

func TestCMD_04_SoftFailureOutside(t *testing.T) {
	for _, s := range []manifest.Command{softly, hardly} {
		_, err := tryOpen(t, release(1, shared(), seq{index(0), s, get("u")}, nil))
		if !errors.Is(err, manifest.ErrCommand) {
			t.Errorf("got %v", err)
		}
	}
}

func TestCMD_04_ImageMatchBeforeBoot(t *testing.T) {
	for _, tt := range []struct {
		name     string
		validate seq
		want     error
	}{
		{"holds", seq{imageMatch}, nil},
		{"fails", seq{image("else"), imageMatch}, manifest.ErrCondition},
		{"no digest", seq{index(1), imageMatch}, manifest.ErrCondition},
		{"nil alternative", seq{image("else"), tryOrNil(seq{imageMatch}, seq{abort})}, manifest.ErrDigest},
		{"nil alternative, no digest", seq{index(1), tryOrNil(seq{imageMatch}, seq{abort})}, manifest.ErrCondition},
		{"other alternative", seq{image("else"), try(seq{imageMatch}, seq{slot(0), checkSlot})}, manifest.ErrDigest},
		{"soft run-sequence", seq{image("else"), run(softly, imageMatch)}, manifest.ErrDigest},
		{"made good for another component", seq{image("else"), run(softly, imageMatch), index(1), image("good"), imageMatch}, manifest.ErrDigest},
		{"one of two images", seq{try(seq{image("else"), imageMatch}, seq{image("good"), imageMatch})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(2)
			for _, c := range d.components {
				c.content = *digest("good")
			}
			m := release(2, shared(image("good")), nil, append(seq{index(0)}, tt.validate...))
			m.Invoke = seq{index(0), image("good"), invoke}
			err := start(t, open(t, m), d, manifest.SectionValidate, manifest.SectionInvoke)
			if tt.want != nil {
				refused(t, d, err, tt.want)
			} else if err != nil || len(d.effects()) != 1 {
				t.Errorf("got %v after %v", err, d.log)
			}
		})
	}
	t.Run("after a fetch", func(t *testing.T) {
		d := newDevice(1)
		m := release(1, shared(image("new")), seq{index(0), get("u"), image("else"), tryOrNil(seq{imageMatch}, seq{abort})}, nil)
		if err := start(t, open(t, m), d, manifest.SectionInstall); !errors.Is(err, manifest.ErrDigest) {
			t.Errorf("got %v", err)
		}
	})
}

func TestMatchedOnce(t *testing.T) {
	for name, validate := range map[string]seq{
		"top level":         {imageMatch},
		"run-sequence":      {run(imageMatch)},
		"hard alternative":  {try(seq{hardly, imageMatch}, seq{abort})},
		"below a hard one":  {try(seq{hardly, run(imageMatch)}, seq{abort})},
		"run in a hard one": {run(softly, run(try(seq{hardly, imageMatch}, seq{abort})))},
	} {
		d := newDevice(1)
		d.components["00"].content = *digest("good")
		m := release(1, shared(image("good")), nil, append(seq{index(0)}, validate...))
		if err := start(t, open(t, m), d, manifest.SectionValidate); err != nil || len(d.log) != 1 {
			t.Errorf("%s: got %v after %v", name, err, d.log)
		}
	}
}
