// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// reference interprets the decoded model of a manifest, by the text of the drafts and the rules in
// doc.go, and in the plainest way: over maps, one command after the other, without journal or budgets. It
// shares no code with the processor. What comes before the first effect is in explore.
type reference struct {
	world // contents and counts change

	exploring bool
	answers   []bool         // while exploring, of what nobody knows yet; beyond these it is yes
	asked     int            // how often that was
	blind     bool           // a dependency that is fetched only now cannot be opened yet
	passed    int            // how many of those there were
	since     map[string]int // passed when a component was changed
	vague     bool           // something was answered that depends on them
	acted     bool           // somebody has done nobody knows what

	before   map[string]string         // contents before the run
	known    map[string]knowledge      // of what components hold by now; absent: what they have held before
	assumed  map[string]bool           // dependencies that nobody can have opened yet
	params   map[string]map[string]any // by component
	changed  map[string]bool           // in this run
	matched  map[string]knowledge      // in this run
	owed     map[string]bool           // a match before boot that failed and was softened
	unlinked map[string]map[*manifest.Manifest]bool
	opened   map[string][]*branch // dependencies whose integrity was checked, by where they are kept
	kept     map[string]string    // digests of what was opened in this run, by where it is kept
	done     map[string]bool      // dependencies that were processed, see branch.mark
	jobs     []lane

	section manifest.Section
	shared  bool
	effects []string
	waits   int
	seen    map[ending]int // if somebody wants to know
}

// ending is a command with how it ended.
type ending struct {
	code manifest.Code
	end  result
}

// world is a device before a run, with what it can fetch.
type world struct {
	contents  map[string]string // by component; absent: none
	refs      map[string]int    // other manifests that use it
	linked    map[string]bool   // those that are run use it
	fails     map[string]bool   // its custom condition does not hold
	denied    bool
	payloads  map[string]string // by URI
	infos     map[string]bool   // encryption infos that the device has a key for
	decrypt   func(info, ciphertext string) (plaintext string, ok bool)
	envelopes map[string]letter // by content
}

type letter struct {
	digest string
	m      *manifest.Manifest
}

// branch is a manifest in its place.
type branch struct {
	m      *manifest.Manifest
	above  *branch
	digest string
}

// scope is a sequence with what ends with it.
type scope struct {
	outer   *scope
	of      *branch
	index   []int
	one     bool // of several alternatives
	all     bool // index was set by true
	several bool // by true or a list
	soft    bool
	loose   bool // strict-order false
	sets    int  // how often an index may still be set; -1: always
	touched bool // an effect was had in it
	used    map[string][]string
}

// lane is one of several things that may be done at the same time.
type lane struct {
	number int
	used   map[string]map[int][]string // by component and job: "target", "source", "set" its parameters, or "look"
}

// result is how a command or a sequence ends.
type result string

const (
	fine   result = "fine"
	failed result = "condition failed"
	lost   result = "aborted by a condition"
	broken result = "aborted"
)

// battery and clock of every world.
const (
	charge = 50
	today  = 1000
)

func newReference(w world) *reference {
	r := &reference{world: w, params: map[string]map[string]any{}, changed: map[string]bool{}, known: map[string]knowledge{}, since: map[string]int{}, assumed: map[string]bool{},
		matched: map[string]knowledge{}, owed: map[string]bool{}, unlinked: map[string]map[*manifest.Manifest]bool{}, opened: map[string][]*branch{}, kept: map[string]string{}, done: map[string]bool{}}
	r.before, r.contents = w.contents, maps.Clone(w.contents)
	return r
}

