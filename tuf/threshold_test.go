// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// rawVersion signs a timestamp whose version is the given JSON text, which need not be a number that Go can hold. What
// cannot be made canonical is signed by nobody: it must be refused before that matters.
func rawVersion(r *tuftest.Repo, version string) []byte {
	signed := r.Signed(tuf.RoleTimestamp)
	signed["version"] = json.RawMessage(version)
	text, err := json.Marshal(signed)
	if err != nil {
		panic(err)
	}
	if _, err := tuf.Canonical(text); err != nil {
		return tuftest.Envelope(signed, []any{})
	}
	return tuftest.Sign(signed, r.Keys[tuf.RoleTimestamp]...)
}

// TestTUF_12: one key must never count twice, whichever way it is written twice.
func TestTUF_12_ThresholdCountsKeys(t *testing.T) {
	a, b := testkeys.Ed25519(30), testkeys.P256(31)
	for _, threshold := range []int{2, 3} {
		for name, cheat := range map[string]func(role map[string]any, keys map[string]any, sigs []any) []any{
			"one key": func(_, _ map[string]any, sigs []any) []any { return sigs },
			"same signature repeated": func(_, _ map[string]any, sigs []any) []any {
				return append(sigs, sigs[0], sigs[0])
			},
			"key id repeated in the role": func(role, _ map[string]any, sigs []any) []any {
				ids := role["keyids"].([]any)
				role["keyids"] = append(ids, ids[0], ids[0])
				return sigs
			},
			"one key under several ids": func(role, keys map[string]any, sigs []any) []any {
				for _, id := range []string{"aa", "bb", "cc"} {
					keys[id] = tuftest.KeyJSON(a.Public())
					role["keyids"] = append(role["keyids"].([]any), id)
					sigs = append(sigs, map[string]any{"keyid": id, "sig": sigs[0].(map[string]any)["sig"]})
				}
				return sigs
			},
			"one key in two spellings": func(role, keys map[string]any, sigs []any) []any {
				public := tuftest.KeyJSON(a.Public())["keyval"].(map[string]any)["public"].(string)
				for _, text := range []string{strings.ToUpper(public), public} {
					id := fmt.Sprintf("id-%s", text[:4])
					keys[id] = map[string]any{"keytype": "ed25519", "scheme": "ed25519", "extra": 1, "keyval": map[string]any{"public": text}}
					role["keyids"] = append(role["keyids"].([]any), id)
					sigs = append(sigs, map[string]any{"keyid": id, "sig": sigs[0].(map[string]any)["sig"]})
				}
				return sigs
			},
		} {
			t.Run(fmt.Sprintf("%s/%d", name, threshold), func(t *testing.T) {
				r := tuftest.New()
				r.Keys[tuf.RoleTimestamp] = []verify.Signer{a, b, testkeys.P256(32)}
				r.Thresholds[tuf.RoleTimestamp] = threshold
				timestamp := r.Signed(tuf.RoleTimestamp)
				sigs := []any{nil}
				r.Edit = func(role tuf.Role, signed map[string]any) {
					if role != tuf.RoleRoot {
						return
					}
					sigs[0] = tuftest.Signature(timestamp, a)
					sigs = cheat(signed["roles"].(map[string]any)["timestamp"].(map[string]any), signed["keys"].(map[string]any), sigs)
				}
				r.Publish(tuf.RoleRoot)
				s, err := tuf.NewSet(r.Root(1))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.UpdateRoot(r.Root(2)); err != nil {
					t.Fatal(err)
				}
				if _, err := s.UpdateTimestamp(tuftest.Envelope(timestamp, sigs), r.Now); !errors.Is(err, tuf.ErrThreshold) || !errors.Is(err, verify.ErrThreshold) {
					t.Errorf("one signer, threshold %d: %v, want ErrThreshold", threshold, err)
				}
				if _, err := s.UpdateTimestamp(tuftest.Sign(timestamp, r.Keys[tuf.RoleTimestamp][:threshold]...), r.Now); err != nil {
					t.Errorf("%d signers: %v", threshold, err)
				}
			})
		}
	}
}

func TestTUF_13_ThresholdValue(t *testing.T) {
	for _, c := range []struct {
		threshold any
		want      error
	}{
		{0, tuf.ErrMalformed}, {-1, tuf.ErrMalformed}, {json.RawMessage("null"), tuf.ErrMalformed}, {"1", tuf.ErrMalformed},
		{json.RawMessage("9223372036854775808"), tuf.ErrMalformed}, {true, tuf.ErrMalformed}, {[]int{1}, tuf.ErrMalformed},
		{2, tuf.ErrThreshold}, {int64(1) << 62, tuf.ErrThreshold},
	} {
		for _, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets} {
			r := tuftest.New()
			s := refreshed(t, r)
			r.Thresholds[role] = c.threshold
			r.Publish(tuf.RoleRoot)
			r.Publish()
			if err := refresh(s, r); !errors.Is(err, c.want) {
				t.Errorf("%s threshold %v: %v, want %v", role, c.threshold, err, c.want)
			}
		}
	}
	r := tuftest.New()
	r.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleRoot {
			delete(signed["roles"].(map[string]any)["targets"].(map[string]any), "threshold")
		}
	}
	r.Publish(tuf.RoleRoot)
	if err := provisioned(t, r).UpdateRoot(r.Root(2)); !errors.Is(err, tuf.ErrMalformed) {
		t.Errorf("no threshold: %v, want ErrMalformed", err)
	}
	r.Edit = func(_ tuf.Role, signed map[string]any) {
		if roles, ok := signed["roles"].(map[string]any); ok {
			roles["targets"].(map[string]any)["keyids"] = []any{}
		}
	}
	r.Put(tuf.RoleRoot)
	r.Edit = nil
	s := provisioned(t, r)
	if err := refresh(s, r); !errors.Is(err, tuf.ErrThreshold) {
		t.Errorf("no keys: %v, want ErrThreshold", err)
	}
}

