// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/clienttest"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// state is a change of what is served. A wrong one is served once; what is right goes on from the state before it.
type state struct {
	name    string
	change  func(r *tuftest.Repo, rng *rand.Rand)
	after   string // the right state that is served before
	also    string // a target that is looked up besides
	partial bool   // wrong, but not for the target that is looked up first; any other wrong state is wrong for that
	rooted  bool   // the root that is served is right, so that what follows has to follow it

	// differ says why the two clients answer differently, then or after, if they do: which rule, and who refuses. Where it is set, they must.
	differ *difference
}

type difference struct {
	refuses string // "tuf/client" or "go-tuf": the other one finds the target
	rule    string
}

// looked up in every state; the last one is in no repository.
var lookedUp = []string{"fw/a.suit", "team/x.suit", "fw/none.suit"}

// TestM1_SameAsGoTUF feeds identical repositories to go-tuf's client and to this one: first each wrong state by itself, and each right one
// with all that follows from it, then random sequences of them, 40 or FIRMAMENT_TUF_SEQUENCES. The verdicts are the same, or the difference is
// one that is explained.
func TestM1_SameAsGoTUF(t *testing.T) {
	compared := 0
	for _, s := range slices.Concat(rightStates, wrongStates) {
		t.Run(s.name, func(t *testing.T) {
			w := newWalk(t, uint64(len(s.name)))
			if i := slices.IndexFunc(rightStates, func(x state) bool { return x.name == s.after }); i >= 0 {
				w.step(rightStates[i], false)
			}
			w.step(s, slices.ContainsFunc(wrongStates, func(x state) bool { return x.name == s.name }))
			if s.differ != nil && w.differed == 0 {
				t.Errorf("no difference any more; the rule was: %s", s.differ.rule)
			}
			compared += w.compared
		})
	}
	sequences := 40
	if testing.Short() {
		sequences = 5
	}
	if n, err := strconv.Atoi(os.Getenv("FIRMAMENT_TUF_SEQUENCES")); err == nil {
		sequences = n
	}
	for seed := range sequences {
		t.Run(fmt.Sprint("sequence ", seed), func(t *testing.T) {
			w := newWalk(t, uint64(seed))
			for range 8 {
				wrong := w.rng.IntN(2) == 0
				list := rightStates
				if wrong {
					list = wrongStates
				}
				if s := list[w.rng.IntN(len(list))]; s.differ == nil && s.after == "" { // after a difference the caches are no longer comparable
					w.step(s, wrong)
				}
			}
			compared += w.compared
		})
	}
	var b strings.Builder
	for _, s := range slices.Concat(rightStates, wrongStates) {
		if s.differ != nil {
			fmt.Fprintf(&b, "%-56s %-10s refuses: %s\n", s.name, s.differ.refuses, s.differ.rule)
		}
	}
	t.Logf("%d answers compared; explained differences:\n%s", compared, &b)
}

// TestM1_ConformanceOfGoTUF asks go-tuf's client the questions of clienttest. It passes those of the public suite but one, and so does the suite say:
// what is asked here is what is asked there.
func TestM1_ConformanceOfGoTUF(t *testing.T) {
	explained := map[string]string{
		"test_updater_delegation_graphs.py::test_cached_role_is_verified_against_current_delegator": "section 5.6.3: metadata is verified with the keys of the delegation that led to it, each time",

		"beyond::expires at the very second":             "section 5: the expiration must be higher than the time of the update",
		"beyond::a key of an unknown type beside others": "section 4.2.2: any key type may be listed; a threshold that others meet is met",
		"beyond::path_hash_prefixes":                     "section 4.5: the prefix is of the digest in hexadecimal",
	}
	wrong := clienttest.Failures(t, func(t testing.TB, root []byte, repo *tuftest.Repo) (clienttest.Client, error) {
		return otherInstallation{newPair(t, root, repo)}, nil
	})
	for id, text := range wrong {
		if explained[id] == "" {
			t.Errorf("%s: %s", id, text)
		}
	}
	for id, rule := range explained {
		if wrong[id] == "" {
			t.Errorf("%s: no difference any more; the rule was: %s", id, rule)
		}
	}
}

// walk is a pair of clients and the honest repository.
type walk struct {
	*pair
	honest   *tuftest.Repo
	rng      *rand.Rand
	history  []string
	compared int
	differed int
}

// newWalk begins a walk; with an odd seed tuf/client does not verify again what it verified.
func newWalk(t *testing.T, seed uint64) *walk {
	repo := tuftest.New()
	repo.Delegate(tuf.RoleTargets, "first", map[string]any{"paths": []any{"first/*"}})
	repo.Publish("first")
	repo.Publish()
	w := &walk{pair: newPair(t, repo.Root(1), repo), honest: repo, rng: rand.New(rand.NewPCG(seed, 0))}
	if seed%2 == 1 {
		w.seal = testkeys.Macer(1)
	}
	w.compare("at the beginning", state{}, nil)
	return w
}

// step serves a state, compares, and, if it was a wrong one, compares again when the honest repository has published once more, with versions
// above all that were served.
func (w *walk) step(s state, wrong bool) {
	w.t.Helper()
	w.history = append(w.history, s.name)
	if !wrong {
		s.change(w.honest, w.rng)
		w.repo = w.honest
		w.compare("right", s, s.differ)
		return
	}
	w.repo = w.honest.Clone()
	s.change(w.repo, w.rng)
	w.compare("wrong", s, s.differ)
	if s.rooted {
		served := w.repo.Clone()
		w.honest.Keys, w.honest.Thresholds = served.Keys, served.Thresholds
		for name, data := range served.Files {
			if strings.HasSuffix(name, ".root.json") {
				w.honest.Files[name] = data
			}
		}
	}
	for role, version := range w.repo.Version {
		if _, ok := w.honest.Version[role]; !ok { // a role that a snapshot lists is listed from then on
			w.honest.Keys[role], w.honest.Files[w.repo.Name(role)] = w.repo.Keys[role], w.repo.Files[w.repo.Name(role)]
		}
		w.honest.Version[role] = max(version, w.honest.Version[role])
	}
	w.honest.Version[tuf.RoleRoot] = w.rootOf()
	if s.rooted {
		w.honest.Publish(tuf.RoleRoot)
	}
	w.honest.Publish()
	w.repo = w.honest
	w.compare("after", s, s.differ)
}

// rootOf is the newest root that the honest repository has published.
func (w *walk) rootOf() (n int64) {
	for w.honest.Root(int(n+1)) != nil {
		n++
	}
	return n
}

func (w *walk) compare(when string, s state, why *difference) {
	w.t.Helper()
	names := lookedUp
	if s.also != "" {
		names = append(slices.Clone(names), s.also)
	}
	for _, name := range names {
		ours, theirs := w.find(name)
		w.compared++
		if when == "wrong" && !s.partial && name == lookedUp[0] && ours.err == nil && (why == nil || why.refuses == "tuf/client") {
			w.t.Errorf("%s, wrong, %s: nobody minds: %v", strings.Join(w.history, ", then "), name, ours)
		}
		switch {
		case ours.same(theirs):
		case why != nil && (ours.err != nil) == (why.refuses == "tuf/client") && (theirs.err != nil) == (why.refuses == "go-tuf"):
			w.differed++
		default:
			w.t.Errorf("%s, %s, %s:\n tuf/client %v\n go-tuf     %v", strings.Join(w.history, ", then "), when, name, ours, theirs)
		}
	}
}