// run is the sections in order, the shared sequence before each.
func (r *reference) run(m *manifest.Manifest) result {
	root := &branch{m: m}
	for _, s := range everySection {
		if s == manifest.SectionValidate {
			r.opened = map[string][]*branch{}
		}
		seq := sectionOf(m, s)
		if seq == nil && s >= manifest.SectionValidate && s <= manifest.SectionInvoke {
			continue // is not asked for
		}
		r.section = s
		if seq != nil {
			switch end := r.both(&scope{}, root, seq); end {
			case broken:
				return broken
			case failed, lost:
				return lost
			}
		}
		if !r.lockstep(root) {
			return broken
		}
		if len(r.owed) > 0 {
			return lost
		}
	}
	return fine
}

// both runs the shared sequence and seq of t.
func (r *reference) both(outer *scope, t *branch, seq manifest.Sequence) result {
	for i, q := range []manifest.Sequence{t.m.Shared, seq} {
		was := r.shared
		r.shared = i == 0
		s := &scope{outer: outer, of: t, sets: -1}
		if len(t.m.Components) == 1 {
			s.index = []int{0}
		}
		end := r.sequence(s, q)
		r.shared = was
		if end != fine {
			return end
		}
	}
	return fine
}

// lockstep: what a dependency of t that is there has in this section was processed.
func (r *reference) lockstep(t *branch) bool {
	for i := range t.m.Components {
		id := nameOf(t, i)
		if !depends(t, i) {
			continue
		}
		d := r.openedBy(t, id)
		if e, _ := r.envelope(id); d == nil && !r.assumed[id] && e.m != nil && e.digest == r.of(id)["digest"] {
			d = &branch{m: e.m, above: t, digest: e.digest}
		}
		if d != nil && sectionOf(d.m, r.section) != nil && !r.done[r.mark(d, id)] {
			return false
		}
	}
	return true
}

// openedBy is the dependency in id whose integrity was checked by t.
func (r *reference) openedBy(t *branch, id string) *branch {
	for _, d := range r.opened[id] {
		if d.above == t {
			return d
		}
	}
	return nil
}

// mark names this section of the dependency d in id.
func (r *reference) mark(d *branch, id string) string {
	return fmt.Sprintf("%p %s %s %v", d.above, id, d.digest, r.section)
}

func nameOf(t *branch, i int) string { return names[t.m.Components[i][0][0]] }

// names are those of the components that programs have.
var names = map[byte]string{0: "00", 1: "01", 2: "02", 0xdd: "dd"}

func depends(t *branch, i int) bool {
	return slices.ContainsFunc(t.m.Dependencies, func(d manifest.Dependency) bool { return d.Index == uint64(i) })
}

func (r *reference) sequence(s *scope, seq manifest.Sequence) result {
	for len(seq) > 0 {
		n := 1
		switch cmd := seq[0]; {
		case cmd.Code == 12:
			if !s.mayset() {
				return broken
			}
			s.set(cmd.Index)
		case cmd.Code == 34:
			if !s.mayset() {
				return broken
			}
			for _, o := range cmd.Overrides {
				s.set(&manifest.ComponentIndex{One: o.Index})
				if !r.use(s, nameOf(s.of, int(o.Index)), "set") {
					return broken
				}
				r.assign(s, int(o.Index), o.Parameters, true)
			}
		case s.index == nil:
			return broken
		default:
			for s.loose && cmd.Code == 32 && n < len(seq) && seq[n].Code == 32 {
				n++
			}
			if end := r.together(s, seq[:n]); end != fine {
				return end
			}
		}
		seq = seq[n:]
	}
	return fine
}

func (s *scope) mayset() bool {
	if s.sets == 0 {
		return false
	}
	s.sets = max(s.sets-1, -1)
	return true
}

func (s *scope) set(i *manifest.ComponentIndex) {
	s.index, s.all, s.several = nil, i.All, i.All || i.List != nil
	switch {
	case i.All:
		for c := range s.of.m.Components {
			s.index = append(s.index, c)
		}
	case i.List == nil:
		s.index = []int{int(i.One)}
	}
	for _, c := range i.List {
		s.index = append(s.index, int(c))
	}
}

