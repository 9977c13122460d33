// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// raw is a store whose components are raw slots: Match does not know how long their content is. The content of "01" becomes
// another one after each Match, if there is one for that.
type raw struct {
	*store
	then string
}

type rawSlot struct {
	*cell
	d *raw
}

func (d *raw) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := d.store.Component(id)
	if err != nil {
		return nil, err
	}
	return rawSlot{c.(*cell), d}, nil
}

func (c rawSlot) Match(_ context.Context, want verify.Digest, size int64) error {
	if int64(len(c.content)) < size || verify.Sum(want.Hash(), c.content[:size]) != want {
		return manifest.ErrDigest
	}
	if c.name == "01" && c.d.then != "" {
		c.content = []byte(c.d.then)
	}
	return nil
}

// What a copy takes from a source that was matched is the image that was matched, and nothing else.
//
// covers: CMD-09
func TestCMD_14_CopyTakesWhatWasMatched(t *testing.T) {
	s0 := secrets()[0]
	decrypting := params(manifest.Parameters{EncryptionInfo: s0.info})
	for _, tt := range []struct {
		name         string
		source, then string
		image        string // that the source is matched with
		target       manifest.Command
		want         string
		err          error
	}{
		{"the same", "good", "", "good", from(1), "good", nil},
		{"behind it is more", "good and more", "", "good", from(1), "good", nil},
		{"behind it is more, the target has the digest", "good and more", "", "good", of("good"), "good", nil},
		{"behind it is more, the target has another size", "good and more", "", "good",
			params(manifest.Parameters{ImageDigest: digest("good"), ImageSize: new(uint64(5))}), "zero", manifest.ErrDigest},
		{"it has changed since", "good", "evil", "good", from(1), "zero", manifest.ErrDigest},
		{"it is shorter since", "good", "goo", "good", from(1), "zero", manifest.ErrDigest},
		{"ciphertext, behind it is more", s0.ciphertext + " and more", "", s0.ciphertext, decrypting, s0.plain, nil},
		{"ciphertext has changed since", s0.ciphertext, secrets()[2].ciphertext, s0.ciphertext, decrypting, "zero", manifest.ErrDigest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": tt.source})
			v := open(t, release(2, shared(), seq{index(1), of(tt.image), imageMatch, index(0), tt.target, from(1), copyc}, nil))
			o := processor.Options{Platform: &raw{s, tt.then}, Identity: identity, Decrypter: recipient()}
			err := startWith(t, v, o, manifest.SectionInstall)
			if got := string(s.cells["00"].content); !errors.Is(err, tt.err) || got != tt.want {
				t.Errorf("got %v, %q; want %v, %q", err, got, tt.err, tt.want)
			}
		})
	}
}

// A match from before an interruption answers where the run goes on, not what is copied or invoked now.
//
// covers: CMD-14
func TestResumeDoesNotTrustAnOldMatch(t *testing.T) {
	for _, tt := range []struct {
		name    string
		install seq // begins with an image-match of component 1
		invoke  seq
	}{
		{"copy", seq{index(0), from(1), copyc}, nil},
		{"invoke", seq{invoke, index(0), con("x"), write}, nil},
		{"invoke in its own section", seq{index(0), con("x"), write}, seq{index(1), invoke}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := release(2, shared(), append(seq{index(1), of("good"), imageMatch}, tt.install...), nil)
			sections := []manifest.Section{manifest.SectionInstall}
			if m.Invoke = tt.invoke; m.Invoke != nil {
				sections = append(sections, manifest.SectionInvoke)
			}
			v := open(t, m)
			for _, change := range []bool{false, true} {
				s := newStore(map[string]string{"00": "zero", "01": "good"})
				o := processor.Options{Platform: s, Identity: identity, Journal: &log{cut: -1}}
				if s.fail = "write 00"; tt.name == "invoke" {
					s.fail = "invoke 01 "
				}
				if err := startWith(t, v, o, sections...); !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				if s.log = nil; change {
					s.cells["01"].content = []byte("evil")
				}
				err := startWith(t, v, o, sections...)
				switch {
				case !change && err != nil:
					t.Error(err)
				case change && !errors.Is(err, manifest.ErrDigest):
					t.Errorf("got %v after %v, want ErrDigest", err, s.log)
				case change && (string(s.cells["00"].content) == "evil" || len(s.log) > 1):
					t.Errorf("another content was copied or invoked: %v", s.log)
				}
			}
		})
	}
}
