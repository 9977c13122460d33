// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package depcheck

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	rootDir     = "../.."
	examplesDir = "../../examples"
)

func TestArrows(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		t.Run(goos, func(t *testing.T) {
			g := load(t, rootDir, goos, "./...")
			if len(g.links(module)) == 0 || len(g.links(repository)) == 0 {
				t.Fatal("the root or tuf/repository is not among the packages listed")
			}
			for _, v := range violations(g, rules...) {
				t.Error(v)
			}
		})
	}
}

func TestExamplesArrows(t *testing.T) {
	g := load(t, examplesDir, "linux", "./...")
	if !slices.Contains(g.links(agent), tufTree+"/client") {
		t.Error("the ordinary agent does not link tuf/client: the suitonly test would show nothing")
	}
	for _, v := range violations(g, rules...) {
		t.Error(v)
	}
}

// A SUIT-only agent links no go-tuf and no tuf/..., and neither does the root package.
func TestSUITOnlyAgent(t *testing.T) {
	g := load(t, examplesDir, "linux", "-tags", "suitonly", "./agent")
	if !slices.Contains(g.links(agent), module) {
		t.Error("the agent does not link the root package")
	}
	for _, v := range violations(g, append(slices.Clone(rules), suitOnly)...) {
		t.Error(v)
	}
}

// sound is a small project that breaks no rule.
var sound = graph{
	module:                         {"context", module + "/manifest", module + "/fetch", module + "/install", verifyTree, internals + "/durable"},
	module + "/manifest":           {verifyTree, verifyTree + "/cose", internals + "/cborstream"},
	module + "/manifest/processor": {module + "/manifest"},
	author:                         {module + "/manifest", "os/exec"},
	module + "/fetch":              {verifyTree, internals + "/durable"},
	module + "/fetch/httpsource":   {module + "/fetch", "net/http"},
	module + "/install":            {verifyTree},
	module + "/install/slot":       {module + "/install", "golang.org/x/sys/unix"},
	tufTree:                        {verifyTree},
	tufTree + "/client":            {tufTree, internals + "/durable"},
	repository:                     {tufTree, goTUF + "/go-tuf/v2/metadata"},
	tufTree + "/internal/tufsim":   {tufTree, internals + "/testkeys", "testing"},
	verifyTree:                     {internals + "/durable", "crypto/ecdsa"},
	verifyTree + "/cose":           {verifyTree, internals + "/cborstream", "golang.org/x/crypto/chacha20"},
	internals + "/durable":         {"os"},
	internals + "/cborstream":      {"unicode/utf8"},
	internals + "/testkeys":        {verifyTree},
	agent:                          {module, module + "/fetch/httpsource", tufTree + "/client"},
	examples + "/firmctl":          {module, author, repository, "os/exec"},
	"net/http":                     {"log"},
	"golang.org/x/crypto/chacha20": {"math/bits"},
	goTUF + "/go-tuf/v2/metadata":  {"github.com/sigstore/sigstore/pkg/signature"},
}

func TestSoundProjectPasses(t *testing.T) {
	if found := violations(sound, rules...); len(found) != 0 {
		t.Errorf("violations in a sound project:\n%s", strings.Join(found, "\n"))
	}
}

// Each rule fails on one import added to the sound project.
func TestEachRuleFails(t *testing.T) {
	suit := maps.Clone(sound)
	suit[agent] = []string{module, module + "/fetch/httpsource"}
	tried := map[string]bool{}
	for _, test := range []struct{ rule, from, to string }{
		{"verify", verifyTree, module + "/manifest"},
		{"verify", verifyTree + "/cose", module + "/install"},
		{"trees", module + "/manifest", module + "/fetch"},
		{"trees", module + "/fetch/httpsource", tufTree},
		{"trees", tufTree + "/client", module + "/fetch"},
		{"trees", module + "/install/slot", module + "/manifest/processor"},
		{"parents", tufTree, tufTree + "/client"},
		{"parents", verifyTree, verifyTree + "/cose"},
		{"internal", internals + "/durable", module + "/fetch"},
		{"root", module + "/install", module},
		{"root", module, tufTree},
		{"root", module, tufTree + "/client"},
		{"root", module + "/install", goTUF + "/go-tuf/v2/metadata"},
		{"gotuf", tufTree, goTUF + "/go-tuf/v2/metadata"},
		{"gotuf", examples + "/firmctl", goTUF + "/go-tuf/v2/metadata"},
		{"author", module, author},
		{"author", tufTree + "/client", repository},
		{"device", module + "/install", "os/exec"},
		{"device", internals + "/durable", "testing"},
		{"device", module + "/fetch", "database/sql"},
		{"device", author, "log"},
		{"device", internals + "/durable", "C"},
		{"dependencies", module + "/install/slot", "example.org/cloud/sdk"},
		{"dependencies", verifyTree + "/cose", "github.com/veraison/go-cose"},
		{"testonly", module + "/fetch", internals + "/testkeys"},
		{"testonly", examples + "/firmctl", internals + "/testkeys"},
		{"testonly", author, module + "/fetch/fetchtest"},
		{"examples", module, examples + "/firmctl"},
		{"examples", agent, author},
		{"examples", examples + "/firmctl", internals + "/durable"},
		{"examples", agent, examples + "/firmctl"},
		{"suitonly", agent, tufTree + "/client"},
		{"suitonly", module + "/fetch", tufTree},
		{"suitonly", module + "/fetch", compress + "/zstd"},
	} {
		t.Run(test.rule+" "+strings.TrimPrefix(test.from, module)+" to "+test.to, func(t *testing.T) {
			base, all := sound, rules
			if test.rule == suitOnly.name {
				base, all = suit, append(slices.Clone(rules), suitOnly)
			}
			g := maps.Clone(base)
			if found := violations(g, all...); len(found) != 0 {
				t.Fatalf("before the change: %v", found)
			}
			g[test.from] = append(slices.Clone(g[test.from]), test.to)
			if found := violations(g, all...); !slices.ContainsFunc(found, func(v string) bool {
				return strings.HasPrefix(v, test.rule+": ")
			}) {
				t.Errorf("found %q, want one by rule %q", found, test.rule)
			}
		})
		tried[test.rule] = true
	}
	for _, r := range append(slices.Clone(rules), suitOnly) {
		if !tried[r.name] {
			t.Errorf("rule %q has no synthetic violation", r.name)
		}
	}
}
