// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

var (
	integrity = command(manifest.ConditionDependencyIntegrity)
	process   = command(manifest.DirectiveProcessDependency)
)

// tree is a root manifest for component 0 with a dependency for component 0, whose envelope is kept in
// component 1.
type tree struct {
	t     *testing.T
	s     *store
	child manifest.Manifest
	floor uint64
	acl   processor.AccessControl
	limit int
	held  int64
}

func newTree(t *testing.T) *tree {
	m := manifest.Manifest{SequenceNumber: 5, ComponentID: manifest.ComponentID{[]byte("child")}, Components: []manifest.ComponentID{componentID(0)}}
	m.Install.Sequence = seq{params(manifest.Parameters{Content: []byte("child")}), write}
	return &tree{t: t, s: newStore(map[string]string{"00": "zero", "01": ""}), child: m}
}

// root returns a manifest that depends on envelope.
func (tr *tree) root(envelope []byte, install ...manifest.Command) manifest.Manifest {
	u, err := manifest.InspectBytes(envelope)
	if err != nil {
		tr.t.Fatal(err)
	}
	d := u.Digest()
	m := release(1, shared(index(1), params(manifest.Parameters{ImageDigest: &d, ImageSize: new(uint64(len(envelope))), URI: new("#child")})), append(seq{index(1)}, install...), nil)
	m.Dependencies = []manifest.Dependency{{Index: 1, Prefix: componentID(1)}}
	return m
}

func (tr *tree) envelope() []byte {
	b, err := sign(tr.t, manifest.Options{}, tr.child)
	if err != nil {
		tr.t.Fatal(err)
	}
	return b
}

func (tr *tree) run(m manifest.Manifest, payload []byte, sections ...manifest.Section) (*processor.Processor, error) {
	tr.t.Helper()
	var payloads []manifest.Payload
	if payload != nil {
		payloads = []manifest.Payload{{Key: "#child", Data: payload}}
	}
	o := manifest.Options{Compat: manifest.CompatUncheckedDependency} // the processor's own checks are looked at
	b, err := sign(tr.t, o, m, payloads...)
	if err != nil {
		tr.t.Fatal(err)
	}
	v, err := manifest.Options{}.OpenBytes(b, keySet(tr.t, signer.Public()), one(tr.t))
	if err != nil {
		return nil, err
	}
	p, err := processor.New(tr.t.Context(), v, processor.Options{Platform: tr.s, Identity: identity, Access: tr.acl,
		Limits: processor.Limits{Dependencies: tr.limit, Envelopes: tr.held},
		Dependencies: &processor.Dependencies{
			Open: func(b []byte) (*manifest.Verified, error) {
				return manifest.OpenBytes(b, keySet(tr.t, signer.Public()), one(tr.t))
			},
			Floor: func(_ context.Context, id manifest.ComponentID) (uint64, error) {
				if id.Equal(tr.child.ComponentID) {
					tr.t.Errorf("asked for a floor of %v, which the dependency's signers have chosen", id)
				}
				return tr.floor, nil
			},
		}})
	if err != nil {
		return nil, err
	}
	return p, p.Run(tr.t.Context(), sections...)
}

func TestDependency(t *testing.T) {
	tr := newTree(t)
	e := tr.envelope()
	p, err := tr.run(tr.root(e, fetch, imageMatch, integrity, process, index(0), params(manifest.Parameters{Content: []byte("root")}), write), e, manifest.SectionInstall)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fetch 01", "write 00", "write 00"}, tr.s.log); diff != "" || string(tr.s.cells["00"].content) != "root" {
		t.Error(diff)
	}
	got := p.Processed()
	if len(got) != 1 || !got[0].ID.Equal(componentID(1)) || got[0].Sequence != 5 {
		t.Errorf("got %v", got)
	}
}

// A dependency below its own floor is not run.
func TestCMD_15_DependencySequence(t *testing.T) {
	tr := newTree(t)
	e := tr.envelope()
	m := tr.root(e, fetch, integrity, process)
	tr.floor = 6
	_, err := tr.run(m, e, manifest.SectionInstall)
	tr.s.refused(t, err, manifest.ErrSequence)
	tr.floor = 5
	if _, err := tr.run(m, e, manifest.SectionInstall); err != nil {
		t.Error(err)
	}
}

