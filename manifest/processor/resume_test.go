// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// workload is an update with everything that a journal has to bring back:
// alternatives chosen by slot and by content that the update itself changes, a fetch inside an
// alternative, parameters set by an alternative that failed, loops, two sections.
func workload() manifest.Manifest {
	bySlot := try(seq{slot(0), uri("slot0"), checkSlot}, seq{slot(1), checkSlot})
	byContent := try(
		seq{image("v0"), imageMatch, uri("from-v0")},
		seq{image("v1"), imageMatch, image("v2"), uri("from-v1"), fetch},
		seq{image("v2"), uri("full"), fetch})
	m := release(6, shared(all(), image("v2"), bySlot),
		seq{indices(0, 1, 2), byContent, image("v2"), imageMatch, indices(5, 4), image("v3"), get("extra")},
		seq{indices(4, 5), image("v3"), imageMatch, indices(0, 1, 2), image("v2"), imageMatch})
	m.PayloadFetch.Sequence = seq{index(3), image("v1"), fetch}
	return m
}

func v1Device() *device {
	d := newDevice(6)
	d.slot = 1
	for _, c := range d.components {
		c.content = *digest("v1")
	}
	return d
}

func contents(d *device) map[string]verify.Digest {
	m := map[string]verify.Digest{}
	for name, c := range d.components {
		m[name] = c.content
	}
	return m
}

// Whatever append is the last one before a cut, durable or not, and whatever
// append after that the second: the run finishes, every fetch is the one that an
// uncut run makes, and none whose completion was durable is made again.
func TestResumeAfterEveryCut(t *testing.T) {
	v := open(t, workload())
	whole := v1Device()
	full := &log{cut: -1}
	if err := startWith(t, v, processor.Options{Platform: whole, Identity: identity, Journal: full}, update...); err != nil {
		t.Fatal(err)
	}
	want := whole.effects()
	if len(want) != 6 {
		t.Fatalf("workload fetches %v", want)
	}
	t.Logf("%d journal steps, %d fetches", len(full.steps), len(want))

	cases := 0
	for first := range len(full.steps) {
		for second := range len(full.steps) + 1 - first {
			for _, after := range []bool{false, true} {
				cases++
				t.Run(fmt.Sprintf("%d,%d,%v", first, second, after), func(t *testing.T) {
					d, l := v1Device(), &log{cut: first, after: after}
					for _, next := range []int{second, -1} {
						before := done(t, l)
						d.log = slices.DeleteFunc(d.log, func(e string) bool { return e[0] != 'f' })
						at := len(d.log)
						err := startWith(t, v, processor.Options{Platform: d, Identity: identity, Journal: l}, update...)
						if err != nil && !errors.Is(err, errCut) {
							t.Fatal(err)
						}
						if err != nil && !errors.Is(err, processor.ErrJournal) {
							t.Errorf("got %v, want ErrJournal", err)
						}
						checkFetches(t, want, before, d.effects()[at:])
						l.cut = next
					}
					if err := startWith(t, v, processor.Options{Platform: d, Identity: identity, Journal: l}, update...); err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(contents(whole), contents(d), sameDigest); diff != "" {
						t.Error(diff)
					}
				})
			}
		}
	}
	t.Logf("%d pairs of cuts", cases)
}

// done counts the completed fetches of a journal.
func done(t *testing.T, l *log) (n int) {
	t.Helper()
	steps, err := l.Steps()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Kind == processor.StepDone {
			n++
		}
	}
	return n
}

// checkFetches: a run that begins with n completed fetches makes the ones that
// follow them, in order.
func checkFetches(t *testing.T, want []string, n int, got []string) {
	t.Helper()
	if len(got) > len(want)-n || !slices.Equal(got, want[n:n+len(got)]) {
		t.Errorf("after %d of %v, fetched %v", n, want, got)
	}
}

// The same, with the cut between what the device does and what the journal learns.
func TestResumeAfterFailedFetch(t *testing.T) {
	v := open(t, workload())
	errNet := errors.New("connection lost")
	for fail := range 6 {
		d, l := v1Device(), &log{cut: -1}
		attempts := 0
		for {
			p := flaky{device: d, fail: fail - len(d.requests), err: errNet}
			err := startWith(t, v, processor.Options{Platform: p, Identity: identity, Journal: l}, update...)
			if err == nil {
				break
			}
			if attempts++; !errors.Is(err, errNet) || attempts > 1 {
				t.Fatal(err)
			}
		}
		if attempts != 1 || len(d.requests) != 6 {
			t.Errorf("fetch %d: %d failures, %v", fail, attempts, d.effects())
		}
	}
}

