// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

var expires = regexp.MustCompile(`"expires": ?"([^"]*)"`)

// Expiry is written in whole seconds of UTC, whatever the clock that is passed shows.
//
// covers: B17
func TestExpiryForm(t *testing.T) {
	w := newWorld(t)
	w.now = time.Date(2026, 11, 23, 23, 30, 0, 123456789, time.FixedZone("somewhere", -5*3600-1800))
	w.publish("fw/a", "one")
	if err := w.repo.RotateRoot(t.Context(), repository.RootChange{Signers: map[tuf.Role][]verify.Signer{tuf.RoleTimestamp: {testkeys.Ed25519(50)}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	names, err := w.sim.FS().ReadDir("metadata")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		data, err := remote{w.sim.FS()}.Get(t.Context(), "metadata/"+name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		m := expires.FindSubmatch(data)
		if m == nil || !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`).Match(m[1]) {
			t.Errorf("%s expires %q", name, m)
		}
		seen++
	}
	if seen < 6 {
		t.Errorf("%d files looked at", seen)
	}
	w.finds("fw/a", "one")
}

// Integers beyond 2^53 stay what they are: in a target's custom object through later versions of the role, and in what others sign.
//
// covers: B18
func TestIntegersStayExact(t *testing.T) {
	acme := testkeys.Ed25519(100)
	w := newWorldWith(t, nil)
	custom := map[string]json.RawMessage{"fw/a": json.RawMessage(`{"serial":9007199254740993,"least":-9223372036854775808}`)}
	w.apply(repository.Change{
		Add: map[string][]byte{"fw/a": []byte("one")}, Custom: custom,
		Delegate: []repository.Delegation{{Role: "acme", Keys: keysOf(t, acme), Paths: []string{"acme/*"}}},
	})
	w.publish("fw/b", "later")
	data, got, err := w.device().FindCustom(t.Context(), "fw/a")
	if err != nil || string(data) != "one" || string(got) != `{"least":-9223372036854775808,"serial":9007199254740993}` {
		t.Errorf("%q, %s, %v", data, got, err)
	}
	signed := map[string]any{
		"_type": "targets", "spec_version": "1.0.34", "version": 1, "expires": "2027-01-01T00:00:00Z", "targets": map[string]any{},
		"x-acme": map[string]any{"serial": json.Number("9007199254740993"), "list": []any{json.Number("18446744073709551616")}},
	}
	file := signedAs(t, signed, acme)
	if err := w.repo.Accept(t.Context(), "acme", file, nil); err != nil {
		t.Fatal(err)
	}
	w.publish("fw/c", "later still")
	kept, err := remote{w.sim.FS()}.Get(t.Context(), "metadata/1.acme.json", 1<<20)
	if err != nil || string(kept) != string(file) {
		t.Errorf("%s, %v", kept, err)
	}
	w.holds("fw/c", "later still")
}