// A dependency has no floor but that of where it is kept, whatever identifier it gives itself, and is not kept where the root is.
//
// draft-ietf-suit-trust-domains-12, section 5.2.1.
func TestCMD_15_DependencyIdentifier(t *testing.T) {
	tr := newTree(t)
	tr.child.ComponentID = manifest.ComponentID{[]byte("root")}
	e := tr.envelope()
	m := tr.root(e, fetch, integrity, process)
	m.ComponentID = manifest.ComponentID{[]byte("root")}
	p, err := tr.run(m, e, manifest.SectionInstall)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Processed(); len(got) != 1 || !got[0].ID.Equal(componentID(1)) {
		t.Errorf("got %v", got)
	}
	tr.s.log = nil
	m.ComponentID = componentID(1)
	_, err = tr.run(m, e, manifest.SectionInstall)
	tr.s.refused(t, err, processor.ErrCycle)
}

// What a dependency sets and does is judged by who has signed it.
func TestCMD_06_DependencyAccess(t *testing.T) {
	tr := newTree(t)
	tr.child.Install.Sequence = seq{{Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{ImageDigest: digest("evil"), ImageSize: new(uint64(4))}}}
	tr.acl = only(func(a processor.Access) bool {
		return a.Command != manifest.DirectiveSetParameters || !slices.Contains(a.Parameters, manifest.ParameterImageDigest)
	})
	e := tr.envelope()
	_, err := tr.run(tr.root(e, fetch, integrity, process), e, manifest.SectionInstall)
	tr.s.refused(t, err, verify.ErrPolicy)
}

type only func(processor.Access) bool

func (f only) Check(a processor.Access) error {
	if f(a) {
		return nil
	}
	return verify.ErrPolicy
}

func TestCMD_02_DependencyLoop(t *testing.T) {
	t.Run("kept where a manifest above it is", func(t *testing.T) {
		tr := newTree(t)
		inner := *newTree(t)
		leaf := inner.envelope()
		tr.child = tr.root(leaf, integrity, process) // its dependency is in component 1, as itself
		e := tr.envelope()
		_, err := tr.run(tr.root(e, fetch, integrity, process), e, manifest.SectionInstall)
		tr.s.refused(t, err, processor.ErrCycle)
		tr.s.refused(t, err, manifest.ErrBudget)
	})
	t.Run("too deep", func(t *testing.T) {
		tr := newTree(t)
		tr.limit = 1
		leaf := newTree(t).envelope()
		tr.s.add("02").content = leaf
		tr.child = tr.root(leaf, integrity, process)
		tr.child.Dependencies[0].Prefix = componentID(2)
		e := tr.envelope()
		m := tr.root(e, fetch, integrity, process)
		_, err := tr.run(m, e, manifest.SectionInstall)
		tr.s.refused(t, err, manifest.ErrBudget)
		tr.limit = 2
		if _, err := tr.run(m, e, manifest.SectionInstall); err != nil {
			t.Error(err)
		}
	})
}

func TestDependencyRefused(t *testing.T) {
	tr := newTree(t)
	e := tr.envelope()
	for _, tt := range []struct {
		name    string
		install seq
		want    error
	}{
		{"integrity of a component", seq{index(0), of("zero"), integrity}, manifest.ErrCommand},
		{"process a component", seq{fetch, integrity, index(0), process}, manifest.ErrCommand},
		{"not processed", seq{fetch, integrity}, manifest.ErrCommand},
		{"written over after the check", seq{fetch, integrity, process, con("x"), write}, manifest.ErrCommand},
		{"swapped away after the check", seq{fetch, integrity, process, from(0), swap}, manifest.ErrCommand},
		{"fetched again as another", seq{fetch, integrity, process, of("x"), uri("u"), fetch}, manifest.ErrCommand},
		{"other digest", seq{fetch, of("x"), integrity, process}, manifest.ErrDigest},
		{"failed integrity is not soft", seq{fetch, of("x"), tryOrNil(seq{integrity}, seq{abort})}, manifest.ErrDigest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t)
			_, err := tr.run(tr.root(e, tt.install...), e, manifest.SectionInstall)
			tr.s.refused(t, err, tt.want)
		})
	}
	t.Run("no way to open it", func(t *testing.T) {
		v := open(t, tr.root(e, fetch, integrity, process), manifest.Payload{Key: "#child", Data: e})
		_, err := processor.New(t.Context(), v, processor.Options{Platform: tr.s, Identity: identity})
		tr.s.refused(t, err, manifest.ErrUnsupported)
	})
}

