// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// federation is a device with several repositories, whose caches are in one directory.
type federation struct {
	t     *testing.T
	fsys  simfs.FS
	repos map[string]*tuftest.Repo

	clients map[string]*client.Client // that open made
}

// newFederation makes repositories that list what files says, as "repository target content", and have keys of their own.
func newFederation(t *testing.T, files ...string) *federation {
	f := &federation{t: t, fsys: simfs.NewSim(simfs.Options{}).FS(), repos: map[string]*tuftest.Repo{}}
	for i, name := range []string{"a", "b", "c"} {
		repo := tuftest.New()
		for _, role := range []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
			repo.Keys[role] = []verify.Signer{testkeys.Ed25519(300 + i)}
		}
		repo.Publish(tuf.RoleRoot)
		delete(repo.Targets, "fw/a.suit")
		f.repos[name] = repo
	}
	for _, line := range files {
		part := strings.Fields(line)
		f.repos[part[0]].Targets[part[1]] = []byte(part[2])
	}
	for _, repo := range f.repos {
		repo.Publish()
	}
	return f
}

func (f *federation) open(mapping ...client.Mapping) *client.Map {
	f.t.Helper()
	file := client.MapFile{Repositories: map[string][]string{}, Mapping: mapping}
	clients := map[string]*client.Client{}
	for name, repo := range f.repos {
		file.Repositories[name] = nil
		dir, err := client.RepositoryDir(f.fsys, name)
		if err != nil {
			f.t.Fatal(err)
		}
		d := newDevice(f.t, repo)
		d.o.Storage = dir
		d.restart()
		clients[name] = d.Client
	}
	f.clients = clients
	m, err := client.NewMap(file, clients)
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

func mapping(threshold int, terminating bool, pattern string, repositories ...string) client.Mapping {
	return client.Mapping{Paths: []string{pattern}, Repositories: repositories, Terminating: terminating, Threshold: threshold}
}

// TestMap: TAP 4, "Searching for Files on Multiple Repositories".
func TestMap(t *testing.T) {
	for _, c := range []struct {
		what    string
		files   []string
		mapping []client.Mapping
		want    string
		err     error
	}{
		{"one repository", []string{"a fw/x one"}, []client.Mapping{mapping(1, true, "fw/*", "a")}, "one", nil},
		{"agreement", []string{"a fw/x one", "b fw/x one"}, []client.Mapping{mapping(2, true, "fw/*", "a", "b")}, "one", nil},
		{"two of three", []string{"a fw/x bad", "b fw/x one", "c fw/x one"}, []client.Mapping{mapping(2, true, "fw/*", "a", "b", "c")}, "one", nil},
		{"two of three, one silent", []string{"b fw/x one", "c fw/x one"}, []client.Mapping{mapping(2, true, "fw/*", "a", "b", "c")}, "one", nil},
		{"disagreement", []string{"a fw/x one", "b fw/x two"}, []client.Mapping{mapping(2, true, "fw/*", "a", "b")}, "", tuf.ErrThreshold},
		{"one is not enough", []string{"a fw/x one"}, []client.Mapping{mapping(2, true, "fw/*", "a", "b")}, "", tuf.ErrThreshold},
		{"nobody", nil, []client.Mapping{mapping(1, true, "fw/*", "a", "b")}, "", tuf.ErrTargetUnknown},
		{"the order of repositories", []string{"a fw/x one", "b fw/x two"}, []client.Mapping{mapping(1, true, "fw/*", "b", "a")}, "two", nil},
		{"the first mapping that matches", []string{"a fw/x one", "b fw/x two"}, []client.Mapping{mapping(1, true, "other/*", "a"), mapping(1, true, "fw/*", "b"), mapping(1, true, "*/*", "a")}, "two", nil},
		{"the next mapping", []string{"c fw/x three"}, []client.Mapping{mapping(1, false, "fw/*", "a"), mapping(1, false, "fw/*", "c")}, "three", nil},
		{"the next mapping after a disagreement", []string{"a fw/x one", "b fw/x two", "c fw/x three"}, []client.Mapping{mapping(2, false, "fw/*", "a", "b"), mapping(1, false, "fw/*", "c")}, "three", nil},
		{"terminating", []string{"c fw/x three"}, []client.Mapping{mapping(1, true, "fw/*", "a"), mapping(1, false, "fw/*", "c")}, "", tuf.ErrTargetUnknown},
		{"terminating and no match", []string{"c fw/x three"}, []client.Mapping{mapping(1, true, "fx/*", "a"), mapping(1, false, "fw/*", "c")}, "three", nil},
		{"no mapping", []string{"a fw/x one"}, []client.Mapping{mapping(1, true, "*", "a")}, "", tuf.ErrTargetUnknown},
	} {
		m := newFederation(t, c.files...).open(c.mapping...)
		data, err := m.Find(t.Context(), "fw/x")
		if string(data) != c.want || !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %q, %v", c.what, data, err)
		}
	}
	m := newFederation(t).open(mapping(1, true, "*", "a"))
	if _, err := m.Find(t.Context(), "../x"); !errors.Is(err, tuf.ErrPath) {
		t.Errorf("path: %v", err)
	}
}

