// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// FuzzClient: a server that goes through any sequence of states, with restarts and damaged files between. Every error has a class, a
// device never finds an older release than it found before (unless root revoked a key), and in the end an honest server is enough.
func FuzzClient(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})
	f.Add([]byte{1, 9, 1, 10, 2, 9, 1, 3, 3, 11, 0})
	f.Add([]byte{1, 14, 1, 15, 9, 1, 15, 15, 9, 14, 0})
	f.Add([]byte{1, 1, 15, 1, 9, 0, 15, 11})
	f.Add([]byte{1, 1, 5, 1, 10, 5, 7, 1, 4, 4, 9, 12, 9})
	classes := []error{
		tuf.ErrThreshold, tuf.ErrRollback, tuf.ErrFreeze, tuf.ErrMixAndMatch, tuf.ErrLength, tuf.ErrHash, tuf.ErrMalformed, tuf.ErrCache, tuf.ErrTransport,
	}
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 64 {
			return
		}
		repo := tuftest.New()
		d := newModeDevice(t, repo, []string{"memory", "medium", "sealed", "sealed, medium"}[len(steps)%4])
		var past []map[string][]byte
		released, found := 0, 0
		for i, step := range steps {
			present := clone(repo.Files)
			switch step % 16 {
			case 0: // nothing new
			case 1, 2:
				released++
				repo.Targets["fw/a.suit"] = []byte{byte(released)}
				repo.Publish()
			case 3: // an older repository, whole
				if len(past) > 0 {
					repo.Files = clone(past[i%len(past)])
				}
			case 4: // one file is older
				if len(past) > 0 {
					repo.Files["metadata/timestamp.json"] = past[i%len(past)]["metadata/timestamp.json"]
				}
			case 5:
				repo.Signers[tuf.RoleSnapshot] = []verify.Signer{testkeys.Ed25519(66)}
				repo.Republish()
				delete(repo.Signers, tuf.RoleSnapshot)
			case 6: // a root by a stranger
				repo.Version[tuf.RoleRoot]++
				repo.Signers[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(66)}
				repo.Files[repo.Name(tuf.RoleRoot)] = repo.Build(tuf.RoleRoot)
				delete(repo.Signers, tuf.RoleRoot)
				repo.Version[tuf.RoleRoot]--
			case 7: // another targets key, which revokes nothing that versions depend on
				repo.Keys[tuf.RoleTargets] = []verify.Signer{testkeys.Ed25519(80 + i)}
				repo.Publish(tuf.RoleRoot)
				repo.Publish()
				present = clone(repo.Files)
			case 8:
				delete(repo.Files, repo.Name(tuf.RoleTargets))
			case 9:
				d.restart()
			case 10:
				d.put("timestamp.json", "damaged")
				d.restart()
			case 11:
				d.put("snapshot.json", "{}")
				d.put("targets.json", "")
				d.restart()
			case 12:
				repo.Files["metadata/timestamp.json"] = []byte{step, 'x'}
			case 13:
				repo.Now = repo.Now.Add(time.Minute)
			case 14:
				d.put("targets.index", "damaged")
				d.restart()
			case 15: // the targets file of another time, beside the index of this one
				if len(past) > 0 {
					for name, data := range past[i%len(past)] {
						if strings.HasSuffix(name, ".targets.json") {
							d.put("targets.json", string(data))
						}
					}
				}
			}
			data, err := d.Find(t.Context(), "fw/a.suit")
			if err != nil && !isAny(err, classes) {
				t.Fatalf("step %d: an error without a class: %v", i, err)
			}
			if now := number(data); err == nil && now < found {
				t.Fatalf("step %d: release %d found after %d", i, now, found)
			} else if err == nil {
				found = now
			}
			if step%16 == 1 || step%16 == 2 {
				present = clone(repo.Files)
			}
			repo.Files = present
			past = append(past, clone(present))
		}
		released++
		repo.Targets["fw/a.suit"] = []byte{byte(released)}
		repo.Publish()
		if data, err := d.Find(t.Context(), "fw/a.suit"); err != nil || number(data) != released {
			t.Fatalf("honest server in the end: %v, %v, want release %d", data, err, released)
		}
	})
}

func isAny(err error, classes []error) bool {
	for _, class := range classes {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// number is the release that a target's bytes stand for; the first one is text.
func number(data []byte) int {
	if len(data) == 1 {
		return int(data[0])
	}
	return 0
}
