// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// files returns what matches a pattern below a directory, by name.
func matching(t *testing.T, s repository.Storage, dir, pattern string) map[string][]byte {
	t.Helper()
	names, err := s.List(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, name := range names {
		if ok, _ := regexp.MatchString(pattern, name); ok {
			if found[name], _, err = s.Get(t.Context(), name, 1<<20); err != nil {
				t.Fatal(err)
			}
		}
	}
	return found
}

// covers: B14
// There is a copy of a target under each of the digests that its metadata lists, whoever signed it; what the publisher signs lists one.
func TestOneCopyPerHash(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, acme := supplied(t, memory, &now)
	if err := r.Publish(ctx, map[string][]byte{"fw/a": []byte("a")}); err != nil {
		t.Fatal(err)
	}
	file := []byte("radio")
	long, both := sha512.Sum512(file), entry(file)
	both["hashes"].(map[string]any)["sha512"] = fmt.Sprintf("%x", long)
	if err := r.Accept(ctx, "acme", acme.targets(t, 1, map[string]any{"acme/radio": both}), map[string][]byte{"acme/radio": file}); err != nil {
		t.Fatal(err)
	}
	if got := matching(t, memory, "targets/acme", "radio$"); len(got) != 2 || !bytes.Equal(got[fmt.Sprintf("targets/acme/%x.radio", long)], file) {
		t.Errorf("%d copies of a target with two digests", len(got))
	}
	if got := matching(t, memory, "targets/fw", "a$"); len(got) != 1 {
		t.Errorf("%d copies of a target with one digest", len(got))
	}
}

// covers: B17
// Every expires that is written is in whole seconds and UTC, whatever the publisher's clock says.
func TestExpiresForm(t *testing.T) {
	zone := time.FixedZone("somewhere", -(3*3600 + 1800))
	ctx, memory := t.Context(), repository.NewMemory()
	now := time.Date(2026, 11, 23, 12, 0, 0, 123456789, zone)
	r, err := repository.Create(ctx, memory, options(&now))
	if err == nil {
		err = r.Publish(ctx, map[string][]byte{"fw/a": []byte("a")})
	}
	if err == nil {
		err = r.RotateRoot(ctx, repository.RootChange{Signers: map[tuf.Role][]verify.Signer{tuf.RoleTimestamp: {testkeys.Ed25519(50)}}})
	}
	if err == nil {
		err = r.Stage(ctx, repository.Change{})
	}
	now = now.Add(24*time.Hour + time.Second)
	if err == nil {
		_, err = r.Refresh(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	form, n := regexp.MustCompile(`"expires": ?"([^"]*)"`), 0
	for _, dir := range []string{"metadata", "staged"} {
		for name, data := range matching(t, memory, dir, "json$") {
			for _, found := range form.FindAllSubmatch(data, -1) {
				n++
				if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`).Match(found[1]) {
					t.Errorf("%s: expires %s", name, found[1])
				}
			}
		}
	}
	if n < 8 {
		t.Errorf("%d times found", n)
	}
}

// adopt replaces a file of the repository by what others made.
func adopt(t *testing.T, s repository.Storage, name string, data []byte) {
	t.Helper()
	_, tag, err := s.Get(t.Context(), name, 1<<20)
	if err == nil {
		err = s.Put(t.Context(), name, bytes.NewReader(data), tag)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// covers: B18 B21
// A repository that other tools began keeps its key ids, which are not hashes of the keys, and the fields that nobody here knows, exactly; and
// its keys sign under those ids.
func TestForeignRepository(t *testing.T) {
	const big = "9007199254740993"
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := repository.NewSigner(p384)
	if err != nil {
		t.Fatal(err)
	}
	key384, err := tuf.NewKey(p384.Public())
	if err != nil {
		t.Fatal(err)
	}
	signers := map[string]verify.Signer{"alice": testkeys.Ed25519(0), "targets-1": slow, "online": testkeys.P256(2)}
	keys := map[string]any{}
	for id, s := range signers {
		key := key384
		if s != slow {
			key = keysOf(t, s)[0]
		}
		keyType, scheme, public := key.KeyVal()
		keys[id] = map[string]any{"keytype": keyType, "scheme": scheme, "keyval": map[string]any{"public": public, "x-slot": json.Number(big)}, "x-keyowner": id}
	}
	role := func(id string) map[string]any {
		return map[string]any{"keyids": []any{id}, "threshold": 1, "x-limit": json.Number(big)}
	}
	envelope := func(signed map[string]any, id string) []byte {
		t.Helper()
		text, err := json.Marshal(signed)
		if err != nil {
			t.Fatal(err)
		}
		canonical, err := tuf.Canonical(text)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := signers[id].Sign(ctx, canonical)
		if err != nil {
			t.Fatal(err)
		}
		return tuftest.Envelope(json.RawMessage(text), []any{map[string]any{"keyid": id, "sig": fmt.Sprintf("%x", sig)}})
	}
	head := func(kind string, more map[string]any) map[string]any {
		signed := map[string]any{"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": "2027-06-01T00:00:00Z", "x-count": json.Number(big), "x-deep": map[string]any{"n": []any{json.Number(big)}}}
		for name, v := range more {
			signed[name] = v
		}
		return signed
	}
	a := []byte("a")
	for name, data := range map[string][]byte{
		"metadata/1.root.json": envelope(head("root", map[string]any{"consistent_snapshot": true, "keys": keys, "roles": map[string]any{
			"root": role("alice"), "targets": role("targets-1"), "snapshot": role("online"), "timestamp": role("online")}}), "alice"),
		"metadata/1.targets.json": envelope(head("targets", map[string]any{"targets": map[string]any{"fw/a": map[string]any{
			"length": 1, "hashes": map[string]any{"sha256": fmt.Sprintf("%x", verify.Sum(verify.SHA256, a).Bytes())}, "custom": map[string]any{"n": json.Number(big)}}}}), "targets-1"),
		"metadata/1.snapshot.json": envelope(head("snapshot", map[string]any{"meta": map[string]any{"targets.json": map[string]any{"version": 1, "x-n": json.Number(big)}}}), "online"),
		"metadata/timestamp.json":  envelope(head("timestamp", map[string]any{"meta": map[string]any{"snapshot.json": map[string]any{"version": 1}}}), "online"),
		fmt.Sprintf("targets/fw/%x.a", verify.Sum(verify.SHA256, a).Bytes()): a,
	} {
		if err := memory.Put(ctx, name, bytes.NewReader(data), ""); err != nil {
			t.Fatal(err)
		}
	}
	o := repository.Options{Now: func() time.Time { return now }, Keys: []verify.Signer{testkeys.Ed25519(9), signers["alice"], slow, signers["online"]}}
	r, err := repository.Open(ctx, memory, o)
	if err != nil {
		t.Fatal(err)
	}
	root, err := r.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	known := deviceOf(t, memory, root, now)
	check := func(step string) {
		t.Helper()
		if data, err := known.Find(ctx, "fw/b"); err != nil || string(data) != step {
			t.Errorf("%s: %q, %v", step, data, err)
		}
		if data, err := deviceOf(t, memory, root, now).Find(ctx, "fw/a"); err != nil || string(data) != "a" {
			t.Errorf("%s: %q, %v", step, data, err)
		}
		if _, custom, err := known.FindCustom(ctx, "fw/a"); err != nil || string(custom) != `{"n":`+big+`}` {
			t.Errorf("%s: custom %s, %v", step, custom, err)
		}
	}
	publish := func(step string) {
		t.Helper()
		if err := r.Publish(ctx, map[string][]byte{"fw/b": []byte(step)}); err != nil {
			t.Fatal(err)
		}
		check(step)
	}
	publish("published")
	if err := r.RotateRoot(ctx, repository.RootChange{}); err != nil {
		t.Fatal(err)
	}
	publish("root renewed")
	if err := r.StageRoot(ctx, map[tuf.Role][]tuf.Key{tuf.RoleTimestamp: append(keysOf(t, signers["online"]), keysOf(t, testkeys.Ed25519(9))...)}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Sign(ctx, tuf.RoleRoot); err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(ctx, tuf.RoleRoot); err != nil {
		t.Fatal(err)
	}
	publish("root completed")
	for name, data := range matching(t, memory, "metadata", `/([3-9]\.\w+|timestamp)\.json`) {
		text := string(data)
		if strings.Contains(text, "9007199254740992") {
			t.Errorf("%s: an integer was changed:\n%s", name, text)
		}
		want := 2
		if strings.Contains(name, "root") {
			want = 2 + 3 + 4
		}
		if n := strings.Count(text, big); n < want {
			t.Errorf("%s: %d of at least %d integers are left:\n%s", name, n, want, text)
		}
		if ids := regexp.MustCompile(`"keyid": ?"([^"]+)"`).FindAllStringSubmatch(text, -1); slices.ContainsFunc(ids, func(id []string) bool { return signers[id[1]] == nil && len(id[1]) != 64 }) || len(ids) == 0 {
			t.Errorf("%s: signed by %q", name, ids)
		}
	}
	adopt(t, memory, "metadata/timestamp.json", []byte(`{"signed":{}}`))
	if _, err := repository.Open(ctx, memory, o); !errors.Is(err, tuf.ErrMalformed) {
		t.Errorf("a damaged timestamp: %v, want ErrMalformed", err)
	}
}

// covers: B20 B13
// Names of roles become file names, so only harmless ones are made; target paths can be anything that TUF allows, and are written as they are.
func TestNames(t *testing.T) {
	ctx, now, key := t.Context(), start, testkeys.Ed25519(100)
	for _, role := range []tuf.Role{"../evil", "a/b", "a b", "a#b", "a?b", "a%41", "ü", ".hidden", "", "root", `a\b`, "nul\x00"} {
		memory := repository.NewMemory()
		r, err := repository.Create(ctx, memory, options(&now))
		if err != nil {
			t.Fatal(err)
		}
		before, err := memory.List(ctx, "metadata")
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"delegate": r.Apply(ctx, repository.Change{Delegate: []repository.Delegation{{Role: role, Keys: keysOf(t, key), Paths: []string{"*"}}}}),
			"bins":     r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: string(role), Bits: 2, Keys: keysOf(t, key)}}),
			"accept":   r.Accept(ctx, role, []byte("{}"), nil),
		} {
			if !errors.Is(err, tuf.ErrDelegation) && !(what == "bins" && role == "root") {
				t.Errorf("%s %q: %v, want ErrDelegation", what, role, err)
			}
		}
		if after, err := memory.List(ctx, "metadata"); err != nil || role != "root" && !slices.Equal(after, before) {
			t.Errorf("%q: %q, %v", role, after, err)
		}
	}
	w := newWorld(t)
	for _, name := range []string{"fw/a#b", "fw/a?b", "fw/a%41", "fw/a b&<c>", "fw/ü", "fw/%2e%2e/x", "fw/a+b;c=d"} {
		w.publish(name, name)
		w.finds(name, name)
	}
}
