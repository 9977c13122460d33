// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// edge is one delegation of a graph.
type edge struct {
	from, to    string
	paths       []any
	terminating bool
}

// graph publishes a repository with the delegations; each role lists the target that files gives it.
func graph(edges []edge, files map[string]string) *tuftest.Repo {
	repo := tuftest.New()
	for _, e := range edges {
		if e.paths == nil {
			e.paths = []any{"*/*"}
		}
		repo.Delegate(tuf.Role(e.from), e.to, map[string]any{"paths": e.paths, "terminating": e.terminating})
	}
	for role, name := range files {
		repo.DelegatedTargets[tuf.Role(role)][name] = []byte("by " + role)
	}
	publishAll(repo)
	return repo
}

// publishAll publishes every delegated role, then the top-level ones.
func publishAll(repo *tuftest.Repo) {
	for role := range repo.DelegatedTargets {
		repo.Publish(role)
	}
	repo.Publish()
}

// covers: TUF-09
func TestTUF_17_Search(t *testing.T) {
	for name, c := range map[string]struct {
		edges   []edge
		files   map[string]string
		visited string
		want    string // who lists fw/x, or the error
		err     error
	}{
		"one":               {edges: []edge{{from: "targets", to: "A"}}, files: map[string]string{"A": "fw/x"}, visited: "A", want: "by A"},
		"order":             {edges: []edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}}, files: map[string]string{"A": "fw/x", "B": "fw/x"}, visited: "A", want: "by A"},
		"backtracking":      {edges: []edge{{from: "targets", to: "A"}, {from: "A", to: "C"}, {from: "targets", to: "B"}}, files: map[string]string{"B": "fw/x"}, visited: "A C B", want: "by B"},
		"depth first":       {edges: []edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "A", to: "C"}}, files: map[string]string{"B": "fw/x", "C": "fw/x"}, visited: "A C", want: "by C"},
		"terminating":       {edges: []edge{{from: "targets", to: "A", terminating: true}, {from: "targets", to: "B"}}, files: map[string]string{"B": "fw/x"}, visited: "A", err: tuf.ErrTargetUnknown},
		"terminating below": {edges: []edge{{from: "targets", to: "A"}, {from: "A", to: "C", terminating: true}, {from: "C", to: "D"}, {from: "targets", to: "B"}}, files: map[string]string{"B": "fw/x"}, visited: "A C D", err: tuf.ErrTargetUnknown},
		"terminating that does not match": {edges: []edge{{from: "targets", to: "A", paths: []any{"other/*"}, terminating: true}, {from: "targets", to: "B"}},
			files: map[string]string{"B": "fw/x"}, visited: "B", want: "by B"},
		"cycle":   {edges: []edge{{from: "targets", to: "A"}, {from: "A", to: "B"}, {from: "B", to: "A"}}, visited: "A B", err: tuf.ErrTargetUnknown},
		"itself":  {edges: []edge{{from: "targets", to: "A"}, {from: "A", to: "A"}}, visited: "A", err: tuf.ErrTargetUnknown},
		"diamond": {edges: []edge{{from: "targets", to: "A"}, {from: "targets", to: "B"}, {from: "A", to: "C"}, {from: "B", to: "C"}}, visited: "A C B", err: tuf.ErrTargetUnknown},
		"not the delegate's (TUF-09)": {edges: []edge{{from: "targets", to: "A", paths: []any{"acme/*"}}},
			files: map[string]string{"A": "fw/x"}, err: tuf.ErrTargetUnknown},
		"not all of the chain's": {edges: []edge{{from: "targets", to: "A", paths: []any{"acme/*"}}, {from: "A", to: "B"}},
			files: map[string]string{"B": "fw/x"}, err: tuf.ErrTargetUnknown},
		"no patterns":      {edges: []edge{{from: "targets", to: "A", paths: []any{}}}, files: map[string]string{"A": "fw/x"}, err: tuf.ErrTargetUnknown},
		"star and slashes": {edges: []edge{{from: "targets", to: "A", paths: []any{"*", "fw", "fw/", "/fw/x", "**", "fw/*/x", "fw/?x"}}}, files: map[string]string{"A": "fw/x"}, err: tuf.ErrTargetUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			repo := graph(c.edges, c.files)
			d := newDevice(t, repo)
			d.refresh(nil)
			repo.Requests = nil
			data, err := d.Find(t.Context(), "fw/x")
			if string(data) != c.want || !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Errorf("found %q, %v", data, err)
			}
			var visited []string
			for _, name := range repo.Requests {
				if _, role, ok := strings.Cut(strings.TrimPrefix(name, "metadata/"), "."); ok && strings.HasPrefix(name, "metadata/") && !strings.HasSuffix(name, "root.json") && name != "metadata/timestamp.json" {
					visited = append(visited, strings.TrimSuffix(role, ".json"))
				}
			}
			if got := strings.Join(visited, " "); got != c.visited {
				t.Errorf("visited %q, want %q", got, c.visited)
			}
			// From the cache of a new process the answer is the same, and nothing delegated is fetched again.
			d.restart()
			repo.Requests = nil
			if again, err := d.Find(t.Context(), "fw/x"); string(again) != c.want || !errors.Is(err, c.err) {
				t.Errorf("from the cache: %q, %v", again, err)
			}
			for _, role := range visited {
				if slices.ContainsFunc(repo.Requests, func(name string) bool { return strings.HasSuffix(name, "."+role+".json") }) {
					t.Errorf("role %s fetched again", role)
				}
			}
		})
	}
}

