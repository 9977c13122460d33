// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"encoding/json"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf/repository"
)

// Integers beyond 2^53 stay what they are: in a target's custom object through later versions of the role, and in what others sign.
//
// covers: B18
func TestIntegersStayExact(t *testing.T) {
	acme := supplier{testkeys.Ed25519(100)}
	w := newWorldWith(t, nil)
	custom := map[string]json.RawMessage{"fw/a": json.RawMessage(`{"serial":9007199254740993,"least":-9223372036854775808}`)}
	w.apply(repository.Change{Add: map[string][]byte{"fw/a": []byte("one")}, Custom: custom}, acme.delegation(t))
	w.publish("fw/b", "later")
	data, got, err := w.device().FindCustom(t.Context(), "fw/a")
	if err != nil || string(data) != "one" || string(got) != `{"least":-9223372036854775808,"serial":9007199254740993}` {
		t.Errorf("%q, %s, %v", data, got, err)
	}
	file := acme.targets(t, 1, map[string]any{}, map[string]any{
		"x-acme": map[string]any{"serial": json.Number("9007199254740993"), "list": []any{json.Number("18446744073709551616")}},
	})
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
