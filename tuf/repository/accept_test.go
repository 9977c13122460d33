// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// supplied is a repository with a supplier called acme, who signs alone, with a key that the publisher does not have, and is trusted with acme/*.
func supplied(t *testing.T, s repository.Storage, now *time.Time) (*repository.Repository, supplier) {
	t.Helper()
	acme := supplier{testkeys.Ed25519(100)}
	r, err := repository.Create(t.Context(), s, options(now))
	if err == nil {
		err = r.Apply(t.Context(), acme.delegation(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, acme
}

type supplier struct{ verify.Signer }

func (s supplier) delegation(t *testing.T) repository.Change {
	return repository.Change{Delegate: []repository.Delegation{{Role: "acme", Keys: keysOf(t, s), Paths: []string{"acme/*"}}}}
}

// targets is signed targets metadata; more are further members of its signed part.
func (s supplier) targets(t *testing.T, version int, targets map[string]any, more ...map[string]any) []byte {
	t.Helper()
	signed := map[string]any{"_type": "targets", "spec_version": "1.0.34", "version": version, "expires": "2027-01-01T00:00:00Z", "targets": targets}
	for _, m := range more {
		maps.Copy(signed, m)
	}
	// Under the key id that the publisher lists the key by, the specification's hash.
	key, err := metadata.KeyFromPublicKey(s.Public().Public())
	if err != nil {
		t.Fatal(err)
	}
	signature := tuftest.Signature(signed, s)
	if signature["keyid"], err = key.ID(); err != nil {
		t.Fatal(err)
	}
	return tuftest.Envelope(signed, []any{signature})
}

// entry is what metadata says of a file.
func entry(file []byte) map[string]any {
	return map[string]any{"length": len(file), "hashes": map[string]any{"sha256": hexSum(file)}}
}

func hexSum(file []byte) string { return fmt.Sprintf("%x", verify.Sum(verify.SHA256, file).Bytes()) }

// A supplier signs alone and hands in what it signed.
func TestAccept(t *testing.T) {
	acme := supplier{testkeys.Ed25519(100)}
	w := newWorldWith(t, nil)
	w.apply(acme.delegation(t))
	if _, err := w.Find(t.Context(), "acme/radio"); !errors.Is(err, tuf.ErrDelegation) {
		t.Errorf("nothing handed in: %v", err)
	}
	file := []byte("radio")
	radio := map[string]any{"acme/radio": entry(file)}
	files := map[string][]byte{"acme/radio": file}
	for name, c := range map[string]struct {
		role tuf.Role
		data []byte
		file map[string][]byte
		want error
	}{
		"stranger":   {"acme", supplier{testkeys.Ed25519(1)}.targets(t, 1, radio), files, tuf.ErrThreshold},
		"other role": {"other", acme.targets(t, 1, radio), files, tuf.ErrDelegation}, "top level": {tuf.RoleTargets, acme.targets(t, 9, radio), files, tuf.ErrDelegation},
		"other file": {"acme", acme.targets(t, 1, radio), map[string][]byte{"acme/radio": []byte("ra")}, tuf.ErrLength},
		"unlisted":   {"acme", acme.targets(t, 1, radio), map[string][]byte{"acme/x": file}, tuf.ErrTargetUnknown},
		"null":       {"acme", acme.targets(t, 1, map[string]any{"a": nil}), nil, tuf.ErrMalformed}, "no json": {"acme", []byte("{"), nil, tuf.ErrMalformed},
	} {
		if err := w.repo.Accept(t.Context(), c.role, c.data, c.file); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := w.repo.Accept(t.Context(), "acme", acme.targets(t, 3, radio), files); err != nil {
		t.Fatal(err)
	}
	w.holds("acme/radio", "radio")
	for _, version := range []int{2, 3} {
		if err := w.repo.Accept(t.Context(), "acme", acme.targets(t, version, radio), nil); !errors.Is(err, tuf.ErrRollback) {
			t.Errorf("version %d again: %v", version, err)
		}
	}
	if err := w.repo.Accept(t.Context(), "acme", acme.targets(t, 4, map[string]any{}), nil); err != nil {
		t.Fatal(err)
	}
	w.holds("acme/radio", "")
}

// What a supplier lists must be handed in or be there, or clients would be told of files that they cannot get.
func TestAcceptFiles(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, acme := supplied(t, memory, &now)
	stored := []byte("stored")
	at := "targets/acme/" + hexSum(stored) + ".stored"
	for name, data := range map[string]string{at: "stored", "targets/acme/" + hexSum([]byte("good")) + ".damaged": "evil"} {
		if err := memory.Put(ctx, name, strings.NewReader(data), ""); err != nil {
			t.Fatal(err)
		}
	}
	other, short := entry(stored), entry(stored)
	other["hashes"] = map[string]any{"blake3": hexSum(stored)}
	short["length"] = 5
	twice := entry(stored)
	twice["hashes"].(map[string]any)["sha512"] = fmt.Sprintf("%x", verify.Sum(verify.SHA512, stored).Bytes())
	before := matching(t, memory, "metadata", "")
	for name, c := range map[string]struct {
		path  string
		entry map[string]any
		want  error
	}{
		"absent":                       {"acme/absent", entry(stored), repository.ErrFileMissing},
		"another copy absent":          {"acme/stored", twice, repository.ErrFileMissing},
		"absent, outside of its paths": {"fw/absent", entry(stored), repository.ErrFileMissing},
		"damaged":                      {"acme/damaged", entry([]byte("good")), tuf.ErrHash},
		"other length":                 {"acme/stored", short, tuf.ErrLength},
		"unknown digest":               {"acme/stored", other, tuf.ErrHash},
		"no path":                      {"../stored", entry(stored), tuf.ErrPath},
	} {
		handedIn := map[string][]byte{"acme/radio": stored}
		data := acme.targets(t, 1, map[string]any{"acme/radio": entry(stored), c.path: c.entry})
		if err := r.Accept(ctx, "acme", data, handedIn); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if after := matching(t, memory, "metadata", ""); len(after) != len(before) || there(t, memory, "targets/acme/"+hexSum(stored)+".radio") {
		t.Errorf("refused, but there are %d files of metadata instead of %d", len(after), len(before))
	}
	list := map[string]any{"acme/stored": entry(stored)}
	if err := r.Accept(ctx, "acme", acme.targets(t, 1, list), nil); err != nil {
		t.Errorf("the file is there: %v", err)
	}
	list["acme/new"] = entry([]byte("new"))
	if err := r.Accept(ctx, "acme", acme.targets(t, 2, list), map[string][]byte{"acme/new": []byte("new")}); err != nil {
		t.Errorf("one file more: %v", err)
	}
	// Withdrawn, collected, and listed again without it.
	if err := r.Accept(ctx, "acme", acme.targets(t, 3, map[string]any{}), nil); err != nil {
		t.Fatal(err)
	}
	collect(t, r, 1)
	if there(t, memory, at) {
		t.Fatal("not collected")
	}
	if err := r.Accept(ctx, "acme", acme.targets(t, 4, list), nil); !errors.Is(err, repository.ErrFileMissing) {
		t.Errorf("collected: %v, want ErrFileMissing", err)
	}
}

// A stored file that a collection is about to delete is not relied on.
func TestAcceptBesideCollection(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, acme := supplied(t, memory, &now)
	file := []byte("radio")
	at := "targets/acme/" + hexSum(file) + ".radio"
	for name, data := range map[string]string{at: "radio", "collecting": `{"state":"deleting","delete":["` + at + `"]}`} {
		if err := memory.Put(ctx, name, strings.NewReader(data), ""); err != nil {
			t.Fatal(err)
		}
	}
	data := acme.targets(t, 1, map[string]any{"acme/radio": entry(file)})
	if err := r.Accept(ctx, "acme", data, nil); !errors.Is(err, repository.ErrCollecting) {
		t.Errorf("%v, want ErrCollecting", err)
	}
	if err := memory.Delete(ctx, "collecting"); err != nil {
		t.Fatal(err)
	}
	if err := r.Accept(ctx, "acme", data, nil); err != nil {
		t.Errorf("after the collection: %v", err)
	}
}
