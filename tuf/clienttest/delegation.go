// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// An edge is a delegation: "targets A", with "!" before the second role if it is terminating, and the path patterns after it; none are "*".
type edge string

func (e edge) parts() (from, to tuf.Role, terminating bool, paths []any) {
	words := strings.Fields(string(e))
	name, terminating := strings.CutPrefix(words[1], "!")
	for _, p := range words[2:] {
		paths = append(paths, p)
	}
	if paths == nil {
		paths = []any{"*"}
	}
	return tuf.Role(words[0]), tuf.Role(name), terminating, paths
}

// publishGraph publishes the roles of a graph, each as version 1, and the top-level roles after them.
func (w *world) publishGraph(edges ...edge) {
	var roles []tuf.Role
	for _, e := range edges {
		from, to, terminating, paths := e.parts()
		if w.Keys[to] == nil {
			roles = append(roles, to)
		}
		w.Delegate(from, string(to), map[string]any{"terminating": terminating, "paths": paths})
		w.Expires[to] = w.Now.Add(30 * day)
	}
	w.Publish(roles...)
	w.Publish(targets, snapshot, timestamp)
}

// visited compares the delegated roles that were asked for.
func (w *world) visited(want string) {
	w.Helper()
	got := w.metadataRequests()
	first, rest, ok := strings.Cut(got, " 2.targets")
	if !ok || first != "2.root timestamp 2.snapshot" {
		w.Fatalf("asked for %q, want the top-level roles first", got)
	}
	var list []string
	for _, name := range strings.Fields(rest) {
		list = append(list, strings.TrimPrefix(name, "1."))
	}
	if got := strings.Join(list, " "); got != want {
		w.Fatalf("visited %q, want %q", got, want)
	}
}

// graphs is the order in which delegated roles are visited: depth first, each once, in the order of the lists (5.6.7).
func graphs() (cases []Case) {
	for _, c := range []struct {
		name, visited string
		edges         []edge
	}{
		{"basic-delegation", "A", []edge{"targets A"}},
		{"single-level-delegations", "A B", []edge{"targets A", "targets B"}},
		{"two-level-delegations", "A B C", []edge{"targets A", "targets B", "B C"}},
		{"two-level-test-DFS-order-of-traversal", "A C D B", []edge{"targets A", "targets B", "A C", "A D"}},
		{"three-level-delegation-test-DFS-order-of-traversal", "A C D B", []edge{"targets A", "targets B", "A C", "C D"}},
		{"two-level-terminating-ignores-all-but-roles-descendants", "A C", []edge{"targets A", "targets B", "A !C", "A D"}},
		{"three-level-terminating-ignores-all-but-roles-descendants", "A C D", []edge{"targets A", "targets B", "A !C", "C D"}},
		{"two-level-ignores-all-branches-not-matching-paths", "B", []edge{"targets A *.py", "targets B", "A C"}},
		{"three-level-ignores-all-branches-not-matching-paths", "A B", []edge{"targets A", "targets B", "A C *.py", "C D"}},
		{"cyclic-graph", "A B C D", []edge{"targets A", "targets B", "B C", "C D", "D B"}},
		{"two-roles-delegating-to-a-third", "A C B", []edge{"targets A", "targets B", "B C", "A C"}},
		{"two-roles-delegating-to-a-third-different-paths", "A B C", []edge{"targets A", "targets B", "B C", "A C *.py"}},
	} {
		cases = append(cases, Case{"test_updater_delegation_graphs.py::test_graph_traversal[" + c.name + "]", func(w *world) {
			w.publishGraph(c.edges...)
			w.doesNotDownload("missingpath")
			w.visited(c.visited)
		}})
	}
	return cases
}

// searches is which delegations match a target path (PATHPATTERN, section 4.5).
func searches() (cases []Case) {
	const none = ""
	for _, c := range []struct{ name, target, content, visited string }{
		{"no delegations", "targetfile", "by targets", ""},
		{"targetpath matches wildcard", "README.md", "README by A", "A"},
		{"targetpath with separators x", "releases/x/x_v1", "x by C", "B C"},
		{"targetpath with separators y", "releases/y/y_v1.zip", "y by D", "B D"},
		{"targetpath is not delegated by all roles in the chain", "releases/z/z_v1.zip", none, "B"},
		{"wildcard does not match path separator", "releases/README.md", none, ""},
		{"targetpath matches question mark wildcard", "foo-1.tgz", "foo 1", "A"},
		{"targetpath does not match question mark wildcard", "foo-alpha.tgz", none, ""},
		{"targetpath matching is case sensitive", "README.MD", none, ""},
	} {
		cases = append(cases, Case{"test_updater_delegation_graphs.py::test_targetfile_search[" + c.name + "]", func(w *world) {
			w.Targets["targetfile"] = []byte("by targets")
			w.DelegatedTargets["A"] = map[string][]byte{
				"README.md": []byte("README by A"), "releases/README.md": []byte("nested by A"), "foo-1.tgz": []byte("foo 1"), "foo-alpha.tgz": []byte("foo alpha"),
			}
			w.DelegatedTargets["C"] = map[string][]byte{"releases/x/x_v1": []byte("x by C")}
			w.DelegatedTargets["D"] = map[string][]byte{"releases/y/y_v1.zip": []byte("y by D"), "releases/z/z_v1.zip": []byte("z by D")}
			w.publishGraph("targets A *.doc *.md foo-?.tgz", "targets B releases/*/*", "B C releases/x/*", "B D releases/y/*.zip")
			if c.content == none {
				w.doesNotDownload(c.target)
				w.has()
			} else {
				w.downloads(c.target)
				w.has(c.content)
			}
			w.visited(c.visited)
		}})
	}
	return cases
}