// together is each command on each component. If they could be done at the same time, they are told apart.
func (r *reference) together(s *scope, cmds manifest.Sequence) result {
	type work struct {
		cmd manifest.Command
		c   int
	}
	var todo []work
	for _, cmd := range cmds {
		for _, c := range s.index {
			if cmd.Code != 11 || !s.all || depends(s.of, c) {
				todo = append(todo, work{cmd, c})
			}
		}
	}
	apart, used := s.loose && len(todo) > 1, map[string]map[int][]string{}
	for i, w := range todo {
		if apart {
			r.jobs = append(r.jobs, lane{i, used})
		}
		end := r.command(s, w.cmd, w.c)
		if apart {
			r.jobs = r.jobs[:len(r.jobs)-1]
		}
		if r.seen != nil {
			r.seen[ending{w.cmd.Code, end}]++
		}
		if end != fine {
			return end
		}
	}
	return fine
}

// use notes that name is a target, a source, both or looked at. Under strict-order false no component is target and
// source, and none is a target of one job and used by another.
func (r *reference) use(s *scope, name, as string) (ok bool) {
	for ; s != nil; s = s.outer {
		if !s.loose || as == "look" || as == "set" {
			continue
		}
		if s.used == nil {
			s.used = map[string][]string{}
		}
		for _, before := range s.used[name] {
			if before != as || as == "both" {
				return false
			}
		}
		s.used[name] = append(s.used[name], as)
	}
	for _, j := range r.jobs {
		if j.used[name] == nil {
			j.used[name] = map[int][]string{}
		}
		j.used[name][j.number] = append(j.used[name][j.number], as)
		for number, others := range j.used[name] {
			if number != j.number && (changing(as) || slices.ContainsFunc(others, changing)) {
				return false
			}
		}
	}
	return true
}

func changing(as string) bool { return as == "target" || as == "both" || as == "set" }

// command is one command on one component, by the numbers of the drafts.
func (r *reference) command(s *scope, cmd manifest.Command, c int) result {
	id := nameOf(s.of, c)
	p := r.of(id)
	switch q := cmd.Parameters; {
	case cmd.Code == 35:
		for _, from := range cmd.Copies {
			if !r.use(s, nameOf(s.of, int(from.Source)), "look") {
				return broken
			}
		}
		if !r.use(s, id, "set") {
			return broken
		}
	case q != nil && (q.SoftFailure == nil && q.StrictOrder == nil): // the generator sets these alone
		if !r.use(s, id, "set") {
			return broken
		}
	case cmd.Code != 15 && cmd.Code != 32 && !r.use(s, id, "look"):
		return broken
	}
	switch cmd.Code {
	case 1:
		return holds(p["vendor"] == vendor)
	case 2:
		return holds(p["class"] == class)
	case 3:
		return r.imageMatch(s, c)
	case 4:
		return holds(p["before"] != nil && p["before"].(uint64) > today)
	case 5:
		return holds(p["slot"] == uint64(0))
	case 6:
		want, ok := p["content"].(string)
		if !ok {
			return failed
		}
		return r.ask(s, id, question{cheap: true,
			holds: func(have string, there bool) bool { return there && have == want },
			told: func(k knowledge) (bool, bool) {
				return k.digest == sum(want) && (k.size < 0 || k.size == int64(len(want))), !k.envelope
			}})
	case 7:
		return r.integrity(s.of, c)
	case 8:
		return holds(depends(s.of, c))
	case 11:
		return r.process(s, c)
	case 14, 24: // this device has no identifier of its own
		return failed
	case 15:
		return r.tryEach(s, cmd, c)
	case 18:
		return r.write(s, id)
	case 19, 20:
		r.assign(s, c, cmd.Parameters, cmd.Code == 20)
		return fine
	case 21:
		return r.fetch(s, c)
	case 22:
		return r.copy(s, id)
	case 23:
		if p["digest"] == nil || r.matched[id].digest != p["digest"] {
			return lost
		}
		r.acted = true
		r.effect(s, "invoke %s %s", id, orEmpty(p["args"]))
		return fine
	case 25:
		return r.image(s, c, true)
	case 26:
		return holds(p["battery"] != nil && p["battery"].(uint64) <= charge)
	case 27:
		if p["priority"] == nil {
			return failed
		}
		if r.exploring {
			return r.either(s)
		}
		return holds(!r.denied && p["priority"].(int64) <= 5)
	case 28:
		return r.version(s, id)
	case 29:
		if i, ok := p["wait"].(*manifest.WaitInfo); !ok || i.TimeOfDay != nil {
			return broken
		}
		r.waits++
		return fine
	case 31:
		return r.swap(s, id)
	case 32:
		return r.runSequence(s, cmd, c)
	case 33:
		return r.unlink(s, c)
	case 35:
		for _, from := range cmd.Copies {
			for _, key := range from.Keys {
				if v, ok := r.of(nameOf(s.of, int(from.Source)))[parameterNames[key]]; ok {
					p[parameterNames[key]] = v
				}
			}
		}
		return fine
	case -256:
		return r.ask(s, id, question{here: true, holds: func(string, bool) bool { return !r.fails[id] }})
	case -257:
		if r.refused(id) || !r.use(s, id, "target") {
			return broken
		}
		r.acted = true
		r.effect(s, "custom %s", id)
		r.put(id, cmd.Custom.(string), knowledge{})
		return fine
	}
	panic(fmt.Sprintf("the generator makes no command %v", cmd.Code))
}