// flaky fails one fetch, before it does anything.
type flaky struct {
	*device
	fail int
	err  error
}

func (p flaky) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := p.device.Component(id)
	if err != nil {
		return nil, err
	}
	return flakyMemory{c.(*memory), p}, nil
}

type flakyMemory struct {
	*memory
	p flaky
}

func (c flakyMemory) Fetch(ctx context.Context, r processor.FetchRequest) error {
	if c.p.fail >= 0 && len(c.p.requests) == c.p.fail && !slices.Contains(c.p.log, "failed") {
		c.p.note("failed")
		return c.p.err
	}
	return c.memory.Fetch(ctx, r)
}

// A completed fetch whose content is gone is made again.
func TestResumeReverifies(t *testing.T) {
	m := release(2, shared(all(), image("new")), seq{all(), get("u")}, nil)
	v := open(t, m)
	d, l := newDevice(2), &log{cut: 3}
	o := processor.Options{Platform: d, Identity: identity, Journal: l}
	if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	l.cut = -1
	d.components["00"].content = *digest("worn out")
	if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
		t.Fatal(err)
	}
	// Component 1 had been fetched when the cut came, but its completion was not durable.
	want := []string{"fetch 00 u", "fetch 01 u", "match 00", "fetch 00 u", "fetch 01 u"}
	if diff := cmp.Diff(want, d.log); diff != "" {
		t.Error(diff)
	}
	d.matchErr = errors.New("i/o error")
	if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, d.matchErr) {
		t.Errorf("unreadable content: got %v", err)
	}
}

// A component that is fetched into twice: the first fetch does not match any more
// once the second has begun, and is not made again.
func TestResumeOverwrittenComponent(t *testing.T) {
	v := open(t, release(1, shared(), seq{index(0), image("helper"), get("a"), imageMatch, image("main"), get("b"), imageMatch}, nil))
	// The steps are start and end of a, the match, start and end of b.
	for cut, want := range [][]string{{"a", "b"}, {"a", "a", "b"}, {"a", "b"}, {"a", "b"}, {"a", "b", "b"}} {
		d, l := newDevice(1), &log{cut: cut}
		o := processor.Options{Platform: d, Identity: identity, Journal: l}
		if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		l.cut = -1
		if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range d.requests {
			got = append(got, r.URI)
		}
		if !slices.Equal(got, want) || d.components["00"].content != *digest("main") {
			t.Errorf("cut %d: fetched %v, want %v", cut, got, want)
		}
	}
}

// Without a way to look, a completed fetch is taken as done.
func TestResumeWithoutMatcher(t *testing.T) {
	m := release(2, shared(index(0)), seq{index(1), image("new"), get("u")}, nil)
	v := open(t, m)
	d, l := newDevice(2), &log{cut: -1}
	o := processor.Options{Platform: partly{d, struct{ processor.Fetcher }{d.components["01"]}}, Identity: identity, Journal: l}
	for range 2 {
		if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"fetch 01 u"}, d.log); diff != "" {
		t.Error(diff)
	}
}

// If the slot to write has changed, what was done for the other one is void.
func TestResumeAfterSlotChange(t *testing.T) {
	v := example(t, "manifest/example3.cbor")
	d, l := newDevice(1), &log{cut: -1}
	d.fetchErr = errors.New("connection lost")
	o := processor.Options{Platform: d, Identity: identity, Journal: l}
	if err := startWith(t, v, o, update...); err == nil {
		t.Fatal("fetch did not fail")
	}
	d.slot = 1
	if err := startWith(t, v, o, update...); err != nil {
		t.Fatal(err)
	}
	want := []string{"fetch 00 http://example.com/file1.bin", "fetch 00 http://example.com/file2.bin"}
	if diff := cmp.Diff(want, d.effects()); diff != "" {
		t.Error(diff)
	}
	steps, _ := l.Steps()
	if !slices.ContainsFunc(steps, func(s processor.Step) bool { return s.Kind == processor.StepBegin }) {
		t.Error("journal was not voided")
	}
	// And back: the steps made before the void one do not count any more.
	d.slot = 0
	if err := startWith(t, v, o, update...); err != nil {
		t.Fatal(err)
	}
	if got := d.effects(); len(got) != 3 || got[2] != want[0] {
		t.Errorf("got %v", got)
	}
}

