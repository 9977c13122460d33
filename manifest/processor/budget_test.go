// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"math"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

func TestCMD_02_Budgets(t *testing.T) {
	laughs := func(levels int) manifest.Command {
		c := run(uri("u"), uri("u"))
		for range levels {
			c = run(all(), c)
		}
		return c
	}
	t.Run("commands", func(t *testing.T) {
		d := newDevice(16)
		m := release(16, shared(all(), image("new")), seq{index(0), get("u"), laughs(5)}, nil)
		refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), manifest.ErrBudget)
	})
	t.Run("commands, in the shared sequence", func(t *testing.T) {
		d := newDevice(16)
		m := release(16, shared(laughs(5)), seq{index(0), get("u")}, nil)
		refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), manifest.ErrBudget)
	})
	t.Run("commands, shared by the sections", func(t *testing.T) {
		m := release(1, shared(image("new")), seq{index(0), uri("u"), fetch}, seq{index(0), imageMatch})
		v := open(t, m)
		const used = 5 + 3 + 5 + 2
		for limit, want := range map[int]error{used: nil, used - 1: manifest.ErrBudget} {
			d := newDevice(1)
			o := processor.Options{Platform: d, Identity: identity, Limits: processor.Limits{Commands: limit}}
			err := startWith(t, v, o, update...)
			if !errors.Is(err, want) {
				t.Errorf("limit %d: got %v, want %v", limit, err, want)
			}
			if want != nil && d.log != nil {
				t.Errorf("refused after %v", d.log)
			}
		}
	})
	t.Run("depth", func(t *testing.T) {
		nested := func(n int) seq {
			c := uri("u")
			for range n {
				c = run(c)
			}
			return seq{index(0), get("u"), c}
		}
		for n, want := range map[int]error{processor.DefaultDepth: nil, processor.DefaultDepth + 1: manifest.ErrBudget} {
			d := newDevice(1)
			err := start(t, open(t, release(1, shared(image("new")), nested(n), nil)), d, manifest.SectionInstall)
			if !errors.Is(err, want) || (want != nil && d.log != nil) {
				t.Errorf("depth %d: got %v after %v, want %v", n, err, d.log, want)
			}
		}
	})
	t.Run("bytes", func(t *testing.T) {
		for limit, want := range map[int64]error{3000: nil, 2999: manifest.ErrBudget} {
			d := newDevice(1)
			m := release(1, shared(image("new"), uri("u")), seq{index(0), fetch, imageMatch}, seq{index(0), imageMatch})
			o := processor.Options{Platform: d, Identity: identity, Limits: processor.Limits{Bytes: limit}}
			err := startWith(t, open(t, m), o, update...)
			if !errors.Is(err, want) || (want != nil && d.log != nil) {
				t.Errorf("limit %d: got %v after %v, want %v", limit, err, d.log, want)
			}
		}
	})
	t.Run("bytes do not overflow", func(t *testing.T) {
		d := newDevice(1)
		huge := override(manifest.Parameters{ImageDigest: digest("new"), ImageSize: new(uint64(math.MaxInt64)), URI: new("u")})
		o := processor.Options{Platform: d, Identity: identity, Limits: processor.Limits{Bytes: math.MaxInt64}}
		err := startWith(t, open(t, release(1, shared(huge), seq{index(0), fetch, fetch}, nil)), o, manifest.SectionInstall)
		refused(t, d, err, manifest.ErrBudget)
	})
}