// A dependency that comes over the network is checked once it is there, before any payload is touched.
func TestDependencyFetchedFirst(t *testing.T) {
	tr := newTree(t)
	tr.child.Components = []manifest.ComponentID{componentID(9)} // the device has none
	e := tr.envelope()
	m := tr.root(e, integrity, process)
	m.DependencyResolution.Sequence = seq{index(1), params(manifest.Parameters{URI: new("u")}), fetch, imageMatch}
	m.Shared = slices.Clone(m.Shared)
	last := *m.Shared[len(m.Shared)-1].Parameters
	last.URI = nil
	m.Shared[len(m.Shared)-1].Parameters = &last
	m.PayloadFetch.Sequence = seq{index(0), params(manifest.Parameters{Content: []byte("payload")}), write}
	tr.s.uris["u"] = e
	_, err := tr.run(m, nil, manifest.SectionDependencyResolution, manifest.SectionPayloadFetch, manifest.SectionInstall)
	if !errors.Is(err, manifest.ErrComponent) || len(tr.s.log) != 1 {
		t.Errorf("got %v after %v, want ErrComponent after the fetch of the dependency", err, tr.s.log)
	}
}

// The last user's unlinking uninstalls the dependency first.
func TestUninstall(t *testing.T) {
	tr := newTree(t)
	tr.child.Uninstall = seq{unlink}
	e := tr.envelope()
	tr.s.cells["01"].content, tr.s.cells["01"].linked, tr.s.cells["00"].linked = e, true, true
	m := tr.root(e, integrity, process)
	m.Uninstall = seq{index(1), integrity, command(manifest.DirectiveUnlink)}
	if _, err := tr.run(m, nil, manifest.SectionUninstall); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"unlink 00", "unlink 01"}, tr.s.log); diff != "" {
		t.Error(diff)
	}
}

// Every cut before and after every effect and every journal step ends in the same state.
func TestM7_CutsWithCopyAndSwap(t *testing.T) {
	for name, program := range map[string]seq{
		"all of them": {index(2), tryOrNil(seq{of("two"), imageMatch, params(manifest.Parameters{Content: []byte("new")}), write}, seq{abort}),
			index(1), of("zero"), from(0), copyc,
			index(0), from(2), swap,
			index(2), of("zero"), from(1), copyc,
			index(1), from(2), swap,
			index(0), of("new"), imageMatch},
		"what was copied is swapped away": {index(1), of("zero"), from(0), copyc, from(2), swap},
	} {
		t.Run(name, func(t *testing.T) { cutEverywhere(t, program) })
	}
}

func cutEverywhere(t *testing.T, program seq) {
	t.Helper()
	v := open(t, release(3, shared(), append(seq{index(0)}, program...), nil))
	initial := map[string]string{"00": "zero", "01": "one", "02": "two"}
	final := map[string]string{}
	runWith := func(s *store, l *log) error {
		return startWith(t, v, processor.Options{Platform: s, Identity: identity, Journal: l}, manifest.SectionInstall)
	}
	whole, l := newStore(initial), &log{cut: -1}
	if err := runWith(whole, l); err != nil {
		t.Fatal(err)
	}
	for id, c := range whole.cells {
		final[id] = string(c.content)
	}
	check := func(s *store, l *log, what string) {
		t.Helper()
		l.cut = -1
		if err := runWith(s, l); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for id, want := range final {
			if got := string(s.cells[id].content); got != want {
				t.Errorf("%s: %s is %q, want %q", what, id, got, want)
			}
		}
	}
	for n := range l.steps {
		for _, after := range []bool{false, true} {
			s, l := newStore(initial), &log{cut: n, after: after}
			if err := runWith(s, l); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			check(s, l, "journal cut")
		}
	}
	for _, effect := range whole.log {
		for _, cut := range []bool{false, true} {
			s, l := newStore(initial), &log{cut: -1}
			s.fail, s.cut = effect, cut
			if err := runWith(s, l); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			check(s, l, effect)
		}
	}
}

