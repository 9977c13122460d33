// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

type explained struct {
	pattern string
	difference
}

// explainedMembers is where the two clients answer differently when one member of metadata is another value: patterns of ROLE/MEMBER/…=VALUE, in which
// KEY stands for a key id.
var explainedMembers = []explained{
	{"*/spec_version=*", difference{"tuf/client", "section 4.3: clients must verify that spec_version matches"}},
	{"root/keys/KEY/scheme=*", difference{"tuf/client", "section 4.2.2: the scheme is part of the key; by one that is not known nothing is verified"}},
	{"targets/delegations/keys/KEY/scheme=*", difference{"tuf/client", "section 4.2.2, as above"}},
	{"timestamp/version=*", difference{"tuf/client", "section 4.3: VERSION is an integer that is greater than 0"}},
	{"snapshot/meta/first.json/version=*", difference{"tuf/client", "section 4.4: VERSION is an integer that is greater than 0, whether or not the role is looked at"}},
	{"snapshot/meta/first.json/length=*", difference{"tuf/client", "section 4.4: LENGTH is a length in bytes"}},
	{"snapshot/meta/first.json/hashes/sha256=*", difference{"tuf/client", "section 4.4: HASHES are digests"}},
	{"snapshot/meta/first.json=null", difference{"tuf/client", "section 4.4: METAFILES are objects"}},
	{"targets/delegations/keys=null", difference{"tuf/client", "section 4.5: KEYS is an object"}},
	{"targets/delegations/keys/KEY=null", difference{"tuf/client", "section 4.5: a KEY is an object"}},
	{"targets/delegations/keys/KEY/keyval/public=*", difference{"tuf/client", "section 4.2.2: of a type that is known, PUBLIC has its form"}},
	{"targets/delegations/roles/0/keyids=null", difference{"tuf/client", "section 4.5: KEYIDs are an array, whether or not the role is looked at"}},
	{"targets/delegations/roles/0/name=\"\"", difference{"tuf/client", "section 4.5: ROLENAME names a role"}},
	{"targets/delegations/roles/0/threshold=*", difference{"tuf/client", "section 4.3: THRESHOLD is an integer, how many keys have to sign, at least one"}},
	{"targets/targets=null", difference{"tuf/client", "section 4.5: TARGETS is an object"}},
	{"targets/targets/fw/a.suit/hashes/sha256=*", difference{"tuf/client", "section 4.5: HASHES are digests, whether or not the target is asked for"}},
	{"targets/targets/fw/a.suit/length=*", difference{"tuf/client", "section 4.5: LENGTH is a length in bytes"}},
	{"targets/targets/fw/a.suit/hashes={}", difference{"go-tuf", "section 4.5: HASHES are one or more; without one that is known, tuf/client refuses that target, go-tuf the file"}},
	{"targets/targets/fw/a.suit/hashes/sha256=absent", difference{"go-tuf", "section 4.5, as above"}},
	{"targets/delegations/roles/0/terminating=absent", difference{"go-tuf", "section 4.2.1: what is signed is what was written, and false is not"}},
	{"snapshot/meta/first.json/hashes={}", difference{"go-tuf", "section 4.2.1: what is signed is what was written, an empty object too"}},
	{"snapshot/meta/first.json/hashes/sha256=absent", difference{"go-tuf", "section 4.2.1, as above"}},
	{"targets/delegations={}", difference{"go-tuf", "section 4.2.1, as above"}},
	{"targets/delegations/keys=absent", difference{"go-tuf", "section 4.2.1: what is signed is what was written, not what could have been"}},
	{"targets/delegations/keys/KEY={}", difference{"go-tuf", "section 4.2.1, as above"}},
	{"targets/delegations/keys/KEY/*=absent", difference{"go-tuf", "section 4.2.1, as above"}},
}

// absent takes a member away.
var absent = new(int)

