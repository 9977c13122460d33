// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"bytes"
	"fmt"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// signing is one version of a role: which keys it has from then on, how many of them are needed, and who signed it.
type signing struct {
	keys      []int
	threshold int
	signers   []int
}

func signers(numbers []int) []verify.Signer {
	list := []verify.Signer{}
	for _, n := range numbers {
		list = append(list, tuftest.Ed25519(30+n))
	}
	return list
}

func (w *world) sign(role tuf.Role, s signing) {
	w.Keys[role], w.Thresholds[role], w.Signers[role] = signers(s.keys), s.threshold, signers(s.signers)
}

var (
	fiveKeys = []int{0, 1, 2, 3, 4}
	fiveNext = []int{0, 1, 3, 4, 5} // 2 is gone and 5 is new
	fiveElse = []int{5, 6, 7, 8, 9}
	three    = []int{1, 2, 3}
)

// rootRotations: each root is signed by a threshold of the keys before it, and by a threshold of its own (5.3.4, 5.3.5).
func rootRotations() (cases []Case) {
	for _, c := range []struct {
		name     string
		versions []signing
		refused  bool // the last one
	}{
		{"1-of-1-key-rotation", []signing{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{2, 1}}, {[]int{2}, 1, []int{2}}}, false},
		{"1-of-1-key-rotation-unused-signatures", []signing{{[]int{1}, 1, []int{3, 1, 4}}, {[]int{2}, 1, []int{3, 2, 1, 4}}, {[]int{2}, 1, []int{3, 2, 4}}}, false},
		{"3-of-5-sign-with-different-keycombos", []signing{
			{fiveKeys, 3, []int{0, 2, 4}}, {fiveKeys, 3, []int{0, 4, 1}}, {fiveKeys, 3, []int{0, 1, 3}}, {fiveKeys, 3, []int{0, 1, 3}},
		}, false},
		{"3-of-5-one-key-rotated", []signing{{fiveKeys, 3, []int{0, 2, 4}}, {fiveNext, 3, []int{0, 4, 1}}}, false},
		{"3-of-5-one-key-rotated-with-intermediate-step", []signing{
			{fiveKeys, 3, []int{0, 2, 4}}, {fiveNext, 3, []int{0, 2, 4, 5}}, {fiveNext, 3, []int{0, 4, 5}},
		}, false},
		{"3-of-5-all-keys-rotated-with-intermediate-step", []signing{
			{fiveKeys, 3, []int{0, 2, 4}}, {fiveElse, 3, []int{0, 2, 4, 5, 6, 7}}, {fiveElse, 3, []int{5, 6, 7}},
		}, false},
		{"1-of-3-threshold-increase-to-2-of-3", []signing{{three, 1, []int{1}}, {three, 2, []int{1, 2}}}, false},
		{"2-of-3-threshold-decrease-to-1-of-3", []signing{{three, 2, []int{1, 2}}, {three, 1, []int{1, 2}}, {three, 1, []int{1}}}, false},
		{"1-of-2-threshold-increase-to-2-of-2", []signing{{[]int{1}, 1, []int{1}}, {[]int{1, 2}, 2, []int{1, 2}}}, false},
		{"1-of-1-key-rotation-fail-not-signed-with-old-key", []signing{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{2, 3, 4}}}, true},
		{"1-of-1-key-rotation-fail-not-signed-with-new-key", []signing{{[]int{1}, 1, []int{1}}, {[]int{2}, 1, []int{1, 3, 4}}}, true},
		{"3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys", []signing{{fiveKeys, 3, []int{0, 2, 4}}, {fiveNext, 3, []int{0, 2, 4}}}, true},
		{"3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys", []signing{{fiveKeys, 3, []int{0, 2, 4}}, {fiveNext, 3, []int{0, 4, 5}}}, true},
		{"1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached", []signing{{three, 1, []int{1}}, {three, 2, []int{2}}}, true},
		{"2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached", []signing{{three, 2, []int{1, 2}}, {three, 1, []int{1}}}, true},
	} {
		cases = append(cases, Case{"test_updater_key_rotations.py::test_root_rotation[" + c.name + "]", func(w *world) {
			w.restart(root, 1)
			for _, version := range c.versions {
				w.sign(root, version)
				w.Publish(root)
			}
			w.Publish()
			last := w.Version[root]
			if c.refused {
				w.refuses()
				last--
			} else {
				w.accepts()
			}
			if !bytes.Equal(w.c.Trusted()["root"], w.Root(int(last))) {
				w.Fatalf("trusts root %s, want %d", w.version(root), last)
			}
		}})
	}
	return cases
}

// roleRotations: root gives the other roles new keys, and nothing that others signed is trusted then.
func roleRotations() (cases []Case) {
	for _, c := range []struct {
		name    string
		next    signing
		refused bool
	}{
		{"1-of-1-key-rotation", signing{[]int{2}, 1, []int{2}}, false},
		{"1-of-1-key-rotation-unused-signatures", signing{[]int{1}, 1, []int{3, 1, 4}}, false},
		{"1-of-1-key-rotation-fail-not-signed-with-new-key", signing{[]int{2}, 1, []int{1, 3, 4}}, true},
		{"3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys", signing{fiveNext, 3, []int{0, 2, 4}}, true},
		{"2-of-5-one-key-signature-mising-threshold-not-reached", signing{fiveNext, 3, []int{0, 4}}, true},
		{"3-of-5-sign-first-combo", signing{fiveKeys, 3, []int{0, 2, 4}}, false},
		{"3-of-5-sign-second-combo", signing{fiveKeys, 3, []int{0, 4, 1}}, false},
		{"3-of-5-sign-third-combo", signing{fiveKeys, 3, []int{0, 1, 3}}, false},
		{"3-of-5-sign-fourth-combo", signing{fiveKeys, 3, []int{1, 2, 3}}, false},
		{"3-of-5-sign-fifth-combo", signing{fiveKeys, 3, []int{2, 3, 4}}, false},
	} {
		cases = append(cases, Case{"test_updater_key_rotations.py::test_non_root_rotations[" + c.name + "]", func(w *world) {
			w.accepts()
			for _, role := range []tuf.Role{timestamp, snapshot, targets} {
				w.sign(role, c.next)
				w.publishAll()
				if !c.refused {
					w.accepts()
					w.trustsServed(role)
					continue
				}
				w.refuses()
				w.trustsVersion(root, fmt.Sprint(w.Version[root]))
				if bytes.Equal(w.c.Trusted()[string(role)], w.Files[w.Name(role)]) {
					w.Fatalf("trusts a %s that its keys did not sign", role)
				}
			}
		}})
	}
	return cases
}