func holds(ok bool) result {
	if ok {
		return fine
	}
	return failed
}

func orEmpty(v any) any {
	if v == nil {
		return ""
	}
	return v
}

func sum(s string) string { return verify.Sum(verify.SHA256, []byte(s)).String() }

// image asks whether component c holds its image, or with not, whether it does not; of a dependency that is the manifest in the envelope.
func (r *reference) image(s *scope, c int, not bool) result {
	id := nameOf(s.of, c)
	p, envelope := r.of(id), depends(s.of, c)
	if p["digest"] == nil || (!envelope && p["size"] == uint64(0)) {
		return failed
	}
	return r.ask(s, id, question{
		holds: func(have string, there bool) bool {
			is := sum(have) == p["digest"] && (p["size"] == nil || uint64(len(have)) == p["size"])
			if envelope {
				is = r.envelopes[have].digest == p["digest"]
			}
			return (there && is) != not
		},
		told: func(k knowledge) (bool, bool) {
			switch anySize := envelope || p["size"] == nil; {
			case k.envelope != envelope, k.digest == p["digest"] && k.size < 0 && !anySize:
				return false, false
			case k.digest == p["digest"] && (anySize || uint64(k.size) == p["size"]):
				return !not, true
			}
			return not, true
		}})
}

func (r *reference) imageMatch(s *scope, c int) result {
	id := nameOf(s.of, c)
	delete(r.matched, id)
	end := r.image(s, c, false)
	switch {
	case end == fine:
		k := knowledge{digest: r.of(id)["digest"].(string), size: -1, envelope: depends(s.of, c)}
		if size, ok := r.of(id)["size"].(uint64); ok {
			k.size = int64(size)
		}
		r.matched[id] = k
		delete(r.owed, id)
	case r.changed[id]:
		return lost
	case r.section == manifest.SectionValidate || r.section == manifest.SectionLoad || r.section == manifest.SectionInvoke:
		r.owed[id] = true
	}
	return end
}

// version: a component's version is one number, the length of its content.
func (r *reference) version(s *scope, id string) result {
	v, ok := r.of(id)["version"].(*manifest.VersionMatch)
	if !ok {
		return failed
	}
	return r.ask(s, id, question{cheap: true, holds: func(content string, _ bool) bool {
		have, want := int64(len(content)), v.Version[0]
		return map[manifest.Comparison]bool{1: have > want, 2: have >= want, 3: have == want, 4: have <= want, 5: have < want}[v.Comparison]
	}})
}