func TestTUF_17_Bounds(t *testing.T) {
	var chain, fan []edge
	for i := range 1000 {
		from := "targets"
		if i > 0 {
			from = fmt.Sprint("r", i-1)
		}
		chain = append(chain, edge{from: from, to: fmt.Sprint("r", i)})
		fan = append(fan, edge{from: "targets", to: fmt.Sprint("r", i)})
	}
	for name, c := range map[string]struct {
		edges []edge
		most  int
	}{"depth": {chain, 16}, "count": {fan, 32}} {
		t.Run(name, func(t *testing.T) {
			repo := graph(c.edges, map[string]string{"r999": "fw/x"})
			d := newDevice(t, repo)
			d.refresh(nil)
			before := len(repo.Requests)
			if _, err := d.Target(t.Context(), "fw/x"); !errors.Is(err, tuf.ErrDelegation) {
				t.Errorf("got %v", err)
			}
			if n := len(repo.Requests) - before; n != c.most {
				t.Errorf("%d roles fetched, want %d", n, c.most)
			}
		})
	}
}

// Whatever a role is called, its metadata is one file of the cache and one element of a request.
//
// covers: B20
func TestTUF_17_RoleNames(t *testing.T) {
	names := []string{"../x", "/etc/passwd", "a/b", `..\x`, "\x00", "a\nb", "A", "a", "state.0", "timestamp.json", "role-x", "%2e%2e", "?", "#", strings.Repeat("n", 255), "é", "CON", "1.root"}
	var edges []edge
	for _, name := range names {
		edges = append(edges, edge{from: "targets", to: name})
	}
	repo := graph(edges, map[string]string{names[len(names)-1]: "fw/x"})
	d := newDevice(t, repo)
	if data, err := d.Find(t.Context(), "fw/x"); err != nil || string(data) != "by 1.root" {
		t.Fatalf("%q, %v", data, err)
	}
	for _, name := range repo.Requests {
		if strings.HasPrefix(name, "metadata/") && (!fs.ValidPath(name) || strings.Count(name, "/") != 1) {
			t.Errorf("asked for %q", name)
		}
	}
	d.restart()
	repo.Requests = nil
	if data, err := d.Find(t.Context(), "fw/x"); err != nil || string(data) != "by 1.root" || len(repo.Requests) != 3 {
		t.Errorf("from the cache: %q, %v, requests %q", data, err, repo.Requests)
	}
	lower := map[string]bool{}
	for name := range d.files() {
		if lower[strings.ToLower(name)] || !fs.ValidPath(name) || strings.Contains(name, "/") {
			t.Errorf("file %q", name)
		}
		lower[strings.ToLower(name)] = true
	}
}