// A condition of a dependency that an alternative of the manifest above softens is put to the platform before the first
// effect: the other alternative must be possible too.
func TestDependencyInAlternative(t *testing.T) {
	tr := newTree(t)
	tr.child.Install.Sequence = seq{of("another"), imageMatch}
	e := tr.envelope()
	each := tryOrNil(seq{process}, seq{abort})
	_, err := tr.run(tr.root(e, fetch, integrity, each), e, manifest.SectionInstall)
	tr.s.refused(t, err, manifest.ErrCommand)
}

// A dependency can be copied to where it is kept, and come in the envelope encrypted: what is written is the envelope, opened
// before (trust-domains-12, sections 5.2.2 and 5.3).
func TestDependencyStored(t *testing.T) {
	tr := newTree(t)
	e := tr.envelope()
	info, ciphertext, err := cose.Encrypt(t.Context(), cose.A128GCM, e, cose.Recipient{Wrapper: testkeys.KeyWrapper(1, 16)})
	if err != nil {
		t.Fatal(err)
	}
	tr.child.SequenceNumber++
	another := tr.envelope()
	otherInfo, otherText, err := cose.Encrypt(t.Context(), cose.A128GCM, another, cose.Recipient{Wrapper: testkeys.KeyWrapper(1, 16)})
	if err != nil {
		t.Fatal(err)
	}
	decrypting := func(info []byte) manifest.Command {
		return params(manifest.Parameters{EncryptionInfo: info, URI: new("#encrypted")})
	}
	size := func(n int) manifest.Command { return params(manifest.Parameters{ImageSize: new(uint64(n))}) }
	for _, tt := range []struct {
		name    string
		install seq
		staged  []byte // in component 2
		payload []byte
		want    error
	}{
		{"copied", seq{from(2), copyc}, e, nil, nil},
		{"copied, decrypted", seq{from(2), params(manifest.Parameters{EncryptionInfo: info}), copyc}, ciphertext, nil, nil},
		{"another copied", seq{from(2), copyc}, another, nil, manifest.ErrDigest},
		{"garbage copied", seq{from(2), copyc}, bytes.Repeat([]byte{7}, len(e)), nil, manifest.ErrMalformed},
		{"more copied than was said", seq{from(2), size(len(e) - 1), copyc}, e, nil, nil},
		{"larger than any envelope", seq{from(2), copyc}, make([]byte, manifest.MaxEnvelopeSize+1), nil, manifest.ErrLimit},
		{"integrated", seq{decrypting(info), fetch}, nil, ciphertext, nil},
		{"another integrated", seq{decrypting(otherInfo), fetch}, nil, otherText, manifest.ErrDigest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t)
			tr.s.add("02").content = tt.staged
			m := tr.root(e, append(tt.install, imageMatch, integrity, process)...)
			m.Components = append(m.Components, componentID(7), componentID(2))
			m.Dependencies = []manifest.Dependency{{Index: 3, Prefix: componentID(1)}}
			m.Shared[4], m.Install.Sequence[0] = index(3), index(3)
			tr.s.add("07")
			v := open(t, m, manifest.Payload{Key: "#encrypted", Data: tt.payload})
			err := startWith(t, v, processor.Options{Platform: tr.s, Identity: identity, Decrypter: recipient(), Dependencies: &processor.Dependencies{Floor: noFloor,
				Open: func(b []byte) (*manifest.Verified, error) {
					return manifest.OpenBytes(b, keySet(t, signer.Public()), one(t))
				}}}, manifest.SectionInstall)
			if tt.want != nil {
				tr.s.refused(t, err, tt.want)
			} else if err != nil || string(tr.s.cells["00"].content) != "child" || !bytes.Equal(tr.s.cells["01"].content, e) {
				t.Errorf("got %v after %v", err, tr.s.log)
			}
		})
	}
}