// TestM1_SameAsGoTUFEachMember gives every member of every role, one at a time, each of ten other values, signed by whoever should.
func TestM1_SameAsGoTUFEachMember(t *testing.T) {
	values := []any{absent, nil, "", "x", json.Number("0"), json.Number("-1"), json.Number("2"), true, []any{}, map[string]any{}}
	if testing.Short() {
		values = values[:2]
	}
	used := map[string]bool{}
	compared, differences := 0, 0
	for _, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets, "first"} {
		base := withDelegation()
		signed, _ := tuftest.Open(base.Files[base.Name(role)])
		for _, member := range members(signed, nil) {
			for _, value := range values {
				repo := base.Clone()
				p := newPair(t, repo.Root(1), repo)
				where := serveChanged(repo, role, member, value)
				for _, name := range []string{"fw/a.suit", "team/x.suit"} {
					compared++
					ours, theirs := p.find(name)
					if ours.same(theirs) {
						continue
					}
					differences++
					i := slices.IndexFunc(explainedMembers, func(e explained) bool {
						ok, err := path.Match(e.pattern, where)
						return ok && err == nil && (ours.err != nil) == (e.refuses == "tuf/client") && (theirs.err != nil) == (e.refuses == "go-tuf")
					})
					if i < 0 {
						t.Errorf("%s, %s:\n tuf/client %v\n go-tuf     %v", where, name, ours, theirs)
						continue
					}
					used[explainedMembers[i].pattern] = true
				}
			}
		}
	}
	var b strings.Builder
	for _, e := range explainedMembers {
		fmt.Fprintf(&b, "%-48s %-10s refuses: %s\n", e.pattern, e.refuses, e.rule)
		if !used[e.pattern] && !testing.Short() {
			t.Errorf("%s: no difference any more; the rule was: %s", e.pattern, e.rule)
		}
	}
	t.Logf("%d answers compared, %d differ:\n%s", compared, differences, &b)
}

func withDelegation() *tuftest.Repo {
	repo := tuftest.New()
	repo.Delegate(tuf.RoleTargets, "first", map[string]any{"paths": []any{"team/*"}})
	repo.DelegatedTargets["first"]["team/x.suit"] = []byte("x")
	repo.Publish(tuf.RoleRoot, "first")
	repo.Publish()
	return repo
}

// serveChanged publishes role with one member changed, and says what that is.
func serveChanged(repo *tuftest.Repo, role tuf.Role, member []any, value any) (where string) {
	where = string(role)
	for _, name := range member {
		text := fmt.Sprint(name)
		if len(text) == 64 {
			text = "KEY"
		}
		where += "/" + text
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	if value == absent {
		text = []byte("absent")
	}
	repo.Edit = func(published tuf.Role, signed map[string]any) {
		if published != role {
			return
		}
		fresh, _ := tuftest.Open(tuftest.Envelope(signed, []any{})) // in the types of JSON
		set(fresh, member, value)
		clear(signed)
		maps.Copy(signed, fresh)
	}
	switch role {
	case tuf.RoleRoot:
		repo.Put(role) // root 2 as it should have been
	case "first":
		repo.Publish(role)
	}
	repo.Publish()
	return fmt.Sprintf("%s=%s", where, text)
}

// members returns where each member and element of v is.
func members(v any, at []any) (list [][]any) {
	if at != nil {
		list = append(list, at)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			list = append(list, members(v[name], append(slices.Clone(at), name))...)
		}
	case []any:
		for i := range v {
			list = append(list, members(v[i], append(slices.Clone(at), i))...)
		}
	}
	return list
}

func set(v any, at []any, to any) {
	for _, step := range at[:len(at)-1] {
		if name, ok := step.(string); ok {
			v = v.(map[string]any)[name]
		} else {
			v = v.([]any)[step.(int)]
		}
	}
	switch last := at[len(at)-1].(type) {
	case int:
		if to == absent {
			to = nil
		}
		v.([]any)[last] = to
	case string:
		if to == absent {
			delete(v.(map[string]any), last)
			return
		}
		v.(map[string]any)[last] = to
	}
}
