// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
)

// Whatever lies among the metadata, a collection deletes nothing that clients need, and ends.
func FuzzCollect(f *testing.F) {
	for _, seed := range []string{"", "{}", "null", `{"signed":{"targets":{"fw/a":{"length":3,"hashes":{"sha256":"7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}}}}}`,
		`{"signed":{"targets":{"../a":{"hashes":{"sha256":"00","sha512":""}}}}}`, `{"signed":{"version":1,"meta":{"snapshot.json":{"version":1},"targets.json":{"version":3}}}}`,
		`{"signed":{"version":-1,"meta":{"snapshot.json":{"version":99999999999999999999}}}}`, `{"state":"deleting","delete":["metadata/timestamp.json"]}`,
		`{"signed":{"targets":{},"delegations":{"keys":{},"roles":[{"name":"other","paths":["*/*"]},{"name":"targets","path_hash_prefixes":["","0f"]}]}}}`,
		`{"signed":{"targets":{},"delegations":{"succinct_roles":{"name_prefix":"bin","bit_length":32}}}}`,
		`{"signed":{"targets":{},"delegations":{"roles":null,"succinct_roles":{"bit_length":-1}}}}`} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(3))
	}
	names := []string{"metadata/1.targets.json", "metadata/1.snapshot.json", "metadata/1.timestamp.json", "metadata/9.other.json", "staged/targets.json", "collecting", "metadata/7.snapshot.json"}
	now, first, files := start, repository.NewMemory(), map[string][]byte{}
	r, err := repository.Create(f.Context(), first, options(&now))
	for _, text := range []string{"two", "one"} {
		if err == nil {
			err = r.Publish(f.Context(), map[string][]byte{"fw/a": []byte(text)})
		}
	}
	for _, dir := range []string{"metadata", "targets"} {
		list, lerr := first.List(f.Context(), dir)
		for _, name := range list {
			if files[name], _, lerr = first.Get(f.Context(), name, 1<<20); lerr != nil {
				break
			}
		}
		err = errors.Join(err, lerr)
	}
	if err != nil {
		f.Fatal(err)
	}
	root := files["metadata/1.root.json"]
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		ctx, memory := t.Context(), repository.NewMemory()
		for name, content := range files {
			if err := memory.Put(ctx, name, bytes.NewReader(content), ""); err != nil {
				t.Fatal(err)
			}
		}
		r, err := repository.Open(ctx, memory, options(&now))
		if err != nil {
			t.Fatal(err)
		}
		name := names[int(which)%len(names)]
		_, tag, _ := memory.Get(ctx, name, 1<<20)
		if err := memory.Put(ctx, name, bytes.NewReader(data), tag); err != nil {
			t.Fatal(err)
		}
		_, collected := r.Collect(ctx, repository.CollectOptions{Keep: 2, Payloads: func(tuf.TargetFile, []byte) ([]string, error) { return []string{"p"}, nil }})
		if got, err := deviceOf(t, memory, root, now).Find(ctx, "fw/a"); err != nil || string(got) != "one" {
			t.Errorf("%q, %v after a collection that returned %v", got, err, collected)
		}
	})
}