// Whoever cuts a device off from a repository, or spoils what it serves, does not get it to search the next mapping.
func TestMapBlockedRepository(t *testing.T) {
	for what, fault := range map[string]struct {
		fault func(string, []byte, error) ([]byte, error)
		want  error
	}{
		"down":      {func(string, []byte, error) ([]byte, error) { return nil, errors.New("down") }, tuf.ErrTransport},
		"malformed": {func(name string, data []byte, err error) ([]byte, error) { return []byte("{}"), nil }, tuf.ErrMalformed},
	} {
		f := newFederation(t, "a fw/x one", "b fw/x one", "c fw/x bad")
		strict, weak := mapping(2, false, "fw/*", "a", "b"), mapping(1, true, "*/*", "c")
		f.repos["a"].Fault = fault.fault
		if data, err := f.open(strict, weak).Find(t.Context(), "fw/x"); !errors.Is(err, fault.want) || data != nil {
			t.Errorf("%s: %q, %v, want %v", what, data, err, fault.want)
		}
		enough := mapping(1, false, "fw/*", "a", "b")
		if data, err := f.open(enough, weak).Find(t.Context(), "fw/x"); err != nil || string(data) != "one" {
			t.Errorf("%s: the others are enough: %q, %v", what, data, err)
		}
		f.repos["a"].Fault = nil
		if data, err := f.open(strict, weak).Find(t.Context(), "fw/x"); err != nil || string(data) != "one" {
			t.Errorf("%s: afterwards: %q, %v", what, data, err)
		}
	}
	// A target that one of those who agree cannot deliver comes from another.
	f := newFederation(t, "a fw/x one", "b fw/x one")
	f.repos["a"].Fault = func(name string, data []byte, err error) ([]byte, error) {
		if strings.HasPrefix(name, "targets/") {
			return []byte("bad"), nil
		}
		return data, err
	}
	if data, err := f.open(mapping(2, true, "fw/*", "a", "b")).Find(t.Context(), "fw/x"); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
	// Each cache goes on by itself: a rollback of one repository is noticed although the others moved on.
	old := clone(f.repos["b"].Files)
	f.repos["b"].Publish()
	m := mapping(2, true, "fw/*", "a", "b")
	f.repos["a"].Fault = nil
	if _, err := f.open(m).Find(t.Context(), "fw/x"); err != nil {
		t.Error(err)
	}
	f.repos["b"].Files = old
	if _, err := f.open(m).Find(t.Context(), "fw/x"); !errors.Is(err, tuf.ErrRollback) {
		t.Errorf("got %v, want ErrRollback", err)
	}
}

// TestTUF_27: the name of a repository never becomes a path, whoever wrote it into the map file.
// TestMapDisturbed: a call to a client beside the Map fails between the Map's refresh and its look-up. That must not look as if the repository did not list the
// target, or the next mapping would be searched.
func TestMapDisturbed(t *testing.T) {
	f := newFederation(t, "a fw/x strong", "b fw/x strong", "c fw/x weak")
	m := f.open(mapping(2, false, "fw/*", "a", "b"), mapping(1, false, "fw/*", "c"))
	done, stopped := make(chan struct{}), make(chan struct{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				_ = f.clients["b"].Refresh(gone)
			}
		}
	}()
	for range 300 {
		if data, err := m.Find(t.Context(), "fw/x"); err == nil && string(data) != "strong" {
			t.Errorf("got %q", data)
			break
		}
	}
	close(done)
	<-stopped
}

func TestMapOneClientForTwo(t *testing.T) {
	f := newFederation(t, "a fw/x one")
	f.open(mapping(1, true, "*/*", "a"))
	file := client.MapFile{Repositories: map[string][]string{"a": nil, "b": nil}, Mapping: []client.Mapping{mapping(2, true, "*/*", "a", "b")}}
	if _, err := client.NewMap(file, map[string]*client.Client{"a": f.clients["a"], "b": f.clients["a"]}); !errors.Is(err, tuf.ErrMalformed) {
		t.Errorf("got %v, want ErrMalformed", err)
	}
}

