// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// The targets below give a role's parser a signed part that its keys signed, whatever it is, and the same bytes as a file. A file
// that is refused leaves the Set as it was and has a class; one that is taken is what was signed.

// fuzzRole seeds f with what the role publishes in a repository of every feature, and with malformed variants.
func fuzzRole(f *testing.F, role tuf.Role, check func(t *testing.T, s *tuf.Set, signed []byte)) {
	r := featured()
	for _, edit := range []func(map[string]any){
		func(map[string]any) {},
		func(m map[string]any) { m["version"] = json.Number("9223372036854775807") },
		func(m map[string]any) { delete(m, "expires") },
		func(m map[string]any) { m["x-unknown"] = []any{nil, true, "\u2028"} },
	} {
		signed := r.Signed(role)
		if role == tuf.RoleRoot || role == tuf.RoleTimestamp {
			signed["version"] = r.Version[role] + 1
		}
		edit(signed)
		text, err := json.Marshal(signed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{"{}", "null", "[]", `{"_type":"` + string(role) + `"}`, `{"_type":"` + string(role) + `","spec_version":"1.0.34","version":9,"expires":"2030-01-01T00:00:00Z"}`} {
		f.Add([]byte(text))
	}
	start, err := tuf.NewSet(r.Root(1))
	if err == nil {
		err = refresh(start, r)
	}
	if err != nil {
		f.Fatal(err)
	}
	keys := r.Keys[role]
	f.Fuzz(func(t *testing.T, signed []byte) {
		if len(signed) > 1<<16 {
			return
		}
		for _, data := range [][]byte{signed, signedFile(signed, keys)} {
			s := *start
			err := next(&s, role, data, r.Now)
			if err == nil {
				if &data[0] == &signed[0] {
					t.Fatalf("taken without a signature: %s", data)
				}
				check(t, &s, signed)
				continue
			}
			if s.Root() != start.Root() || s.Timestamp() != start.Timestamp() || s.Snapshot() != start.Snapshot() || s.Targets() != start.Targets() {
				t.Fatal("a refused file changed the Set")
			}
			classes := []error{tuf.ErrMalformed, tuf.ErrThreshold, tuf.ErrRollback, tuf.ErrFreeze, tuf.ErrMixAndMatch}
			if !isOneOf(err, classes) {
				t.Fatalf("an error without a class: %v", err)
			}
		}
	})
}

// next applies data to the Set as the file of role that follows.
func next(s *tuf.Set, role tuf.Role, data []byte, at time.Time) error {
	switch role {
	case tuf.RoleSnapshot:
		return s.UpdateSnapshot(data, at)
	case tuf.RoleTargets:
		return s.UpdateTargets(data, at)
	}
	return update(s, role, data, at)
}

func isOneOf(err error, classes []error) bool {
	for _, class := range classes {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// featured has delegations by patterns, by prefixes and in bins, hashes, a threshold of two and keys of every type.
func featured() *tuftest.Repo {
	r := tuftest.New()
	r.Keys[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(0), testkeys.P256(0), testkeys.MLDSA65(0)}
	r.Thresholds[tuf.RoleRoot] = 2
	r.Delegate(tuf.RoleTargets, "A", map[string]any{"paths": []any{"a/*", "b/?"}})
	r.Delegate(tuf.RoleTargets, "B", map[string]any{"path_hash_prefixes": []any{"0", "1f"}, "terminating": true})
	r.DelegateBins("A", "bin", 1)
	// A snapshot of any version can follow.
	r.Hashes = false
	for role := range r.DelegatedTargets {
		r.Publish(role)
	}
	r.Publish(tuf.RoleRoot)
	r.Publish()
	return r
}

// signedFile is a metadata file in which every key signed the text, if it has a canonical form.
func signedFile(signed []byte, keys []verify.Signer) []byte {
	canonical, err := tuf.Canonical(signed)
	if err != nil {
		canonical = signed
	}
	var list []byte
	for i, key := range keys {
		sig, err := key.Sign(context.Background(), canonical)
		if err != nil {
			panic(err)
		}
		if i > 0 {
			list = append(list, ',')
		}
		list = fmt.Appendf(list, `{"keyid":%q,"sig":"%x"}`, tuftest.KeyID(key.Public()), sig)
	}
	return bytes.Join([][]byte{[]byte(`{"signatures":[`), list, []byte(`],"signed":`), signed, []byte(`}`)}, nil)
}

// version is what encoding/json, which nobody here wrote, reads as the version.
func version(t *testing.T, signed []byte) int64 {
	t.Helper()
	var m map[string]json.RawMessage
	var n int64
	if err := json.Unmarshal(signed, &m); err != nil || json.Unmarshal(m["version"], &n) != nil {
		t.Fatalf("taken, and no JSON: %v: %s", err, signed)
	}
	return n
}

func FuzzRoot(f *testing.F) {
	fuzzRole(f, tuf.RoleRoot, func(t *testing.T, s *tuf.Set, signed []byte) {
		if got := s.Root().Version(); got != version(t, signed) || got != 3 {
			t.Errorf("root %d after 2: %s", got, signed)
		}
		for _, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets} {
			if s.Root().Threshold(role) < 1 {
				t.Errorf("%s has the threshold %d", role, s.Root().Threshold(role))
			}
		}
		if len(s.Root().Keys(tuf.RoleRoot)) < s.Root().Threshold(tuf.RoleRoot) {
			t.Error("a root that its own keys cannot have signed")
		}
	})
}

func FuzzTimestamp(f *testing.F) {
	fuzzRole(f, tuf.RoleTimestamp, func(t *testing.T, s *tuf.Set, signed []byte) {
		if got := s.Timestamp().Version(); got < 1 || s.Timestamp().Snapshot().Version < 1 {
			t.Errorf("timestamp %d, snapshot %d: %s", got, s.Timestamp().Snapshot().Version, signed)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	fuzzRole(f, tuf.RoleSnapshot, func(t *testing.T, s *tuf.Set, signed []byte) {
		if got := s.Snapshot().Version(); got != version(t, signed) || got != s.Timestamp().Snapshot().Version {
			t.Errorf("snapshot %d: %s", got, signed)
		}
		if m, ok := s.Snapshot().Meta("targets.json"); !ok || m.Version < 1 {
			t.Errorf("targets version %d: %s", m.Version, signed)
		}
	})
}

func FuzzTargets(f *testing.F) {
	fuzzRole(f, tuf.RoleTargets, func(t *testing.T, s *tuf.Set, signed []byte) {
		if got := s.Targets().Version(); got != version(t, signed) {
			t.Errorf("targets %d: %s", got, signed)
		}
		n := 0
		for file, err := range s.Targets().All() {
			if err != nil {
				t.Fatal(err)
			}
			if again, err := s.Targets().Target(file.Path); err != nil || again.Length != file.Length || file.Length < 0 {
				t.Errorf("%q: %+v, %v", file.Path, again, err)
			}
			if file.Custom != nil && !json.Valid(file.Custom) {
				t.Errorf("%q: custom %q", file.Path, file.Custom)
			}
			n++
		}
		if n != s.Targets().Len() {
			t.Errorf("%d targets, Len %d", n, s.Targets().Len())
		}
		for _, path := range []string{"a/x", "b/y", "c"} {
			for _, d := range s.Targets().Delegations(path) {
				if keys, threshold := d.Keys(); threshold < 1 {
					t.Errorf("delegation to %q: %d of %d", d.Name(), threshold, len(keys))
				}
				if tuf.CheckRoleName(d.Name()) != nil {
					t.Errorf("role name %q", d.Name())
				}
			}
		}
	})
}