// tryEach: the first alternative that is fine.
func (r *reference) tryEach(s *scope, cmd manifest.Command, c int) result {
	for _, seq := range cmd.Sequences {
		alternative := &scope{outer: s, of: s.of, index: []int{c}, one: true, soft: true, loose: s.loose, sets: -1}
		switch end := r.sequence(alternative, seq); {
		case end == fine:
			return fine
		case end == broken:
			return broken
		case end == lost, !alternative.soft, alternative.touched:
			return lost
		}
	}
	if cmd.Nil {
		return fine
	}
	return lost
}

func (r *reference) runSequence(s *scope, cmd manifest.Command, c int) result {
	inner := &scope{outer: s, of: s.of, index: []int{c}, sets: -1}
	if s.loose {
		inner.sets = 1
		if s.several {
			inner.sets = 0
		} else if cmd.Sequences[0][0].Code != 12 {
			return broken
		}
	}
	end := r.sequence(inner, cmd.Sequences[0])
	switch {
	case end == failed && inner.touched:
		return lost
	case end == failed && inner.soft:
		return fine
	}
	return end
}

// integrity opens what is kept in component c, if it is what the dependent asks for.
func (r *reference) integrity(t *branch, c int) result {
	id := nameOf(t, c)
	if !depends(t, c) || r.of(id)["digest"] == nil {
		return broken
	}
	r.kept[id] = r.of(id)["digest"].(string)
	e, known := r.envelope(id)
	switch is := e.m != nil && e.digest == r.kept[id]; {
	case !known, !is && r.since[id] < r.passed:
		r.assumed[id] = true
		return fine
	case !is:
		return broken
	}
	if d := r.openedBy(t, id); d != nil && d.digest == e.digest {
		return fine
	}
	r.opened[id] = slices.DeleteFunc(r.opened[id], func(d *branch) bool { return d.above == t })
	r.opened[id] = append(r.opened[id], &branch{m: e.m, above: t, digest: e.digest})
	return fine
}

func (r *reference) process(s *scope, c int) result {
	d := r.openedBy(s.of, nameOf(s.of, c))
	switch {
	case !depends(s.of, c) || r.shared:
		return broken
	case d == nil && r.assumed[nameOf(s.of, c)]:
		r.acted = true
		r.passed++
		return fine
	case d == nil:
		return broken
	}
	if seq := sectionOf(d.m, r.section); seq != nil {
		if end := r.both(s, d, seq); end != fine {
			return end
		}
		if !r.lockstep(d) {
			return broken
		}
	}
	r.done[r.mark(d, nameOf(s.of, c))] = true
	return fine
}

func (r *reference) unlink(s *scope, c int) result {
	id := nameOf(s.of, c)
	if !r.linked[id] || r.unlinked[id][s.of.m] {
		return fine
	}
	if depends(s.of, c) && r.refs[id] == 0 {
		if r.openedBy(s.of, id) == nil && r.integrity(s.of, c) != fine {
			return broken
		}
		if d, was := r.openedBy(s.of, id), r.section; d != nil {
			r.section = manifest.SectionUninstall
			end := r.both(s, d, d.m.Uninstall)
			if r.section = was; end != fine {
				return end
			}
		} else {
			r.passed++
		}
	}
	r.effect(s, "unlink %s", id)
	if r.unlinked[id] == nil {
		r.unlinked[id] = map[*manifest.Manifest]bool{}
	}
	r.unlinked[id][s.of.m] = true
	return fine
}