func TestTUF_27_RepositoryNames(t *testing.T) {
	for _, name := range []string{"../escaped", "..", ".", "", "/etc", "a/b", `a\b`, "C:", "a\x00", "a\n", ".hidden", strings.Repeat("n", 65), "é", "a b", "%2e%2e"} {
		fsys := simfs.NewSim(simfs.Options{}).FS()
		if _, err := client.RepositoryDir(fsys, name); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("%q: %v, want ErrPath", name, err)
		}
		if list, err := fsys.ReadDir("."); err != nil || len(list) > 0 {
			t.Errorf("%q: %v was made", name, list)
		}
		text := fmt.Sprintf(`{"repositories":{%s:["https://a.example"]},"mapping":[{"paths":["*"],"repositories":[%[1]s],"threshold":1,"terminating":true}]}`, quoted(name))
		if _, err := client.ParseMap([]byte(text)); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("%q in a map file: %v, want ErrPath", name, err)
		}
	}
	fsys := simfs.NewSim(simfs.Options{}).FS()
	for _, name := range []string{"a", "A", "CON", "a.b-c_d", strings.Repeat("n", 64)} {
		if _, err := client.RepositoryDir(fsys, name); err != nil {
			t.Error(err)
		}
	}
	list, err := fsys.ReadDir(".")
	lower := map[string]bool{}
	for _, name := range list {
		lower[strings.ToLower(name)] = true
	}
	if err != nil || len(lower) != 5 {
		t.Errorf("%v, %v", list, err)
	}
}

func quoted(s string) string {
	s = strings.NewReplacer(`\`, `\\`, "\x00", `\u0000`, "\n", `\n`).Replace(s)
	return `"` + s + `"`
}

func TestParseMap(t *testing.T) {
	const good = `{"repositories":{"a":["https://a.example/","https://b.example/"],"b":[]},
		"mapping":[{"paths":["fw/*"],"repositories":["a","b"],"threshold":2,"terminating":false},{"paths":["*"],"repositories":["b"],"threshold":1,"terminating":true}]}`
	f, err := client.ParseMap([]byte(good))
	if err != nil || len(f.Mapping) != 2 || !slices.Equal(f.Repositories["a"], []string{"https://a.example/", "https://b.example/"}) || f.Mapping[0].Threshold != 2 || !f.Mapping[1].Terminating {
		t.Fatalf("%+v, %v", f, err)
	}
	if _, err := client.NewMap(f, nil); !errors.Is(err, tuf.ErrMalformed) {
		t.Errorf("no clients: %v", err)
	}
	for what, change := range map[string][2]string{
		"no mapping":            {`[{"paths":["fw/*"],"repositories":["a","b"],"threshold":2,"terminating":false},{"paths":["*"],"repositories":["b"],"threshold":1,"terminating":true}]`, `[]`},
		"threshold 0":           {`"threshold":2`, `"threshold":0`},
		"negative threshold":    {`"threshold":2`, `"threshold":-1`},
		"threshold too large":   {`"threshold":2`, `"threshold":3`},
		"no threshold":          {`"threshold":2,`, ``},
		"threshold a fraction":  {`"threshold":2`, `"threshold":1.5`},
		"repository not listed": {`["a","b"],`, `["a","c"],`},
		"repository twice":      {`["a","b"],`, `["a","a"],`},
		"no repositories":       {`["a","b"],`, `[],`},
		"no paths":              {`["fw/*"]`, `[]`},
		"unknown member":        {`"threshold":2`, `"threshold":2,"treshold":1`},
		"threshold in capitals": {`"threshold":2`, `"threshold":2,"THRESHOLD":1`},
		"mapping in capitals":   {`"mapping"`, `"Mapping":[{"paths":["*"],"repositories":["b"],"threshold":1,"terminating":true}],"mapping"`},
		"mapping by that alone": {`"mapping"`, `"Mapping"`},
		"member twice":          {`"threshold":2`, `"threshold":2,"threshold":1`},
		"not an object":         {good, `[]`},
		"null":                  {good, `null`},
		"data after it":         {good, good + "{}"},
	} {
		if _, err := client.ParseMap([]byte(strings.Replace(good, change[0], change[1], 1))); !errors.Is(err, tuf.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", what, err)
		}
	}
	if _, err := client.ParseMap(make([]byte, client.MaxMapFile+1)); !errors.Is(err, tuf.ErrLength) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzMap(f *testing.F) {
	f.Add([]byte(`{"repositories":{"a":["https://a.example/"]},"mapping":[{"paths":["*"],"repositories":["a"],"threshold":1,"terminating":true}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := client.ParseMap(data)
		if err != nil {
			return
		}
		for _, m := range file.Mapping {
			if m.Threshold < 1 || m.Threshold > len(m.Repositories) || len(m.Paths) == 0 {
				t.Errorf("%+v", m)
			}
		}
	})
}
