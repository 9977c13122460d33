// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

var unlink = command(manifest.DirectiveUnlink)

// uninstalling runs m's uninstall section on s.
func (tr *tree) uninstalling(m manifest.Manifest, s processor.Platform, l *log) error {
	tr.t.Helper()
	return startWith(tr.t, open(tr.t, m), processor.Options{Platform: s, Identity: identity, Journal: l, Dependencies: &processor.Dependencies{Floor: noFloor,
		Open: func(b []byte) (*manifest.Verified, error) {
			return manifest.OpenBytes(b, keySet(tr.t, signer.Public()), one(tr.t))
		}}}, manifest.SectionUninstall)
}

// A dependency that another manifest uses, too, is not uninstalled: not when the first gives it up, not when that is
// repeated after a power cut, and not when a manifest gives it up twice (trust-domains-12, section 5.6.5).
func TestUnlinkShared(t *testing.T) {
	tr := newTree(t)
	tr.child.Uninstall = seq{params(manifest.Parameters{Content: []byte("removed")}), write}
	e := tr.envelope()
	m := tr.root(e, integrity, process)
	m.Uninstall = seq{index(1), unlink, unlink}
	for _, tt := range []struct {
		name   string
		others uint64
		want   []string
	}{
		{"shared", 1, []string{"unlink 01"}},
		{"its own", 0, []string{"write 00", "unlink 01"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, cut := range []string{"", "unlink 01"} {
				s := newStore(map[string]string{"00": "zero", "01": string(e)})
				s.cells["01"].refs, s.cells["01"].linked = tt.others, true
				l := &log{cut: -1}
				s.fail, s.cut = cut, true // done, but nobody learns of it
				if err := tr.uninstalling(m, s, l); err != nil && !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				if err := tr.uninstalling(m, s, l); err != nil {
					t.Error(err)
				}
				if err := tr.uninstalling(m, s, &log{cut: -1}); err != nil {
					t.Error("and once more, without what was journaled:", err)
				}
				if diff := cmp.Diff(tt.want, s.log); diff != "" {
					t.Errorf("cut at %q: %s", cut, diff)
				}
			}
		})
	}
}

// An uninstall is resumed when the dependency's envelope went with its last user.
func TestUnlinkedEnvelopeGone(t *testing.T) {
	tr := newTree(t)
	tr.child.Uninstall = seq{params(manifest.Parameters{Content: []byte("removed")}), write}
	e := tr.envelope()
	m := tr.root(e, integrity, process)
	m.Uninstall = seq{index(1), unlink, index(0), params(manifest.Parameters{Content: []byte("end")}), write}
	for cut := range 3 {
		for _, after := range []bool{false, true} {
			s := newStore(map[string]string{"00": "zero", "01": string(e)})
			s.cells["01"].linked = true
			l := &log{cut: cut, after: after}
			if err := tr.uninstalling(m, leaving{s}, l); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			l.cut = -1
			if err := tr.uninstalling(m, leaving{s}, l); err != nil || string(s.cells["00"].content) != "end" {
				t.Errorf("cut at step %d: got %v after %v", cut, err, s.log)
			}
		}
	}
}

// leaving is a store whose components lose their content with their last user.
type leaving struct{ *store }

func (p leaving) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := p.store.Component(id)
	return leavingCell{c.(*cell)}, err
}

type leavingCell struct{ *cell }

func (c leavingCell) Unlink(ctx context.Context, user verify.Digest) error {
	err := c.cell.Unlink(ctx, user)
	c.content = nil
	return err
}

// A component that enters the manifest it is written for among its users can be written again after a power cut.
func TestUsedSinceItsWrite(t *testing.T) {
	s := newStore(map[string]string{"00": "zero", "01": "one"})
	l := &log{cut: 0}
	v := open(t, release(1, shared(), seq{index(0), params(manifest.Parameters{Content: []byte("new")}), write}, nil))
	o := processor.Options{Platform: using{s}, Identity: identity, Journal: l}
	if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	l.cut = -1
	if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
		t.Error(err)
	}
	another := open(t, release(1, shared(), seq{index(0), params(manifest.Parameters{Content: []byte("another")}), write}, nil))
	if err := startWith(t, another, o, manifest.SectionInstall); !errors.Is(err, manifest.ErrComponent) || string(s.cells["00"].content) != "new" {
		t.Errorf("another manifest: got %v, content %q", err, s.cells["00"].content)
	}
}

// using is a store whose components count who writes them.
type using struct{ *store }

func (p using) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := p.store.Component(id)
	return usingCell{c.(*cell)}, err
}

type usingCell struct{ *cell }

func (c usingCell) Write(ctx context.Context, r processor.WriteRequest) error {
	c.gone[r.Manifest] = true // in this store: is a user
	return c.cell.Write(ctx, r)
}

func (c usingCell) References(_ context.Context, user verify.Digest) (others uint64, used bool, err error) {
	others = uint64(len(c.gone))
	if c.gone[user] {
		return others - 1, true, nil
	}
	return others, false, nil
}

func (c usingCell) Unlink(_ context.Context, user verify.Digest) error {
	return c.s.effect(func() { delete(c.gone, user) }, "unlink %s", c.name)
}

// What a manifest has unlinked, and written since, is not unlinked again when it is resumed.
func TestUnlinkedBeforeItsWrite(t *testing.T) {
	s := newStore(map[string]string{"00": "zero", "01": "one"})
	put := seq{params(manifest.Parameters{Content: []byte("new")}), write}
	v := open(t, release(2, shared(), append(append(append(seq{index(0)}, put...), unlink), append(put, append(seq{index(1)}, put...)...)...), nil))
	l := &log{cut: -1}
	o := processor.Options{Platform: using{s}, Identity: identity, Journal: l}
	s.fail = "write 01"
	if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
		t.Error(err)
	}
	if _, used, _ := (usingCell{s.cells["00"]}).References(t.Context(), v.Digest()); !used {
		t.Error("not used any more, after", s.log)
	}
}
