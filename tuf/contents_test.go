// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// delegation returns a repository and the delegation to a role that the targets key signs.
func delegation(t testing.TB) (*tuftest.Repo, tuf.Delegation) {
	r := tuftest.New()
	r.Delegate(tuf.RoleTargets, "A", map[string]any{"paths": []any{"*"}})
	r.Keys["A"] = r.Keys[tuf.RoleTargets]
	r.Delegations = map[tuf.Role]map[string]any{}
	r.Delegate(tuf.RoleTargets, "A", map[string]any{"paths": []any{"*"}})
	r.Hashes = false
	r.Publish("A")
	r.Publish()
	s, err := tuf.NewSet(r.Root(1))
	if err == nil {
		err = refresh(s, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	d, _ := s.Targets().Delegation("A")
	return r, d
}

// agree demands that a file read in pieces says what it says when it is read as a whole.
func agree(t *testing.T, d tuf.Delegation, data []byte) (accepted bool) {
	t.Helper()
	want, wantErr := tuf.TargetsInMemory(d, data)
	got, err := d.Open(data)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("in blocks: %v; as a whole: %v\n%s", err, wantErr, data)
	}
	for _, class := range []error{tuf.ErrMalformed, tuf.ErrThreshold} {
		if err != nil && wantErr != nil && errors.Is(err, class) != errors.Is(wantErr, class) && json.Valid(data) && len(data) < 1000 {
			t.Fatalf("in blocks: %v; as a whole: %v\n%s", err, wantErr, data)
		}
	}
	if err != nil {
		return false
	}
	if got.Len() != len(want) {
		t.Fatalf("%d targets in blocks, %d as a whole", got.Len(), len(want))
	}
	for path, file := range want {
		if seen, err := got.Target(path); err != nil || !reflect.DeepEqual(seen, file) {
			t.Fatalf("%q: %+v, %v; want %+v", path, seen, err, file)
		}
	}
	return true
}

// plainEntries are targets in the form that is taken as it stands, among others.
var plainEntries = fmt.Sprintf(`{"":{"hashes":{"sha256":"%064x"},"length":0},"a":{"hashes":{"sha256":"%064x"},"length":17},`+
	`"b\"":{"hashes":{"sha512":"%0128X"},"length":1},"c":{"custom":{},"hashes":{"sha512":"%0128x"},"length":2},`+
	`"c ~":{"hashes":{"sha256":"%064x","sha512":"%0128x"},"length":123456789012345678}}`, 1, 0xab, 0xcd, 3, 4, 5)

// Text that is taken as it stands is judged as any other: whatever byte of it is changed, dropped or doubled.
func TestPlainEntries(t *testing.T) {
	r, d := delegation(t)
	signed := `{` + head + `,"targets":` + plainEntries + `,"version":2}`
	if !agree(t, d, envelope(r, signed, true)) {
		t.Fatal("refused")
	}
	begin, accepted := strings.Index(signed, `"a":`), 0
	end := strings.Index(signed, `,"version"`)
	for i := begin; i < end; i++ {
		for _, with := range []string{"", signed[i:i+1] + signed[i:i+1], "0", "f", "g", `"`, `\`, ",", "}", " ", "\x1f", "\x7f", "\xc3", "-"} {
			if agree(t, d, envelope(r, signed[:i]+with+signed[i+1:], true)) {
				accepted++
			}
		}
	}
	if t.Logf("%d accepted", accepted); accepted < 100 {
		t.Errorf("%d changed files accepted: the test changes too much to tell", accepted)
	}
	for _, length := range []string{"1000000000000000000", "9223372036854775807", "9223372036854775808", "01", "00", "1.5", "1e3", "-1", "-0", ""} {
		agree(t, d, envelope(r, strings.ReplaceAll(signed, `"length":17`, `"length":`+length), true))
	}
}

// Neighbours of that form in another order are put into order, and a path that is there twice is refused.
func TestPlainEntriesOrder(t *testing.T) {
	r, d := delegation(t)
	for names, want := range map[string]bool{
		"a b c d e": true, "a b c e d": true, "a c b d e": true, "b a c d e": true, "a aa ab b ba": true, "a aa a b": false,
		"a a b c": false, "a b b c": false, "a b c c": false, "a b c d b": false,
	} {
		var list []string
		for i, name := range strings.Fields(names) {
			list = append(list, fmt.Sprintf(`"%s":{"hashes":{"sha256":"%064x"},"length":%d}`, name, i, i))
		}
		data := envelope(r, `{`+head+`,"targets":{`+strings.Join(list, ",")+`},"version":2}`, true)
		if got := agree(t, d, data); got != want {
			t.Errorf("%s: accepted %v", names, got)
		}
	}
}

// Paths that no target is likely to have are found, too, and are not held: nobody has signed them when they are read.
func TestTUF_20_LongPaths(t *testing.T) {
	r, d := delegation(t)
	var list []string
	for i := range 300 {
		path := fmt.Sprintf("%04d", i)
		if i%3 != 1 {
			path += strings.Repeat("x", 5000)
		}
		list = append(list, fmt.Sprintf(`"%s":{"hashes":{"sha256":"%064x"},"length":%d}`, path, i, i))
	}
	for _, entries := range [][]string{list, list[1:], slices.Clone(list[:1]), nil} {
		signed := `{` + head + `,"targets":{` + strings.Join(entries, ",") + `},"version":2}`
		data := envelope(r, signed, true)
		if !agree(t, d, data) {
			t.Fatal("refused")
		}
		file, err := d.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		if index := file.Index(); len(index) > 100*(16+tuf.MaxPath)/8+len(data)/(16<<10)*32+1000 {
			t.Errorf("an index of %d bytes for %d targets", len(index), file.Len())
		}
		if _, err := file.Target(""); !errors.Is(err, tuf.ErrTargetUnknown) {
			t.Error(err)
		}
	}
}
