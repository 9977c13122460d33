// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// knowledge is what anybody can know, before the first effect, of the content that a component will have.
type knowledge struct {
	from     string // the component that has it already; "" none
	digest   string // what the manifest says it will have; "" nothing
	size     int64  // -1: nothing is said
	envelope bool   // the digest is that of the manifest inside
	written  bool   // the manifest itself has it, which is text
	text     string
}

func (r *reference) knows(id string) knowledge {
	if r.since[id] < r.passed {
		return knowledge{} // a dependency may have changed it
	}
	return r.stores(id)
}

// stores is knows without what dependencies may change that are not there yet.
func (r *reference) stores(id string) knowledge {
	if k, ok := r.known[id]; ok {
		return k
	}
	return knowledge{from: id}
}

// question is a condition on the content of a component.
type question struct {
	holds func(content string, there bool) bool
	told  func(k knowledge) (holds, known bool) // by the digest in k; nil: cannot be told
	cheap bool                                  // is asked before the first effect, even if nothing depends on it
	here  bool                                  // nobody but the component itself can answer
}

// ask answers q. While exploring, that is by what the manifest says, or else by what is there already, if anything depends on it.
func (r *reference) ask(s *scope, id string, q question) result {
	if !r.exploring {
		content, there := r.contents[id]
		return holds(q.holds(content, there))
	}
	k := r.knows(id)
	if q.told != nil && k.digest != "" {
		if ok, known := q.told(k); known {
			return holds(ok)
		}
	}
	switch {
	case k.from == "":
		return r.either(s)
	case !q.cheap && !s.softens():
		return fine
	case q.here && k.from != id:
		return r.either(s)
	}
	content, there := r.before[k.from]
	return holds(q.holds(content, there))
}

// either is the answer to what nobody can know. Nothing depends on it if the run ends unless it is yes.
func (r *reference) either(s *scope) result {
	if !s.softens() {
		return fine
	}
	r.asked++
	yes := r.asked > len(r.answers) || r.answers[r.asked-1]
	r.vague = r.vague || (yes && r.passed > 0)
	return holds(yes)
}

// softens reports whether a condition that fails in s does not end the run.
func (s *scope) softens() bool {
	for ; s != nil && !s.touched; s = s.outer {
		if s.soft {
			return true
		}
		if s.one {
			return false
		}
	}
	return false
}

// envelope is the dependency in component id. Without known nobody can tell.
func (r *reference) envelope(id string) (e letter, known bool) {
	if !r.exploring {
		return r.envelopes[r.contents[id]], true
	}
	switch k := r.stores(id); {
	case k.from != "":
		return r.envelopes[r.before[k.from]], true
	case k.written:
		return r.envelopes[k.text], true
	case k.envelope && !r.blind:
		for _, e := range r.envelopes {
			if e.digest == k.digest {
				return e, true
			}
		}
	}
	return letter{}, false
}

// fits reports whether a copy with the parameters p, of what is known as k and was found to be matched, if that is anything, may come
// out right.
func (r *reference) fits(k, matched knowledge, p map[string]any) bool {
	if matched.digest != "" {
		k.digest, k.size, k.envelope = matched.digest, matched.size, false
	}
	want, told := p["digest"].(string)
	size, sized := p["size"].(uint64)
	told = told && p["info"] == nil
	if told && k.digest != "" && !k.envelope {
		return k.digest == want && (!sized || k.size < 0 || k.size == int64(size))
	}
	length := k.size
	if k.digest == "" || length < 0 {
		if k.from == "" {
			return true
		}
		content, there := r.before[k.from]
		if !there {
			return false
		}
		length = int64(len(content))
	}
	return !told || !sized || length == int64(size)
}

// maxPaths is how many combinations of answers are explored at most.
const maxPaths = 64

// refuses reports whether m is refused before its first effect: because it does not run to the end if all that nobody can know is yes, or because
// there is any other combination of answers with which something else than a condition ends it. With blind, a
// dependency that is fetched only then is left out. Without sure there are too many combinations.
func refuses(w world, m *manifest.Manifest, blind bool) (refused, sure bool) {
	for n, paths := 0, [][]bool{nil}; len(paths) > 0; n, paths = n+1, paths[1:] {
		if n == maxPaths {
			return false, false
		}
		answers := paths[0]
		r := newReference(w)
		r.exploring, r.blind, r.answers = true, blind, answers
		end := r.run(m)
		if end == broken || (end != fine && n == 0 && !r.vague) {
			return true, true
		}
		for len(answers) < r.asked {
			paths = append(paths, append(slices.Clone(answers), false))
			answers = append(slices.Clone(answers), true)
		}
	}
	return false, true
}