var delegations = []Case{
	{"test_updater_delegation_graphs.py::test_cached_role_is_verified_against_current_delegator", func(w *world) {
		// Two roles delegate to "release" with different keys. It is signed for the first one alone.
		for _, parent := range []string{"a", "b"} {
			paths := []any{"team-" + parent + "/*"}
			w.Delegate(targets, "parent-"+parent, map[string]any{"paths": paths})
			w.Keys["release"] = []verify.Signer{map[string]verify.Signer{"a": tuftest.Ed25519(20), "b": tuftest.Ed25519(21)}[parent]}
			w.Delegate(tuf.Role("parent-"+parent), "release", map[string]any{"paths": paths})
		}
		w.Signers["release"] = []verify.Signer{tuftest.Ed25519(20)}
		w.DelegatedTargets["release"] = map[string][]byte{"team-a/x": []byte("trusted a"), "team-b/x": []byte("malicious b")}
		w.Publish("release", "parent-a", "parent-b", targets, snapshot, timestamp)
		w.doesNotDownload("team-a/x", "team-b/x")
		for _, data := range w.c.Targets() { // a client may refuse such a graph altogether
			if string(data) != "trusted a" {
				w.Fatalf("has %q", data)
			}
		}
	}},
	{"test_updater_delegation_graphs.py::test_delegation_not_in_snapshot", func(w *world) {
		w.delegated()
		delete(w.Version, "delegated")
		w.Publish(targets, snapshot, timestamp)
		w.accepts()
		w.doesNotDownload("delegatedpath/foo")
		w.asked("2.root timestamp")
		w.trusts("root 1, snapshot 2, targets 2, timestamp 2")
	}},
	// A delegated role is looked at like the top-level one (5.6.3 to 5.6.5).
	{"beyond::a delegated role that has expired", func(w *world) {
		w.Expires["delegated"] = w.Now.Add(-day)
		w.refusesDelegated()
	}},
	{"beyond::a delegated role signed by a stranger", func(w *world) {
		w.Signers["delegated"] = []verify.Signer{tuftest.Ed25519(20)}
		w.refusesDelegated()
	}},
	{"beyond::another version of a delegated role than snapshot lists", func(w *world) {
		w.edit("delegated", func(signed map[string]any) { signed["version"] = 2 })
		w.refusesDelegated()
	}},
	{"beyond::another digest of a delegated role than snapshot lists", func(w *world) {
		w.Hashes = true
		w.lists(snapshot, "delegated", func(meta map[string]any) { meta["hashes"] = zeros })
		w.refusesDelegated()
	}},
	{"beyond::a delegated role that changes", func(w *world) {
		w.DelegatedTargets["delegated"] = map[string][]byte{"delegatedpath/x": []byte("content")}
		w.delegated()
		w.Publish()
		w.downloads("delegatedpath/x")
		w.has("content")
		w.DelegatedTargets["delegated"]["delegatedpath/x"] = []byte("changed")
		w.Publish("delegated")
		w.Publish()
		w.downloads("delegatedpath/x")
		w.has("changed")
	}},
	{"beyond::an older version of a delegated role", func(w *world) {
		w.delegated()
		w.Publish("delegated")
		w.Publish()
		w.accepts()
		w.restart("delegated", 1)
		w.Publish("delegated")
		w.Publish()
		w.refuses()
		w.trustsVersion(snapshot, "2")
	}},
}

// refusesDelegated publishes a delegated role with a target, and expects that the client does not have it.
func (w *world) refusesDelegated() {
	w.Helper()
	w.DelegatedTargets["delegated"] = map[string][]byte{"delegatedpath/x": []byte("content")}
	w.delegated()
	w.Publish()
	w.accepts()
	w.doesNotDownload("delegatedpath/x")
	w.has()
}

// names: whatever a role is called, it is one element of the URL's path, and one file of the client's.
func names() (cases []Case) {
	for _, name := range []string{"?", "#", "/delegatedrole", "../delegatedrole"} {
		escaped := url.PathEscape(name)
		cases = append(cases, Case{fmt.Sprintf("test_quoting_issues.py::test_unusual_role_name[%s]", name), func(w *world) {
			w.publishGraph(edge("targets " + name))
			w.doesNotDownload("missingpath")
			w.askedLast("1." + escaped)
			if n := len(w.c.Trusted()); n != 5 {
				w.Fatalf("trusts %d files, want 5", n)
			}
		}})
	}
	return cases
}