// provisioned returns a Set that holds the first root and nothing else.
func provisioned(t *testing.T, r *tuftest.Repo) *tuf.Set {
	t.Helper()
	s, err := tuf.NewSet(r.Root(1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTUF_14: what a thief of one role's key can do: no more than make the next step fail.
func TestTUF_14_StolenKey(t *testing.T) {
	for _, c := range []struct {
		role tuf.Role
		want error
	}{
		{tuf.RoleTimestamp, tuf.ErrMixAndMatch}, {tuf.RoleSnapshot, tuf.ErrMixAndMatch}, {tuf.RoleTargets, tuf.ErrMixAndMatch},
	} {
		r := tuftest.New()
		s := refreshed(t, r)
		stolen := map[tuf.Role][]byte{}
		for _, role := range []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
			if role != c.role {
				r.Signers[role] = []verify.Signer{testkeys.Ed25519(66)}
			}
		}
		r.Targets["fw/a.suit"] = []byte("evil")
		old := map[tuf.Role][]byte{}
		for _, role := range []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
			old[role] = r.Files[r.Name(role)]
		}
		r.Publish()
		stolen[c.role] = r.Files[r.Name(c.role)]
		timestamp, snapshot, targets := old[tuf.RoleTimestamp], old[tuf.RoleSnapshot], old[tuf.RoleTargets]
		switch c.role {
		case tuf.RoleTimestamp:
			timestamp = stolen[c.role]
		case tuf.RoleSnapshot:
			snapshot = stolen[c.role]
		case tuf.RoleTargets:
			targets = stolen[c.role]
		}
		fresh := provisioned(t, r)
		_, err := fresh.UpdateTimestamp(timestamp, r.Now)
		if err == nil {
			err = fresh.UpdateSnapshot(snapshot, r.Now)
		}
		if err == nil {
			err = fresh.UpdateTargets(targets, r.Now)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("stolen %s key: %v, want %v", c.role, err, c.want)
		}
		if err := refresh(s, r); err == nil {
			t.Errorf("stolen %s key: accepted", c.role)
		}
	}
}

func TestTUF_15_RootRotation(t *testing.T) {
	old, next := testkeys.Ed25519(0), testkeys.P256(40)
	for _, c := range []struct {
		name    string
		signers []verify.Signer
		want    error
	}{
		{"old and new", []verify.Signer{old, next}, nil},
		{"old only", []verify.Signer{old}, tuf.ErrThreshold},
		{"new only", []verify.Signer{next}, tuf.ErrThreshold},
		{"nobody", []verify.Signer{}, tuf.ErrThreshold},
		{"stranger", []verify.Signer{testkeys.P256(41)}, tuf.ErrThreshold},
	} {
		r := tuftest.New()
		s := refreshed(t, r)
		r.Keys[tuf.RoleRoot] = []verify.Signer{next}
		r.Signers[tuf.RoleRoot] = c.signers
		r.Publish(tuf.RoleRoot)
		err := s.UpdateRoot(r.Root(2))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.want != nil && s.Root().Version() != 1 {
			t.Errorf("%s: root %d trusted", c.name, s.Root().Version())
		}
	}
}

func TestTUF_06_MixAndMatch(t *testing.T) {
	for _, role := range []tuf.Role{tuf.RoleSnapshot, tuf.RoleTargets} {
		for name, spoil := range map[string]func(r *tuftest.Repo){
			"other bytes": func(r *tuftest.Repo) { r.Files[r.Name(role)] = append(r.Files[r.Name(role)], ' ') },
			"other length, no hash": func(r *tuftest.Repo) {
				r.Edit = func(_ tuf.Role, signed map[string]any) {
					if meta, ok := signed["meta"].(map[string]any); ok {
						for _, entry := range meta {
							delete(entry.(map[string]any), "hashes")
						}
					}
				}
				r.Publish()
				r.Edit = nil
				r.Files[r.Name(role)] = append(r.Files[r.Name(role)], ' ')
			},
			"no known hash": func(r *tuftest.Repo) {
				r.Edit = func(at tuf.Role, signed map[string]any) {
					if meta, ok := signed["meta"].(map[string]any); ok {
						for _, entry := range meta {
							entry.(map[string]any)["hashes"] = map[string]any{"blake9": "00"}
						}
					}
				}
				r.Publish()
				r.Edit = nil
			},
			"same length": func(r *tuftest.Repo) {
				r.Files[r.Name(role)] = bytes.Replace(r.Files[r.Name(role)], []byte("\n"), []byte(" "), 1)
			},
			"other version": func(r *tuftest.Repo) {
				r.Hashes = false
				r.Publish(tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp)
				name := r.Name(role)
				r.Version[role]++
				r.Files[name] = r.Build(role)
				r.Version[role]--
			},
		} {
			r := tuftest.New()
			s := refreshed(t, r)
			r.Publish()
			spoil(r)
			t.Run(fmt.Sprintf("%s %s", role, name), func(t *testing.T) {
				refused(t, s, r, tuf.ErrMixAndMatch, func() { r.Publish() })
			})
		}
	}
}