// Where nothing else could tell, completed fetches from before a slot change do
// not count, and the alternative that is being fetched for is in the journal.
func TestResumeVoidedJournal(t *testing.T) {
	each := try(seq{slot(0), checkSlot, uri("a"), fetch}, seq{slot(1), checkSlot})
	v := open(t, release(2, shared(), seq{index(1), image("new"), each, uri("b"), fetch}, nil))
	d, l := newDevice(2), &log{cut: -1}
	unmatched := struct {
		processor.Fetcher
		processor.Slotter
	}{d.components["01"], d.components["01"]}
	o := processor.Options{Platform: partly{d, unmatched}, Identity: identity, Journal: l}
	run := func(fetchErr error) {
		t.Helper()
		d.fetchErr = fetchErr
		if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, fetchErr) {
			t.Fatal(err)
		}
	}
	kinds := func() (k []processor.StepKind) {
		t.Helper()
		steps, err := l.Steps()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			k = append(k, s.Kind)
		}
		return k
	}
	errNet := errors.New("connection lost")
	const begin, done, choice, start = processor.StepBegin, processor.StepDone, processor.StepChoice, processor.StepStarted

	run(errNet)
	if got, want := kinds(), []processor.StepKind{choice, start}; !slices.Equal(got, want) {
		t.Errorf("during the first fetch: got %v, want %v", got, want)
	}
	run(nil)
	d.slot = 1
	run(errNet)
	run(nil)
	want := []processor.StepKind{choice, start, done, start, done, begin, choice, start, done}
	if got := kinds(); !slices.Equal(got, want) {
		t.Errorf("at the end: got %v, want %v", got, want)
	}
	log := []string{"fetch 01 a", "fetch 01 a", "fetch 01 b", "fetch 01 b", "fetch 01 b"}
	if diff := cmp.Diff(log, d.log); diff != "" {
		t.Error(diff)
	}
}

// Validation and invocation are never abridged.
func TestValidateIsNeverReplayed(t *testing.T) {
	m := release(1, shared(image("new"), uri("u")), seq{index(0), fetch}, seq{index(0), imageMatch})
	m.Invoke = seq{index(0), imageMatch, invoke}
	v := open(t, m)
	d, l := newDevice(1), &log{cut: -1}
	o := processor.Options{Platform: d, Identity: identity, Journal: l}
	if err := startWith(t, v, o, update...); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := startWith(t, v, o, manifest.SectionValidate, manifest.SectionInvoke); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(d.effects()); got != 3 {
		t.Errorf("got %v", d.log)
	}
	d.components["00"].content = *digest("broken since")
	if err := startWith(t, v, o, manifest.SectionValidate); !errors.Is(err, manifest.ErrDigest) {
		t.Errorf("got %v", err)
	}
}

// An invocation during installation is an effect like a fetch.
func TestResumeAfterInvoke(t *testing.T) {
	m := release(2, shared(), seq{index(0), image("helper"), get("helper"), imageMatch, invoke, index(1), image("main"), get("main")}, nil)
	v := open(t, m)
	// The steps are start and end of helper, the match, start and end of invoke and of main. Only a lost end is repeated.
	for cut, want := range []int{1, 1, 1, 1, 2, 1, 1} {
		d, l := newDevice(2), &log{cut: cut}
		o := processor.Options{Platform: d, Identity: identity, Journal: l}
		if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		l.cut = -1
		if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
			t.Fatal(err)
		}
		invoked := 0
		for _, e := range d.log {
			if e == "invoke 00 " {
				invoked++
			}
		}
		if invoked != want || d.components["01"].content != *digest("main") {
			t.Errorf("cut %d: %v", cut, d.log)
		}
	}
}

// Steps of another manifest void those before them, and are no steps of this one.
func TestJournalOfAnotherManifest(t *testing.T) {
	first := open(t, release(2, shared(), seq{index(0), con("a"), write, index(1), con("b"), write}, nil))
	second := open(t, release(2, shared(), seq{index(0), con("z"), write}, nil))
	for _, cut := range []bool{false, true} { // the second
		s := newStore(map[string]string{"00": "zero", "01": "one"})
		o := processor.Options{Platform: unmatched{s}, Identity: identity, Journal: &log{cut: -1}}
		for _, v := range []*manifest.Verified{first, second} {
			if s.fail = "write 01"; cut && v == second {
				s.fail, s.cut = "write 00", true
			}
			err := startWith(t, v, o, manifest.SectionInstall)
			if want := v == first || cut; want != errors.Is(err, errCut) {
				t.Fatal(err)
			}
		}
		s.fail = ""
		if err := startWith(t, first, o, manifest.SectionInstall); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"write 00", "write 01", "write 00", "write 00", "write 01"}, s.log); diff != "" {
			t.Errorf("cut %v: %s", cut, diff)
		}
	}
}

// unmatched is a store whose components can be written, and nothing else.
type unmatched struct{ *store }

