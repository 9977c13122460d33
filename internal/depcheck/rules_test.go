// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package depcheck

import (
	"fmt"
	"slices"
	"strings"
)

const module = "github.com/firmament-dev/firmament"

const (
	verifyTree = module + "/verify"
	tufTree    = module + "/tuf"
	internals  = module + "/internal"
	examples   = module + "/examples"
	agent      = examples + "/agent"
	repository = tufTree + "/repository"
	author     = module + "/manifest/author"
	goTUF      = "github.com/theupdateframework"
	compress   = "github.com/klauspost/compress"
	rootXZ     = "github.com/therootcompany/xz"
)

var (
	trees = []string{module + "/manifest", tufTree, module + "/fetch", module + "/install"}

	// deviceModules are the only foreign import paths a device may link. go-cose and fxamacker/cbor are not among
	// them: tests hold our parser against them.
	deviceModules = []string{
		"filippo.io/edwards25519", // Ed25519 over messages that are not in memory
		"filippo.io/mldsa",
		compress, // by fetch/delta and packed payloads alone
		rootXZ,   // by fetch/packed/xz alone
		"golang.org/x/crypto",
		"golang.org/x/sys",
	}

	// testSupport is only ever linked by tests and by each other.
	testSupport = []string{
		internals + "/testkeys", internals + "/vectors", internals + "/depcheck", internals + "/simfs/mutant", tufTree + "/internal/tufsim",
		tufTree + "/tuftest", tufTree + "/clienttest", repository + "/storagetest", module + "/fetch/fetchtest", module + "/install/installtest",
	}
)

// A rule returns what path does that it must not.
type rule struct {
	name  string
	check func(g graph, path string) []string
}

var rules = []rule{
	{"verify", func(g graph, path string) []string {
		if !within(path, verifyTree) {
			return nil
		}
		return outside(g[path], verifyTree, internals)
	}},
	{"trees", func(g graph, path string) []string {
		for _, tree := range trees {
			if within(path, tree) {
				return outside(g[path], tree, verifyTree, internals)
			}
		}
		return nil
	}},
	{"parents", func(g graph, path string) []string {
		if path == module {
			return nil // the root composes
		}
		return matching(g[path], func(p string) bool {
			return p != path && within(p, path) && !within(p, path+"/internal")
		})
	}},
	{"internal", func(g graph, path string) []string {
		if !within(path, internals) {
			return nil
		}
		return outside(g[path], verifyTree, internals)
	}},
	{"root", func(g graph, path string) []string {
		if path == module {
			return matching(g.links(path), func(p string) bool { return within(p, tufTree, goTUF) })
		}
		if within(path, examples) {
			return nil
		}
		return matching(g[path], func(p string) bool { return p == module })
	}},
	{"gotuf", func(g graph, path string) []string {
		if within(path, repository, examples+"/bench") {
			return nil
		}
		return matching(g[path], func(p string) bool { return within(p, goTUF) })
	}},
	{"author", func(g graph, path string) []string {
		if !deviceSide(path) {
			return nil
		}
		return matching(g.links(path), func(p string) bool { return within(p, author, repository) })
	}},
	{"device", func(g graph, path string) []string {
		direct := matching(g[path], func(p string) bool { return p == "log" || p == "C" })
		if !deviceSide(path) || within(path, testSupport...) {
			return direct
		}
		return append(direct, matching(g.links(path), func(p string) bool {
			return within(p, "os/exec", "database/sql", "testing")
		})...)
	}},
	{"dependencies", func(g graph, path string) []string {
		if !deviceSide(path) {
			return nil
		}
		return matching(g.links(path), func(p string) bool {
			domain, _, _ := strings.Cut(p, "/")
			return strings.Contains(domain, ".") && !within(p, module) && !within(p, deviceModules...)
		})
	}},
	{"testonly", func(g graph, path string) []string {
		if within(path, testSupport...) {
			return nil
		}
		return matching(g.links(path), func(p string) bool { return within(p, testSupport...) })
	}},
	{"examples", func(g graph, path string) []string {
		if within(path, examples) {
			hidden := matching(g[path], func(p string) bool { return within(p, internals) })
			if path != agent {
				return hidden
			}
			return append(hidden, matching(g.links(path), func(p string) bool { return within(p, author, repository) })...)
		}
		return matching(g[path], func(p string) bool { return within(p, examples) })
	}},
}

// suitOnly is for the agent alone, built with the tag: what it does not use must not make it larger.
var suitOnly = rule{"suitonly", func(g graph, path string) []string {
	if path != agent {
		return nil
	}
	return matching(g.links(path), func(p string) bool { return within(p, tufTree, goTUF, compress, rootXZ) })
}}

// violations applies rules to the project's packages in g; each is "rule: package: what".
func violations(g graph, rules ...rule) []string {
	var found []string
	for _, path := range g.ours() {
		for _, r := range rules {
			for _, what := range r.check(g, path) {
				found = append(found, fmt.Sprintf("%s: %s reaches %s", r.name, path, what))
			}
		}
	}
	return found
}

func deviceSide(path string) bool {
	return within(path, module) && !within(path, examples, author, repository, internals+"/depcheck")
}

// outside returns those of the project's packages among paths that are in none of the trees.
func outside(paths []string, trees ...string) []string {
	return matching(paths, func(p string) bool { return within(p, module) && !within(p, trees...) })
}

func matching(paths []string, match func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !match(p) })
}