func TestTUF_17_NotInSnapshot(t *testing.T) {
	repo := graph([]edge{{from: "targets", to: "A"}}, map[string]string{"A": "fw/x"})
	repo.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleSnapshot {
			delete(signed["meta"].(map[string]any), "A.json")
		}
	}
	repo.Republish()
	d := newDevice(t, repo)
	if _, err := d.Find(t.Context(), "fw/x"); !errors.Is(err, tuf.ErrDelegation) {
		t.Errorf("got %v", err)
	}
	if slices.ContainsFunc(repo.Requests, func(name string) bool { return strings.Contains(name, "A.json") }) {
		t.Error("the role was asked for")
	}
}

func TestBins(t *testing.T) {
	for _, bits := range []int{1, 3, 4, 8} {
		repo := tuftest.New()
		names := repo.DelegateBins(tuf.RoleTargets, "bin", bits)
		for i := range 40 {
			name := fmt.Sprintf("fw/%d", i)
			sum := verify.Sum(verify.SHA256, []byte(name)).Bytes()
			bin := names[int(sum[0])>>(8-bits)]
			repo.DelegatedTargets[bin][name] = []byte(bin)
		}
		publishAll(repo)
		d := newDevice(t, repo)
		for i := range 40 {
			if _, err := d.Find(t.Context(), fmt.Sprintf("fw/%d", i)); err != nil {
				t.Errorf("%d bits: %v", bits, err)
			}
		}
		if _, err := d.Find(t.Context(), "fw/none"); !errors.Is(err, tuf.ErrTargetUnknown) {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

// covers: B5
func TestTUF_17_HashPrefixes(t *testing.T) {
	digest := fmt.Sprintf("%x", verify.Sum(verify.SHA256, []byte("fw/x")).Bytes())
	for prefix, want := range map[string]error{
		digest[:1]: nil, digest[:5]: nil, digest: nil, strings.ToUpper(digest[:8]): tuf.ErrTargetUnknown, "zz": tuf.ErrTargetUnknown,
		digest + "0": tuf.ErrTargetUnknown, digest[1:4]: tuf.ErrTargetUnknown,
	} {
		repo := tuftest.New()
		repo.Delegate(tuf.RoleTargets, "bin", map[string]any{"path_hash_prefixes": []any{"zzz", prefix}})
		repo.DelegatedTargets["bin"]["fw/x"] = []byte("x")
		publishAll(repo)
		if _, err := newDevice(t, repo).Find(t.Context(), "fw/x"); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", prefix, err, want)
		}
	}
}

// twoDelegators is a repository in which A and B trust one role with different keys, of which A's have signed it.
func twoDelegators() *tuftest.Repo {
	repo := tuftest.New()
	repo.Delegate(tuf.RoleTargets, "A", map[string]any{"paths": []any{"a/*"}})
	repo.Delegate(tuf.RoleTargets, "B", map[string]any{"paths": []any{"b/*"}})
	repo.Delegate("A", "release", map[string]any{"paths": []any{"a/*"}})
	good := repo.Keys["release"]
	repo.Keys["release"] = []verify.Signer{testkeys.Ed25519(77)}
	repo.Delegate("B", "release", map[string]any{"paths": []any{"b/*"}})
	repo.Keys["release"] = good
	repo.DelegatedTargets["release"] = map[string][]byte{"a/x": []byte("a"), "b/x": []byte("b")}
	publishAll(repo)
	return repo
}

// TestTUF_18: two delegators give one role different keys. What the one vouches for is nothing to the other, in one process, from
// the cache, and in either order.
//
// covers: B19
func TestTUF_18_CachedRoleOtherDelegator(t *testing.T) {
	repo := twoDelegators()
	d := newDevice(t, repo)
	for range 2 {
		for _, restart := range []bool{false, true} {
			if data, err := d.Find(t.Context(), "a/x"); err != nil || string(data) != "a" {
				t.Errorf("a/x: %q, %v", data, err)
			}
			if restart {
				d.restart()
			}
			if _, err := d.Find(t.Context(), "b/x"); !errors.Is(err, tuf.ErrThreshold) {
				t.Errorf("b/x: %v, want ErrThreshold", err)
			}
		}
	}
}

// TestTUF_19: delegated metadata undergoes the checks of the top level, at any depth.
func TestTUF_19_DelegatedChecks(t *testing.T) {
	for depth := 1; depth <= 3; depth++ {
		edges := []edge{{from: "targets", to: "r1"}}
		for i := 2; i <= depth; i++ {
			edges = append(edges, edge{from: fmt.Sprint("r", i-1), to: fmt.Sprint("r", i)})
		}
		last := tuf.Role(fmt.Sprint("r", depth))
		for name, c := range map[string]struct {
			damage func(*tuftest.Repo)
			want   error
		}{
			"expired": {func(r *tuftest.Repo) { r.Expires[last] = r.Now; r.Put(last); r.Publish() }, tuf.ErrFreeze},
			"stranger": {func(r *tuftest.Repo) {
				r.Signers[last] = []verify.Signer{testkeys.Ed25519(66)}
				r.Put(last)
				r.Publish()
			}, tuf.ErrThreshold},
			"wrong type": {func(r *tuftest.Repo) {
				r.Edit = func(role tuf.Role, signed map[string]any) {
					if role == last {
						signed["_type"] = "snapshot"
					}
				}
				r.Put(last)
				r.Publish()
			}, tuf.ErrMalformed},
			"other version": {func(r *tuftest.Repo) {
				r.Hashes = false
				r.Publish()
				name := r.Name(last)
				r.Version[last]++
				r.Files[name] = r.Build(last)
				r.Version[last]--
			}, tuf.ErrMixAndMatch},
			"other bytes":  {func(r *tuftest.Repo) { r.Files[r.Name(last)] = append(r.Files[r.Name(last)], ' ') }, tuf.ErrLength},
			"other digest": {func(r *tuftest.Repo) { f := r.Files[r.Name(last)]; f[len(f)/2] ^= 1 }, tuf.ErrHash},
			"endless": {func(r *tuftest.Repo) {
				r.Hashes = false
				r.Publish()
				r.Files[r.Name(last)] = bytes.Repeat([]byte(" "), 8<<20+1)
			}, tuf.ErrLength},
			"absent":    {func(r *tuftest.Repo) { delete(r.Files, r.Name(last)) }, tuf.ErrTransport},
			"malformed": {func(r *tuftest.Repo) { r.Hashes = false; r.Publish(); r.Files[r.Name(last)] = []byte("null") }, tuf.ErrMalformed},
			"rollback": {func(r *tuftest.Repo) {
				r.Version[last]--
				r.Publish()
			}, tuf.ErrRollback},
		} {
			t.Run(fmt.Sprintf("%d/%s", depth, name), func(t *testing.T) {
				repo := graph(edges, map[string]string{string(last): "fw/x"})
				repo.Publish(last)
				repo.Publish()
				d := newDevice(t, repo)
				if name == "rollback" {
					d.refresh(nil)
				}
				good := clone(repo.Files)
				c.damage(repo)
				if _, err := d.Find(t.Context(), "fw/x"); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				repo.Files = good
				repo.Edit, repo.Hashes = nil, true
				delete(repo.Signers, last)
				delete(repo.Expires, last)
				repo.Version[last] = 5
				repo.Put(last)
				repo.Version[tuf.RoleTargets], repo.Version[tuf.RoleSnapshot], repo.Version[tuf.RoleTimestamp] = 9, 9, 9
				repo.Republish()
				if data, err := d.Find(t.Context(), "fw/x"); err != nil || string(data) != "by "+string(last) {
					t.Errorf("afterwards: %q, %v", data, err)
				}
			})
		}
	}
}

// A cached delegated file that is damaged in any way is fetched again.
func TestTUF_22_DelegatedCacheDamage(t *testing.T) {
	repo := graph([]edge{{from: "targets", to: "A"}}, map[string]string{"A": "fw/x"})
	d := newDevice(t, repo)
	if _, err := d.Find(t.Context(), "fw/x"); err != nil {
		t.Fatal(err)
	}
	for name, text := range d.files() {
		if !strings.HasPrefix(name, "role-") {
			continue
		}
		for _, damaged := range []string{"", "null", text[:len(text)/2], strings.Replace(text, "fw/x", "fw/y", 1), strings.Repeat(" ", 9<<20)} {
			d.put(name, damaged)
			d.restart()
			if data, err := d.Find(t.Context(), "fw/x"); err != nil || string(data) != "by A" {
				t.Errorf("%.20q: %q, %v", damaged, data, err)
			}
			if d.files()[name] != text {
				t.Error("not repaired")
			}
		}
	}
}

// The cache of delegated files has a bound.
func TestDelegatedFilesBounded(t *testing.T) {
	repo := tuftest.New()
	names := repo.DelegateBins(tuf.RoleTargets, "bin", 9)
	publishAll(repo)
	d := newDevice(t, repo)
	d.refresh(nil)
	for i := range 2 * len(names) {
		if _, err := d.Target(t.Context(), fmt.Sprint("fw/", i)); !errors.Is(err, tuf.ErrTargetUnknown) {
			t.Fatal(err)
		}
	}
	n := 0
	for name := range d.files() {
		if strings.HasPrefix(name, "role-") {
			n++
		}
	}
	if n != 256 {
		t.Errorf("%d files", n)
	}
}

// TestTUF_11: the first mirror lies or stalls, the second is good, and is asked first from then on.
func TestTUF_11_Mirrors(t *testing.T) {
	repo := graph([]edge{{from: "targets", to: "A"}}, map[string]string{"A": "fw/x"})
	for name, lie := range map[string]func(string, []byte, error) ([]byte, error){
		"down":    func(string, []byte, error) ([]byte, error) { return nil, errors.New("down") },
		"stalled": func(string, []byte, error) ([]byte, error) { return nil, stalled{} },
		"snapshot": func(name string, data []byte, err error) ([]byte, error) {
			if strings.Contains(name, "snapshot") {
				return []byte("{}"), nil
			}
			return data, err
		},
		"delegated": func(name string, data []byte, err error) ([]byte, error) {
			if strings.HasSuffix(name, "A.json") {
				return nil, fs.ErrNotExist
			}
			return data, err
		},
		"target": func(name string, data []byte, err error) ([]byte, error) {
			if strings.HasPrefix(name, "targets/") {
				return []byte("by B"), nil
			}
			return data, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			bad := tuftest.New()
			bad.Files, bad.Fault, repo.Requests = repo.Files, lie, nil
			d := newDevice(t, repo)
			d.o.Remote, d.o.Mirrors = bad, []client.Remote{repo}
			d.restart()
			if data, err := d.Find(t.Context(), "fw/x"); err != nil || string(data) != "by A" {
				t.Fatalf("%q, %v", data, err)
			}
			asked := len(bad.Requests)
			if _, err := d.Find(t.Context(), "fw/x"); err != nil || name != "target" && len(bad.Requests) != asked {
				t.Errorf("bad mirror asked again: %v, %v", bad.Requests[asked:], err)
			}
		})
	}
}

type stalled struct{}

func (stalled) Error() string { return "stalled" }
func (stalled) Timeout() bool { return true }

// The counter refuses what is older than it even when all files are lost, and lets versions begin again with a new root.
func TestTUF_22_CounterSurvivesTheCache(t *testing.T) {
	repo := tuftest.New()
	var past []map[string][]byte
	for range 3 {
		past = append(past, clone(repo.Files))
		repo.Publish()
	}
	counter, err := verify.NewCounter(simfs.NewSim(simfs.Options{}).FS(), "floor")
	if err != nil {
		t.Fatal(err)
	}
	lost := func() *device {
		d := newDevice(t, repo)
		d.o.Floor = counter
		d.restart()
		return d
	}
	lost().refresh(nil)
	now := repo.Files
	for _, repo.Files = range past {
		lost().refresh(tuf.ErrRollback)
	}
	repo.Files = now
	lost().refresh(nil)
	// a root that leaves the online keys alone changes nothing
	repo.Publish(tuf.RoleRoot)
	now = repo.Files
	repo.Files = clone(now)
	repo.Files["metadata/timestamp.json"] = past[0]["metadata/timestamp.json"]
	lost().refresh(tuf.ErrRollback)
	repo.Files = now
	lost().refresh(nil)
	// the root itself does not go back
	repo.Files = clone(now)
	delete(repo.Files, "metadata/2.root.json")
	lost().refresh(tuf.ErrRollback)
	repo.Files = now
	// a thief drives the version up; the new root begins again
	repo.Version[tuf.RoleTimestamp] = 1 << 62
	repo.Put(tuf.RoleTimestamp)
	lost().refresh(nil)
	repo.Keys[tuf.RoleTimestamp] = []verify.Signer{testkeys.P256(61)}
	repo.Publish(tuf.RoleRoot)
	repo.Version[tuf.RoleTimestamp] = 1
	repo.Put(tuf.RoleTimestamp)
	lost().refresh(nil)
}

func TestDownload(t *testing.T) {
	repo := graph([]edge{{from: "targets", to: "A"}}, map[string]string{"A": "fw/x"})
	repo.Now = repo.Now.Add(time.Minute)
	dir := dirOf(repo.Files)
	for name, remote := range map[string]client.Remote{"memory": repo, "stream": client.DirRemote(dir)} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, repo)
			d.o.Remote = remote
			d.restart()
			d.refresh(nil)
			file, err := d.Target(t.Context(), "fw/x")
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := d.Download(t.Context(), file, &got); err != nil || got.String() != "by A" {
				t.Errorf("%q, %v", got.String(), err)
			}
			for want, change := range map[error]func(*tuf.TargetFile){
				tuf.ErrLength: func(f *tuf.TargetFile) { f.Length-- }, tuf.ErrTransport: func(f *tuf.TargetFile) { f.Path = "fw/y" },
			} {
				bad := file
				change(&bad)
				if err := d.Download(t.Context(), bad, &bytes.Buffer{}); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
		})
	}
}

