// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// What comes if an answer that nobody knows yet is no is rehearsed, too: it is not found out after an effect that it cannot be done.
func TestOtherAlternativeRehearsed(t *testing.T) {
	authorized := seq{params(manifest.Parameters{UpdatePriority: new(int64(1))}), command(manifest.ConditionUpdateAuthorized)}
	notDone := seq{params(manifest.Parameters{UpdatePriority: new(int64(9))}), command(manifest.ConditionUpdateAuthorized)}
	sealed := params(manifest.Parameters{Content: []byte("x"), EncryptionInfo: secrets()[0].info})
	for _, tt := range []struct {
		name string
		rest seq
		want error
	}{
		{"a URI that is refused", seq{try(authorized, seq{of("pay"), uri("file:///etc/shadow"), fetch})}, verify.ErrPolicy},
		{"no parameter", seq{try(authorized, seq{fetch})}, manifest.ErrCommand},
		{"a source that may not be read", seq{try(authorized, seq{of("one"), from(1), copyc})}, verify.ErrPolicy},
		{"no decrypter", seq{try(authorized, seq{sealed, write})}, manifest.ErrUnsupported},
		{"what follows", seq{try(append(authorized, uri("u")), seq{uri("file:///etc/shadow")}), of("pay"), fetch}, verify.ErrPolicy},
		{"the third", seq{try(authorized, notDone, seq{fetch})}, manifest.ErrCommand},
		{"a run-sequence", seq{run(append(seq{softly}, append(authorized, uri("u"))...)...), of("pay"), fetch}, manifest.ErrCommand},
		{"both are not", seq{run(append(seq{softly}, append(authorized, uri("u"))...)...), run(append(seq{softly}, append(authorized, uri("v"))...)...),
			of("pay"), fetch}, manifest.ErrCommand},
		{"one of three is", seq{run(append(seq{softly}, append(authorized, con("u"))...)...), run(append(seq{softly}, append(authorized, con("v"))...)...),
			con("w"), run(append(seq{softly}, append(authorized, con("x"))...)...), write}, nil},
		{"content that nobody knows", seq{params(manifest.Parameters{Version: &manifest.VersionMatch{Comparison: manifest.VersionGreaterEqual, Version: []int64{0}}}),
			try(seq{command(manifest.ConditionVersion)}, seq{fetch})}, manifest.ErrCommand},
		{"both can be done", seq{try(authorized, seq{con("second"), write})}, nil},
		{"it ends there", seq{try(authorized, seq{abort})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one"})
			acl := only(func(a processor.Access) bool { return !a.Source })
			err := runStore(t, s, append(seq{con("first"), write}, tt.rest...), processor.Options{Access: acl})
			if tt.want != nil {
				s.refused(t, err, tt.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// A custom condition can be answered by the component alone that has it: what it will say of content that is elsewhere until then is not known.
func TestCustomConditionOfWhatComes(t *testing.T) {
	s := newStore(map[string]string{"00": "zero", "01": "one"})
	v, err := openWith(t, registry, release(2, shared(), seq{index(0), from(1), swap, try(seq{command(-256)}, seq{fetch})}, nil))
	if err != nil {
		t.Fatal(err)
	}
	s.refused(t, startWith(t, v, processor.Options{Platform: s, Identity: identity}, manifest.SectionInstall), manifest.ErrCommand)
}

// The platform is asked about an image once, however many rehearsals depend on the answer.
func TestRehearsalsAskOnce(t *testing.T) {
	p := &slow{store: newStore(map[string]string{"00": "zero", "01": "one"})}
	priority := seq{params(manifest.Parameters{UpdatePriority: new(int64(1))}), command(manifest.ConditionUpdateAuthorized)}
	install := seq{index(0), tryOrNil(seq{of("other"), imageMatch}, priority), tryOrNil(priority, seq{checkVendor}), tryOrNil(priority, seq{checkVendor})}
	pr, err := processor.New(t.Context(), open(t, release(2, shared(), install, nil)), processor.Options{Platform: p, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	if err := pr.Check(t.Context(), manifest.SectionInstall); err != nil || p.asked != 1 {
		t.Errorf("got %v, asked %d times", err, p.asked)
	}
}

// A condition that costs little is asked before the first effect, if what it is about does not change until then.
func TestVersionBeforeEffects(t *testing.T) {
	nine := params(manifest.Parameters{Version: &manifest.VersionMatch{Comparison: manifest.VersionGreaterEqual, Version: []int64{9}}})
	for name, condition := range map[string]seq{
		"version":       {nine, command(manifest.ConditionVersion)},
		"check-content": {con("other"), command(manifest.ConditionCheckContent)},
	} {
		s := newStore(map[string]string{"00": "zero", "01": "one"})
		err := runStore(t, s, append(seq{con("x"), write, index(1)}, condition...), processor.Options{})
		s.refused(t, err, manifest.ErrCondition)
		if diff := cmp.Diff("zero", string(s.cells["00"].content)); diff != "" {
			t.Error(name, diff)
		}
	}
}
