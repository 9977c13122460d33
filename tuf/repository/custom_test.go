// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
)

// TestCustom: what a target says of itself reaches the client as it was signed; it can be added later, and goes with the target's next version.
func TestCustom(t *testing.T) {
	w := newWorld(t)
	const name = "fw/a.suit"
	want := func(step, data, custom string) {
		t.Helper()
		for _, c := range []interface {
			FindCustom(ctx context.Context, name string) (data, custom []byte, err error)
		}{w.Client, w.device()} {
			gotData, gotCustom, err := c.FindCustom(t.Context(), name)
			if err != nil || string(gotData) != data || string(gotCustom) != custom {
				t.Errorf("%s: found %q with %q, %v; want %q with %q", step, gotData, gotCustom, err, data, custom)
			}
		}
	}
	apply := func(c repository.Change) error { return w.repo.Apply(t.Context(), c) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(apply(repository.Change{Add: map[string][]byte{name: []byte("one")}}))
	want("none", "one", "")
	must(apply(repository.Change{Custom: map[string]json.RawMessage{name: []byte(`{"b": 1, "a": ["x"]}`)}}))
	want("added later", "one", `{"a":["x"],"b":1}`)
	must(apply(repository.Change{Add: map[string][]byte{"fw/b.suit": []byte("other")}}))
	want("another target published", "one", `{"a":["x"],"b":1}`)
	must(apply(repository.Change{Add: map[string][]byte{name: []byte("two")}, Custom: map[string]json.RawMessage{name: []byte(`{"n":2}`)}}))
	want("with the target", "two", `{"n":2}`)
	must(apply(repository.Change{Custom: map[string]json.RawMessage{name: nil}}))
	want("taken away", "two", "")
	must(apply(repository.Change{Custom: map[string]json.RawMessage{name: []byte(`{"n":2}`)}}))
	must(apply(repository.Change{Add: map[string][]byte{name: []byte("three")}}))
	want("published anew", "three", "")
	if err := apply(repository.Change{Custom: map[string]json.RawMessage{"fw/none.suit": []byte(`{}`)}}); !errors.Is(err, tuf.ErrTargetUnknown) {
		t.Errorf("custom of a target that is not there: %v, want %v", err, tuf.ErrTargetUnknown)
	}
	if err := apply(repository.Change{Custom: map[string]json.RawMessage{name: []byte(`{"n":`)}}); err == nil {
		t.Error("custom that is no JSON was signed")
	}
	want("after refusals", "three", "")
}