func dirOf(files map[string][]byte) fs.FS {
	dir := fstest.MapFS{}
	for name, data := range files {
		dir[name] = &fstest.MapFile{Data: data}
	}
	return dir
}

// A bundle is the repository's files in one archive, for devices without a network. It undergoes the same checks, and one that is older
// than what the device has seen is refused.
func TestBundle(t *testing.T) {
	repo := graph([]edge{{from: "targets", to: "A"}}, map[string]string{"A": "fw/x"})
	bundle := func() client.Remote {
		var file bytes.Buffer
		w := zip.NewWriter(&file)
		if err := w.AddFS(dirOf(repo.Files)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		return client.DirRemote(r)
	}
	older := bundle()
	repo.DelegatedTargets["A"]["fw/x"] = []byte("newer")
	publishAll(repo)
	d := newDevice(t, repo)
	d.o.Remote = bundle()
	d.restart()
	if data, err := d.Find(t.Context(), "fw/x"); err != nil || string(data) != "newer" {
		t.Errorf("%q, %v", data, err)
	}
	d.o.Remote = older
	d.restart()
	d.refresh(tuf.ErrRollback)
	repo.Files["metadata/timestamp.json"] = bytes.Repeat([]byte(" "), 1<<20) // much smaller in the archive
	d.o.Remote = bundle()
	d.restart()
	d.refresh(tuf.ErrLength)
}
