// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

// late is a root manifest for components 0 to 2, which fetches its dependency, for 0 and 1, into component 3.
type late struct {
	t    *testing.T
	s    *store
	root manifest.Manifest
	o    processor.Options
}

func newLate(t *testing.T, child manifest.Manifest) *late {
	t.Helper()
	child.SequenceNumber, child.Components = 1, []manifest.ComponentID{componentID(0), componentID(1)}
	e, err := sign(t, manifest.Options{}, child)
	if err != nil {
		t.Fatal(err)
	}
	u, err := manifest.InspectBytes(e)
	if err != nil {
		t.Fatal(err)
	}
	d := u.Digest()
	l := &late{t: t, s: newStore(map[string]string{"00": "zero", "01": "one", "02": "two", "03": ""})}
	l.root = release(4, shared(index(3), params(manifest.Parameters{ImageDigest: &d, ImageSize: new(uint64(len(e))), URI: new("u")})), nil, nil)
	l.root.Dependencies = []manifest.Dependency{{Index: 3}}
	l.s.uris["u"] = e
	l.o = processor.Options{Platform: l.s, Identity: identity, Dependencies: &processor.Dependencies{Floor: noFloor,
		Open: func(b []byte) (*manifest.Verified, error) {
			return manifest.OpenBytes(b, keySet(t, signer.Public()), one(t))
		}}}
	return l
}

var lateSections = []manifest.Section{manifest.SectionDependencyResolution, manifest.SectionPayloadFetch, manifest.SectionInstall}

func (l *late) run() error {
	l.t.Helper()
	return startWith(l.t, open(l.t, l.root), l.o, lateSections...)
}

// A dependency that is yet to be fetched may make any content that is asked for after it: what a rehearsal without it would answer
// is no reason to refuse.
func TestDependencyMakesContent(t *testing.T) {
	check := command(manifest.ConditionCheckContent)
	for name, install := range map[string]seq{
		"asked for as it was":        {index(0), con("made"), check},
		"asked for by its digest":    {index(0), of("made"), imageMatch},
		"written before":             {index(2), con("made"), check},
		"decides about what follows": {index(0), try(seq{con("other"), check, index(2), con("x"), write}, seq{index(2), con("y"), write}), index(2), con("y"), check},
		"copied":                     {index(0), of("made"), imageMatch, index(2), of("made"), from(0), copyc},
	} {
		t.Run(name, func(t *testing.T) {
			child := manifest.Manifest{Shared: seq{index(0)}}
			child.Install.Sequence = seq{index(0), con("made"), write}
			l := newLate(t, child)
			l.root.DependencyResolution.Sequence = seq{index(3), fetch, integrity}
			l.root.Install.Sequence = append(seq{index(2), con("made"), write, index(3), process}, install...)
			if err := l.run(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a dependency has in sections that are over when it is fetched is not missed there, neither when all is rehearsed again with it, nor
// when the run is resumed.
func TestDependencyAfterItsSections(t *testing.T) {
	child := manifest.Manifest{Shared: seq{index(0)}}
	never := seq{index(0), con("never"), write}
	child.DependencyResolution.Sequence, child.PayloadFetch.Sequence = never, never
	child.Install.Sequence = seq{index(0), con("made"), write, index(1), con("too"), write}
	for cut := -1; cut < 8; cut++ {
		l := newLate(t, child)
		l.root.DependencyResolution.Sequence, l.root.PayloadFetch.Sequence = seq{index(0)}, seq{index(0)}
		l.root.Install.Sequence = seq{index(3), fetch, integrity, process, index(2), con("after"), write}
		j := &log{cut: cut}
		l.o.Journal = j
		err := l.run()
		if cut >= 0 {
			if !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			j.cut = -1
			err = l.run()
		}
		got := []string{string(l.s.cells["00"].content), string(l.s.cells["01"].content), string(l.s.cells["02"].content)}
		if diff := cmp.Diff([]string{"made", "too", "after"}, got); diff != "" || err != nil {
			t.Errorf("cut %d: %v\n%s", cut, err, diff)
		}
	}
	l := newLate(t, child)
	l.s.cells["03"].content = l.s.uris["u"] // it is there from the beginning
	l.root.DependencyResolution.Sequence = seq{index(0)}
	l.root.Install.Sequence = seq{index(3), integrity, process}
	l.s.refused(t, l.run(), manifest.ErrCommand)
}

// Two manifests may fetch the same dependency: the second time nothing is done, and what the first has checked stays checked.
func TestDependencyFetchedTwice(t *testing.T) {
	child := manifest.Manifest{Shared: seq{index(0)}}
	child.Install.Sequence = seq{index(0), con("made"), write}
	for cut := range 6 {
		l := newLate(t, child)
		l.root.DependencyResolution.Sequence = seq{index(3), fetch, integrity, fetch}
		l.root.Install.Sequence = seq{index(3), process, fetch}
		j := &log{cut: cut}
		l.o.Journal = j
		if err := l.run(); (cut < 4) != errors.Is(err, errCut) {
			t.Fatal(err)
		}
		j.cut = -1
		if err := l.run(); err != nil {
			t.Errorf("cut %d: %v", cut, err)
		}
		n := 0
		for _, e := range l.s.log {
			if e == "fetch 03" {
				n++
			}
		}
		if want := 1; n != want && (cut != 1 || n != 2) {
			t.Errorf("cut %d: fetched %d times", cut, n)
		}
	}
}

// What was uninstalled with an unlink is not made again when the run is resumed in what comes after it.
func TestResumeAfterUninstall(t *testing.T) {
	child := manifest.Manifest{Shared: seq{index(0)}}
	child.Install.Sequence = seq{index(0), of("made"), uri("m"), fetch}
	child.Uninstall = seq{index(0), con("gone"), write}
	for cut := -1; cut < 10; cut++ {
		l := newLate(t, child)
		l.s.uris["m"], l.s.cells["03"].linked = []byte("made"), true
		l.root.Install.Sequence = seq{index(3), fetch, integrity, process, command(manifest.DirectiveUnlink), index(2), con("after"), write}
		j := &log{cut: cut}
		l.o.Journal = j
		err := l.run()
		if cut >= 0 {
			if !errors.Is(err, errCut) {
				t.Fatal(cut, err)
			}
			j.cut = -1
			err = l.run()
		}
		got := []string{string(l.s.cells["00"].content), string(l.s.cells["02"].content)}
		if diff := cmp.Diff([]string{"gone", "after"}, got); diff != "" || err != nil {
			t.Errorf("cut %d: %v, %q\n%s", cut, err, l.s.log, diff)
		}
	}
}