func (r *reference) fetch(s *scope, c int) result {
	id := nameOf(s.of, c)
	p := r.of(id)
	uri, _ := p["uri"].(string)
	size, sized := p["size"].(uint64)
	envelope := depends(s.of, c)
	encrypted := p["info"] != nil
	if uri == "" || p["digest"] == nil || (!envelope && (!sized || size == 0)) || strings.Contains(uri, ":") || (encrypted && !r.infos[p["info"].(string)]) {
		return broken
	}
	if envelope && r.kept[id] == p["digest"] {
		return fine // it is there
	}
	if r.refused(id) || !r.use(s, id, "target") {
		return broken
	}
	data, there := r.payloads[uri]
	if !r.exploring {
		var ok bool
		if data, ok = r.decrypted(p, data); !there || !ok || (!envelope && (uint64(len(data)) != size || sum(data) != p["digest"])) {
			return broken
		}
		if envelope && encrypted && r.envelopes[data].digest != p["digest"] {
			return broken
		}
	}
	r.effect(s, "fetch %s", id)
	k := knowledge{digest: p["digest"].(string), size: int64(size), envelope: envelope}
	if envelope {
		k.size = -1
	}
	r.put(id, data, k)
	return fine
}

// decrypted is data itself without encryption info.
func (r *reference) decrypted(p map[string]any, data string) (string, bool) {
	info, encrypted := p["info"].(string)
	if !encrypted {
		return data, true
	}
	return r.decrypt(info, data)
}

func (r *reference) write(s *scope, id string) result {
	p := r.of(id)
	content, ok := p["content"].(string)
	info, encrypted := p["info"].(string)
	if !ok || (encrypted && !r.infos[info]) || r.refused(id) || !r.use(s, id, "target") {
		return broken
	}
	k := knowledge{}
	if !encrypted {
		k = knowledge{digest: sum(content), size: int64(len(content)), written: true, text: content}
	}
	if !r.exploring {
		if content, ok = r.decrypted(p, content); !ok {
			return broken
		}
	}
	r.effect(s, "write %s", id)
	r.put(id, content, k)
	return fine
}

func (r *reference) copy(s *scope, id string) result {
	p := r.of(id)
	from, ok := p["source"].(string)
	if !ok || from == id || !r.use(s, from, "source") {
		return broken
	}
	matched := r.matched[from]
	if matched.envelope {
		matched = knowledge{} // only the manifest was matched
	}
	want, told := p["digest"].(string)
	info, encrypted := p["info"].(string)
	if !told && matched.digest == "" {
		return broken
	}
	k := r.knows(from)
	if r.exploring && !r.acted && !r.fits(k, matched, p) {
		return lost
	}
	if (encrypted && !r.infos[info]) || r.refused(id) || !r.use(s, id, "target") {
		return broken
	}
	data, there := r.contents[from]
	if !r.exploring {
		if data, ok = r.decrypted(p, data); !there || !ok || (told && (sum(data) != want || (p["size"] != nil && uint64(len(data)) != p["size"]))) {
			return broken
		}
	}
	switch {
	case told && (encrypted || k.digest == "" || k.envelope):
		k = knowledge{digest: want, size: -1}
		if size, ok := p["size"].(uint64); ok {
			k.size = int64(size)
		}
	case encrypted:
		k = knowledge{}
	}
	r.effect(s, "write %s", id)
	r.put(id, data, k)
	return fine
}

func (r *reference) swap(s *scope, id string) result {
	with, ok := r.of(id)["source"].(string)
	if !ok || with == id || r.refused(id) || r.refused(with) || !r.use(s, id, "both") || !r.use(s, with, "both") {
		return broken
	}
	r.effect(s, "swap %s %s", id, with)
	mine, iHad := r.contents[id]
	theirs, theyHad := r.contents[with]
	myself, them := r.knows(id), r.knows(with)
	r.put(id, theirs, them)
	r.put(with, mine, myself)
	if !theyHad {
		delete(r.contents, id)
	}
	if !iHad {
		delete(r.contents, with)
	}
	return fine
}