// A dependency that is not there, or is not one, is not the one that is asked for: it can be fetched then.
//
// draft-ietf-suit-manifest-37, section 8.4.9.2.
func TestDependencyImageMatch(t *testing.T) {
	old := newTree(t)
	old.child.SequenceNumber--
	for name, content := range map[string][]byte{"absent": nil, "garbage": []byte("garbage"), "another": old.envelope()} {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t)
			e := tr.envelope()
			tr.s.cells["01"].content = content
			_, err := tr.run(tr.root(e, try(seq{imageMatch}, seq{fetch}), integrity, process), e, manifest.SectionInstall)
			if diff := cmp.Diff([]string{"fetch 01", "write 00"}, tr.s.log); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

// Wherever a dependency is fetched, it is rehearsed before the next effect: what it then is refused for has not been begun, and no
// alternative is tried instead. What was asked before and has changed since is not asked again.
func TestDependencyFetchedLate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		child seq
		want  []string
		err   error
	}{
		{"for another device", seq{con("child"), write, params(manifest.Parameters{ClassID: &other}), checkClass}, []string{"write 00", "fetch 01"}, manifest.ErrNotApplicable},
		{"for this one", seq{con("child"), write}, []string{"write 00", "fetch 01", "write 00", "write 00"}, nil},
	} {
		for _, journal := range []processor.Journal{nil, &log{cut: -1}} {
			t.Run(tt.name, func(t *testing.T) {
				tr := newTree(t)
				tr.child.Install.Sequence = tt.child
				e := tr.envelope()
				m := tr.root(e, index(0), try(seq{of("zero"), imageMatch, con("before"), write}, seq{abort}), index(1), uri("u"), fetch,
					tryOrNil(seq{integrity, process}, seq{abort}), index(0), con("after"), write)
				tr.s.uris["u"] = e
				err := startWith(t, open(t, m), processor.Options{Platform: tr.s, Identity: identity, Journal: journal, Dependencies: &processor.Dependencies{Floor: noFloor,
					Open: func(b []byte) (*manifest.Verified, error) {
						return manifest.OpenBytes(b, keySet(t, signer.Public()), one(t))
					}}}, manifest.SectionInstall)
				if diff := cmp.Diff(tt.want, tr.s.log); diff != "" || !errors.Is(err, tt.err) {
					t.Error(err, diff)
				}
			})
		}
	}
}

// At the end of each section, what a dependency has in it was done, also if nobody has opened the dependency.
//
// draft-ietf-suit-trust-domains-12, section 5.1, second list, 2.
func TestDependencyNeverOpened(t *testing.T) {
	put := seq{index(0), con("root"), write}
	t.Run("it has the section", func(t *testing.T) {
		tr := newTree(t)
		tr.s.cells["01"].content = tr.envelope()
		_, err := tr.run(tr.root(tr.envelope(), put...), nil, manifest.SectionInstall)
		tr.s.refused(t, err, manifest.ErrCommand)
	})
	for name, prepare := range map[string]func(tr *tree){
		"it has another":     func(tr *tree) { tr.child.Install.Sequence, tr.child.Validate = nil, seq{of("root"), imageMatch} },
		"it is not there":    func(tr *tree) {},
		"another is there":   func(tr *tree) { tr.s.cells["01"].content = newTree(t).envelope(); tr.child.SequenceNumber++ },
		"no digest of it":    nil,
		"it is there, later": nil,
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t)
			if prepare != nil {
				prepare(tr)
			}
			e := tr.envelope()
			m := tr.root(e, put...)
			switch {
			case name == "it has another":
				tr.s.cells["01"].content = e
			case name == "no digest of it":
				tr.s.cells["01"].content, m.Shared = e, shared()
			case name == "it is there, later":
				m.PayloadFetch.Sequence = slices.Clone(m.Install.Sequence)
				m.Install.Sequence = seq{index(1), fetch, integrity, process}
			}
			if _, err := tr.run(m, e, manifest.SectionPayloadFetch, manifest.SectionInstall); err != nil {
				t.Error(err)
			}
		})
	}
}