func (u unmatched) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := u.store.Component(id)
	if err != nil {
		return nil, err
	}
	return struct{ processor.Writer }{c.(*cell)}, nil
}

// The journal does not grow with attempts that get no further.
func TestJournalDoesNotGrow(t *testing.T) {
	s := newStore(map[string]string{"00": "zero", "01": "one"})
	s.uris["u"] = []byte("pay")
	install := seq{index(0), of("pay"), uri("u"), fetch, imageMatch, con("pay"), command(manifest.ConditionCheckContent), index(1), of("x"), uri("gone"), fetch}
	v, l := open(t, release(2, shared(), install, nil)), &log{cut: -1}
	for n := range 3 {
		before := len(l.steps)
		err := startWith(t, v, processor.Options{Platform: s, Identity: identity, Journal: l}, manifest.SectionInstall)
		if !errors.Is(err, manifest.ErrDigest) || (n > 0 && len(l.steps) != before) {
			t.Errorf("attempt %d: %v, and the journal grows from %d steps to %d", n, err, before, len(l.steps))
		}
	}
}

// What the device itself counts as a use by the manifest that it is being written by does not keep that from going on.
func TestResumeWhatIsCountedAsItIsWritten(t *testing.T) {
	v := open(t, release(1, shared(), seq{index(0), con("a"), write}, nil))
	for cut := range 2 {
		s, l := newStore(map[string]string{"00": "zero"}), &log{cut: cut}
		o := processor.Options{Platform: s, Identity: identity, Journal: l}
		if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		if l.cut = -1; len(s.log) > 0 {
			s.cells["00"].refs = 1
		}
		if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
			t.Errorf("cut %d: %v", cut, err)
		}
	}
}

// Who has authorized an update, or not, is not asked again once that has led to an effect: it goes on the same way.
func TestResumeAfterAuthorization(t *testing.T) {
	authorized := seq{params(manifest.Parameters{UpdatePriority: new(int64(1))}), command(manifest.ConditionUpdateAuthorized)}
	install := seq{index(0), try(append(authorized, con("yes"), write), seq{con("no"), write}), index(1), con("last"), write}
	v := open(t, release(2, shared(), install, nil))
	for _, denied := range []bool{false, true} {
		s := newStore(map[string]string{"00": "zero", "01": "one"})
		o := processor.Options{Platform: s, Identity: identity, Journal: &log{cut: -1}}
		s.denied, s.fail = denied, "write 01"
		if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		s.denied = !denied
		if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"write 00", "write 01", "write 01"}, s.log); diff != "" {
			t.Errorf("denied %v: %s", denied, diff)
		}
		if want := map[bool]string{false: "yes", true: "no"}[denied]; string(s.cells["00"].content) != want {
			t.Errorf("got %q, want %q", s.cells["00"].content, want)
		}
	}
}

// Before a swap that has begun is finished, nobody knows what is where: Check asks no component about it.
func TestCheckAmidSwap(t *testing.T) {
	long := params(manifest.Parameters{Version: &manifest.VersionMatch{Comparison: manifest.VersionEqual, Version: []int64{6}}})
	v := open(t, release(2, shared(), seq{index(0), from(1), swap, long, command(manifest.ConditionVersion)}, nil))
	s := newStore(map[string]string{"00": "one", "01": "longer"})
	o := processor.Options{Platform: s, Identity: identity, Journal: &log{cut: -1}}
	s.fail, s.cut = "swap 00 01", true // the power fails when it is done
	if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	p, err := processor.New(t.Context(), v, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(t.Context(), manifest.SectionInstall); err != nil {
		t.Error(err)
	}
	if err := p.Run(t.Context(), manifest.SectionInstall); err != nil || string(s.cells["00"].content) != "longer" {
		t.Errorf("got %v, %q", err, s.cells["00"].content)
	}
}

// A journal that cannot be read stops everything.
func TestUnreadableJournal(t *testing.T) {
	v := open(t, workload())
	for name, l := range map[string]processor.Journal{
		"damaged":      &log{steps: [][]byte{{0x80}}, cut: -1},
		"unknown kind": oneStep{processor.Step{Manifest: v.Digest(), Kind: 9}},
	} {
		d := v1Device()
		err := startWith(t, v, processor.Options{Platform: d, Identity: identity, Journal: l}, update...)
		if !errors.Is(err, processor.ErrJournal) || d.log != nil {
			t.Errorf("%s: got %v after %v", name, err, d.log)
		}
	}
}

type oneStep struct{ s processor.Step }

func (o oneStep) Steps() ([]processor.Step, error) { return []processor.Step{o.s}, nil }
func (oneStep) Append(processor.Step) error        { return errCut }