// refused: a component that other manifests use is not written, unless this run has written it already, nor is a dependency that
// was opened.
func (r *reference) refused(id string) bool {
	return (r.refs[id] > 0 && !r.changed[id]) || r.kept[id] != ""
}

func (r *reference) put(id, data string, k knowledge) {
	r.contents[id], r.known[id], r.changed[id], r.since[id] = data, k, true, r.passed
	delete(r.matched, id)
	delete(r.assumed, id)
}

func (r *reference) effect(s *scope, format string, args ...any) {
	r.effects = append(r.effects, fmt.Sprintf(format, args...))
	for ; s != nil; s = s.outer {
		s.touched = true
	}
}

func (r *reference) of(id string) map[string]any {
	if r.params[id] == nil {
		r.params[id] = map[string]any{}
	}
	return r.params[id]
}

// parameterNames are names of parameters by number.
var parameterNames = map[manifest.ParameterKey]string{1: "vendor", 2: "class", 3: "digest", 4: "before", 5: "slot", 14: "size", 18: "content", 19: "info",
	21: "uri", 22: "source", 23: "args", 26: "battery", 27: "priority", 28: "version", 29: "wait"}

func (r *reference) assign(s *scope, c int, p *manifest.Parameters, replace bool) {
	given := map[string]any{}
	if p.VendorID != nil {
		given["vendor"] = *p.VendorID
	}
	if p.ClassID != nil {
		given["class"] = *p.ClassID
	}
	if p.ImageDigest != nil {
		given["digest"] = p.ImageDigest.String()
	}
	if p.ImageSize != nil {
		given["size"] = *p.ImageSize
	}
	if p.Slot != nil {
		given["slot"] = *p.Slot
	}
	if p.UseBefore != nil {
		given["before"] = *p.UseBefore
	}
	if p.Content != nil {
		given["content"] = string(p.Content)
	}
	if p.EncryptionInfo != nil {
		given["info"] = string(p.EncryptionInfo)
	}
	if p.URI != nil {
		given["uri"] = *p.URI
	}
	if p.SourceComponent != nil {
		given["source"] = nameOf(s.of, int(*p.SourceComponent))
	}
	if p.InvokeArgs != nil {
		given["args"] = string(p.InvokeArgs)
	}
	if p.MinimumBattery != nil {
		given["battery"] = *p.MinimumBattery
	}
	if p.UpdatePriority != nil {
		given["priority"] = *p.UpdatePriority
	}
	if p.Version != nil {
		given["version"] = p.Version
	}
	if p.WaitInfo != nil {
		given["wait"] = p.WaitInfo
	}
	for key, value := range given {
		if _, has := r.of(nameOf(s.of, c))[key]; replace || !has {
			r.of(nameOf(s.of, c))[key] = value
		}
	}
	if !replace {
		return
	}
	if p.SoftFailure != nil {
		s.soft = *p.SoftFailure
	}
	if p.StrictOrder != nil {
		if s.loose = !*p.StrictOrder; !s.loose {
			s.used = nil
		}
	}
}

// everySection is the Update and the Invocation Procedure.
var everySection = []manifest.Section{manifest.SectionDependencyResolution, manifest.SectionPayloadFetch, manifest.SectionCandidateVerification,
	manifest.SectionInstall, manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke}

func sectionOf(m *manifest.Manifest, s manifest.Section) manifest.Sequence {
	return map[manifest.Section]manifest.Sequence{
		manifest.SectionDependencyResolution: m.DependencyResolution.Sequence, manifest.SectionPayloadFetch: m.PayloadFetch.Sequence,
		manifest.SectionCandidateVerification: m.CandidateVerification.Sequence, manifest.SectionInstall: m.Install.Sequence,
		manifest.SectionValidate: m.Validate, manifest.SectionLoad: m.Load, manifest.SectionInvoke: m.Invoke,
	}[s]
}