// A dependency that has been overwritten by the end of the section, by who knows what, is not there.
func TestDependencyOverwritten(t *testing.T) {
	tr := newTree(t)
	e := tr.envelope()
	tr.s.cells["01"].content = e
	v, err := openWith(t, registry, tr.root(e, manifest.Command{Code: -257, Custom: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := startWith(t, v, processor.Options{Platform: tr.s, Identity: identity, Dependencies: &processor.Dependencies{Floor: noFloor,
		Open: func(b []byte) (*manifest.Verified, error) {
			return manifest.OpenBytes(b, keySet(t, signer.Public()), one(t))
		}}}, manifest.SectionInstall); err != nil {
		t.Error(err)
	}
}

// One check of its integrity is enough for the sections of a procedure: validate, load and invoke are the Invocation Procedure.
//
// draft-ietf-suit-trust-domains-12, section 5.6.4.
func TestDependencyOncePerProcedure(t *testing.T) {
	tr := newTree(t)
	tr.child.Validate, tr.child.Load = seq{of("child"), imageMatch}, seq{of("child"), imageMatch}
	e := tr.envelope()
	m := tr.root(e, fetch, integrity, process)
	m.Validate, m.Load = seq{index(1), integrity, process}, seq{index(1), process}
	if _, err := tr.run(m, e, manifest.SectionInstall, manifest.SectionValidate, manifest.SectionLoad); err != nil {
		t.Error(err)
	}
	tr.s.log = nil
	m.Validate, m.Load = seq{index(1), process}, nil
	_, err := tr.run(m, e, manifest.SectionInstall, manifest.SectionValidate)
	tr.s.refused(t, err, manifest.ErrCommand)
}

// Of two manifests that have the same dependency, each processes it, and checks it for itself.
func TestDependencyOfTwo(t *testing.T) {
	leaf := newTree(t)
	leaf.child.Install.Sequence = seq{con("leaf"), write}
	inner := leaf.envelope()
	for name, tt := range map[string]struct {
		second seq // of the second manifest that has it
		want   error
	}{
		"both process it":             {seq{index(1), integrity, process}, nil},
		"the second does not":         {seq{index(1), integrity}, manifest.ErrCommand},
		"the second does not open it": {seq{index(0), con("x"), write}, manifest.ErrCommand},
		"the second checks it, twice": {seq{index(1), integrity, process, integrity}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTree(t)
			tr.s.add("02").content = inner
			tr.child = tr.root(inner)
			tr.child.Dependencies[0].Prefix = componentID(2)
			tr.child.Install.Sequence = tt.second
			e, err := sign(t, manifest.Options{Compat: manifest.CompatUncheckedDependency}, tr.child)
			if err != nil {
				t.Fatal(err)
			}
			d := *digestOf(t, inner)
			commands := seq{fetch, index(2), params(manifest.Parameters{ImageDigest: &d, ImageSize: new(uint64(len(inner)))}), integrity, process, index(1), integrity, process}
			m := tr.root(e, commands...)
			m.Components = append(m.Components, componentID(1))
			m.Dependencies = []manifest.Dependency{{Index: 1}, {Index: 2, Prefix: componentID(2)}}
			p, err := tr.run(m, e, manifest.SectionInstall)
			if tt.want != nil {
				tr.s.refused(t, err, tt.want)
			} else if err != nil || len(p.Processed()) != 2 {
				t.Error(err, tr.s.log)
			}
		})
	}
}

func digestOf(t *testing.T, envelope []byte) *verify.Digest {
	t.Helper()
	u, err := manifest.InspectBytes(envelope)
	if err != nil {
		t.Fatal(err)
	}
	d := u.Digest()
	return &d
}

// What is held of dependencies in memory has a bound.
func TestCMD_02_OpenDependencies(t *testing.T) {
	tr := newTree(t)
	e := tr.envelope()
	tr.held = int64(len(e)) - 1
	_, err := tr.run(tr.root(e, fetch, integrity, process), e, manifest.SectionInstall)
	tr.s.refused(t, err, manifest.ErrBudget)
	tr.held++
	if _, err := tr.run(tr.root(e, fetch, integrity, integrity, process), e, manifest.SectionInstall); err != nil {
		t.Error(err)
	}
}
