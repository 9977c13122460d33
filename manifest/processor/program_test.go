// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify/cose"
)

// program makes manifests, and worlds for them, out of any bytes. It asks the reference after each command whether what there is
// so far still runs, and most often takes back a command with which it does not.
type program struct {
	tb       testing.TB
	in       []byte
	w        world
	m        manifest.Manifest
	depth    int
	trap     bool                     // the last command is one that may well be forbidden
	doomed   bool                     // a command was left in with which it does not run
	policies func(*manifest.Manifest) // gives them to the commands; nil: none
	shape    int                      // of trapped that is to come in, whatever becomes of it; -1: none
}

// registry has a custom condition and a custom directive.
var registry = manifest.Options{Registry: manifest.Registry{Commands: []manifest.CustomCommand{{Code: -256, Condition: true}, {Code: -257}}}}

// envelopeID is the component that a dependency's envelope is kept in.
var envelopeID = manifest.ComponentID{{0xdd}}

// secrets are ciphertexts, made once, as they are random.
var secrets = sync.OnceValue(func() (out []secret) {
	for i, alg := range []cose.ContentAlgorithm{cose.A128GCM, cose.A128CTR, cose.A128GCM} {
		s := secret{plain: []string{"A", "BB", "A"}[i]}
		info, ciphertext, err := cose.Encrypt(context.Background(), alg, []byte(s.plain), cose.Recipient{Wrapper: testkeys.KeyWrapper(1+i/2, 16)})
		if err != nil {
			panic(err) // the keys are fixed
		}
		s.info, s.ciphertext = info, string(ciphertext)
		out = append(out, s)
	}
	return out
})

type secret struct {
	info              []byte
	ciphertext, plain string
}

// recipient has the device's key.
func recipient() *cose.RecipientKeys {
	keys, err := cose.NewRecipientKeys(cose.RecipientKey{Wrapper: testkeys.KeyWrapper(1, 16)})
	if err != nil {
		panic(err) // the key is fixed
	}
	return keys
}

// decryptOnce returns a function that remembers what it has found out.
func decryptOnce() func(info, ciphertext string) (string, bool) {
	type answer struct {
		plaintext string
		ok        bool
	}
	known, keys := map[[2]string]answer{}, recipient()
	return func(info, ciphertext string) (string, bool) {
		a, ok := known[[2]string{info, ciphertext}]
		if !ok {
			plain, err := cose.Decrypt(context.Background(), []byte(info), []byte(ciphertext), keys)
			a = answer{string(plain), err == nil}
			known[[2]string{info, ciphertext}] = a
		}
		return a.plaintext, a.ok
	}
}

// texts is what components hold and payloads are; the first is none.
func texts() []string {
	return []string{"", "A", "BB", "CCC", secrets()[0].ciphertext, secrets()[1].ciphertext}
}

func (g *program) next(n int) int {
	if len(g.in) == 0 {
		return 0
	}
	v := int(g.in[0])
	g.in = g.in[1:]
	return v % n
}

func (g *program) text() string { return texts()[1+g.next(5)] }

// world is what the device holds and can fetch.
func (g *program) world() world {
	w := world{contents: map[string]string{}, refs: map[string]int{}, linked: map[string]bool{}, fails: map[string]bool{}, denied: g.next(8) == 1,
		payloads: map[string]string{}, infos: map[string]bool{string(secrets()[0].info): true, string(secrets()[1].info): true}, decrypt: decryptOnce(), envelopes: map[string]letter{}}
	for c := range 3 {
		id := fmt.Sprintf("%02x", c)
		if data := texts()[g.next(6)]; data != "" {
			w.contents[id] = data
		}
		w.refs[id], w.linked[id] = g.users()
		w.fails[id] = g.next(4) == 1
	}
	for i, data := range texts()[1:] {
		w.payloads[fmt.Sprint("u", i+1)] = data
	}
	return w
}

// users is how many other manifests use a component, and whether those that are run do.
func (g *program) users() (others int, linked bool) {
	n := max(g.next(12)-9, 0)
	return max(n-1, 0), n > 0
}

// manifest makes the whole of it.
func (g *program) manifest() {
	g.w = g.world()
	var dependency []manifest.Command
	if g.next(3) == 1 || g.shape == foreignSource || g.shape == unprocessed || g.shape == unlinking || g.shape == writtenOver {
		dependency = g.dependency()
	}
	g.m = release(3, nil, nil, nil)
	if dependency != nil {
		g.m.Components = append(g.m.Components, envelopeID)
		g.m.Dependencies = []manifest.Dependency{{Index: 3}}
	}
	g.common(dependency)
	var from []manifest.Section // the sections of the dependency
	for _, e := range g.w.envelopes {
		for _, s := range everySection {
			if sectionOf(e.m, s) != nil {
				from = append(from, s)
			}
		}
	}
	g.sections(from, dependency != nil)
}

// common makes the shared sequence.
func (g *program) common(dependency []manifest.Command) {
	g.m.Shared = shared(all(), override(manifest.Parameters{URI: new("u1"), Slot: new(uint64(0)), UseBefore: new(uint64(today + 1)), MinimumBattery: new(uint64(charge)),
		UpdatePriority: new(int64(1)), Version: &manifest.VersionMatch{Comparison: manifest.VersionGreaterEqual, Version: []int64{0}},
		WaitInfo: &manifest.WaitInfo{Network: new(int64(1))}}))
	for i := range uint64(3) {
		image := g.image()
		if g.next(4) == 1 {
			image.Parameters.ImageSize = nil
		}
		g.m.Shared = append(g.m.Shared, index(i), image, override(manifest.Parameters{SourceComponent: new((i + 1) % 3), Content: []byte(g.text())}))
	}
	for range g.next(4) {
		if p := g.parameters(); p.Code == manifest.DirectiveOverrideParameters {
			g.m.Shared = append(g.m.Shared, p)
		}
	}
	if dependency != nil {
		g.m.Shared = append(append(g.m.Shared, index(3)), dependency...)
	}
}

// sections fills the sections one after the other. Where the dependency has something, it is processed.
func (g *program) sections(from []manifest.Section, dependency bool) {
	here := false // the dependency is opened
	var shaped manifest.Section
	early := 0 // commands before the shape
	if g.shape >= 0 {
		shaped = []manifest.Section{manifest.SectionInstall, manifest.SectionInstall, manifest.SectionValidate, manifest.SectionLoad}[g.next(4)]
		early = g.next(3)
		if g.shape == madeGood || g.shape == leftBad {
			shaped = []manifest.Section{manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke}[g.next(3)]
		}
	}
	for _, s := range everySection {
		to := map[manifest.Section]*manifest.Sequence{
			manifest.SectionDependencyResolution: &g.m.DependencyResolution.Sequence, manifest.SectionPayloadFetch: &g.m.PayloadFetch.Sequence,
			manifest.SectionCandidateVerification: &g.m.CandidateVerification.Sequence, manifest.SectionInstall: &g.m.Install.Sequence,
			manifest.SectionValidate: &g.m.Validate, manifest.SectionLoad: &g.m.Load, manifest.SectionInvoke: &g.m.Invoke,
		}[s]
		if s == manifest.SectionValidate || s == manifest.SectionLoad || s == manifest.SectionInvoke {
			here = false
		}
		needed := slices.Contains(from, s)
		if dependency && g.next(32) != 1 && !(g.shape == unprocessed && s != manifest.SectionDependencyResolution && needed) {
			switch {
			case s == manifest.SectionDependencyResolution:
				*to = seq{index(3), fetch, command(manifest.ConditionIsDependency), integrity}
				if g.w.refs["dd"] > 0 { // it is there, and not to be written
					*to = seq{index(3), integrity}
				}
				here = true
				if g.next(4) == 1 {
					*to = append(*to, imageMatch, process)
				}
			case needed && !here:
				*to = seq{index(3), integrity, process}
				here = true
			case needed:
				*to = seq{[]manifest.Command{index(3), all()}[g.next(2)], process}
			}
		}
		if s == manifest.SectionPayloadFetch || s == manifest.SectionInstall || s == manifest.SectionValidate || s == shaped || g.next(2) == 1 {
			*to = append(*to, g.index())
			if g.shape >= 0 && s == shaped {
				g.grow(to, early)
				*to = append(*to, g.trapped(g.shape)...)
				if !g.runs() {
					return
				}
			}
			g.grow(to, 2+g.next(7))
		}
	}
}

// dependency makes a manifest that the other one depends on, puts its envelope where it can be fetched, and returns the
// parameters for that.
func (g *program) dependency() []manifest.Command {
	sub := &program{tb: g.tb, w: g.w, shape: -1}
	n := 12 + g.next(24)
	n = min(len(g.in), n)
	sub.in, g.in = g.in[:n], g.in[n:]
	sub.m = release(1+sub.next(2), nil, nil, nil)
	sub.m.SequenceNumber = 3
	for i := range sub.m.Components {
		sub.m.Components[i] = componentID(i + 1)
	}
	sub.m.Shared = seq{all(), sub.image(), override(manifest.Parameters{Content: []byte(sub.text()), URI: new("u2")})}
	if sub.next(2) == 1 {
		sub.m.Shared = append(sub.m.Shared, override(manifest.Parameters{SourceComponent: new(uint64(sub.next(len(sub.m.Components))))}))
	}
	if sub.next(2) == 1 {
		sub.m.Shared = append(sub.m.Shared, manifest.Command{Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{VendorID: &vendor}}, checkVendor)
	}
	for _, to := range []*manifest.Sequence{&sub.m.PayloadFetch.Sequence, &sub.m.Install.Sequence, &sub.m.Validate, &sub.m.Invoke} {
		if to == &sub.m.Install.Sequence || sub.next(3) == 1 {
			*to = seq{sub.index()}
			sub.grow(to, 1+sub.next(3))
		}
	}
	if sub.next(2) == 1 || g.shape == unlinking {
		sub.m.Uninstall = seq{index(0), override(manifest.Parameters{Content: []byte(sub.text())}), write, command(manifest.DirectiveUnlink)}
		sub.grow(&sub.m.Uninstall, sub.next(2))
	}
	if g.policies != nil {
		g.policies(&sub.m)
	}
	b, err := sign(g.tb, registry, sub.m)
	if err != nil {
		return nil // not every program is a manifest
	}
	u, err := registry.InspectBytes(b)
	if err != nil {
		g.tb.Fatal(err)
	}
	d := u.Digest()
	g.w.payloads["dep"], g.w.envelopes[string(b)] = string(b), letter{d.String(), &sub.m}
	if k := g.next(4); k == 1 || g.shape == unlinking {
		g.w.contents["dd"] = string(b)
		g.w.refs["dd"], g.w.linked["dd"] = g.next(2), g.next(4) != 0
	}
	p := manifest.Parameters{ImageDigest: &d, URI: new("dep")}
	if g.next(2) == 1 { // it says nothing
		p.ImageSize = new(uint64(1 + g.next(200)))
	}
	if g.next(4) == 1 {
		info, ciphertext, err := cose.Encrypt(g.tb.Context(), cose.A128GCM, b, cose.Recipient{Wrapper: testkeys.KeyWrapper(1, 16)})
		if err != nil {
			g.tb.Fatal(err)
		}
		p.EncryptionInfo, g.w.payloads["dep"], g.w.infos[string(info)] = info, string(ciphertext), true
	}
	return []manifest.Command{override(p)}
}

// grow adds commands to a sequence that is in the manifest already.
func (g *program) grow(to *manifest.Sequence, n int) {
	for range n {
		for range 8 {
			before := len(*to)
			g.trap = false
			g.command(to)
			if g.doomed || harmless((*to)[before:]) || g.runs() {
				break
			}
			if rare := g.next(256); rare == 1 || (g.trap && rare < 14) {
				g.doomed = true
				break
			}
			*to = (*to)[:before]
		}
	}
}

// harmless reports whether commands cannot end a run.
func harmless(cmds seq) bool {
	return !slices.ContainsFunc(cmds, func(c manifest.Command) bool {
		return c.Code != manifest.DirectiveOverrideParameters && c.Code != manifest.DirectiveSetParameters && c.Code != manifest.DirectiveCopyParams
	})
}

func (g *program) runs() bool { return newReference(g.w).run(&g.m) == fine }

func (g *program) index() manifest.Command {
	n := len(g.m.Components)
	switch k := g.next(8); {
	case k == 3 && len(g.m.Dependencies) == 0:
		return all()
	case k == 4 && n > 2:
		return indices(2, 0)
	case k == 5 && n > 1:
		return indices(0, 1)
	default:
		return index(uint64(k % min(n, 3)))
	}
}

// image sets digest and size, most often of the same thing.
func (g *program) image() manifest.Command {
	s := g.text()
	size := uint64(len(s))
	if g.next(16) == 1 {
		size++
	}
	return override(manifest.Parameters{ImageDigest: digest(s), ImageSize: &size})
}

func (g *program) parameters() manifest.Command {
	var p manifest.Parameters
	kinds := 13
	if g.depth > 0 {
		kinds = 15 // soft-failure has no meaning at the top
	}
	switch g.next(kinds) {
	case 0:
		p.URI = new([]string{"u1", "u2", "u3", "nowhere", "file:/u1"}[g.next(5)])
	case 1:
		p.SourceComponent = new(uint64(g.next(len(g.m.Components))))
	case 2:
		p.Slot = new(uint64(g.next(2)))
	case 3:
		p.Content = []byte(texts()[g.next(6)])
	case 4:
		p.UseBefore = new(uint64(today - 1 + g.next(3)))
	case 5:
		p.InvokeArgs = []byte{'x', byte('0' + g.next(3))}
	case 6:
		p.ClassID = []*manifest.UUID{&class, &other}[g.next(2)]
	case 7:
		p.ImageDigest = digest(g.text())
	case 8:
		p.MinimumBattery = new(uint64(charge - 1 + g.next(3)))
	case 9:
		p.UpdatePriority = new(int64(4 + g.next(3)))
	case 10:
		p.Version = &manifest.VersionMatch{Comparison: manifest.Comparison(1 + g.next(5)), Version: []int64{int64(g.next(4))}}
	case 11:
		p.WaitInfo = []*manifest.WaitInfo{{Power: new(int64(1))}, {TimeOfDay: new(uint64(1))}}[g.next(2)]
	case 12:
		return lax(g.next(2) == 0)
	default:
		return []manifest.Command{softly, hardly}[g.next(2)]
	}
	switch g.next(5) {
	case 0:
		return manifest.Command{Code: manifest.DirectiveSetParameters, Parameters: &p}
	case 1:
		return manifest.Command{Code: manifest.DirectiveOverrideMultiple,
			Overrides: []manifest.Override{{Index: uint64(g.next(len(g.m.Components))), Parameters: &p}}}
	case 2:
		return manifest.Command{Code: manifest.DirectiveCopyParams, Copies: []manifest.ParameterCopy{{Source: uint64(g.next(len(g.m.Components))),
			Keys: []manifest.ParameterKey{manifest.ParameterImageDigest, manifest.ParameterImageSize, manifest.ParameterContent, manifest.ParameterSourceComponent}}}}
	}
	return override(p)
}

// command adds one command to a sequence, with what it cannot go without: most manifests have sense.
func (g *program) command(to *manifest.Sequence) {
	add := func(cmds ...manifest.Command) { *to = append((*to)[:len(*to):len(*to)], cmds...) }
	kind := g.next(32)
	if g.depth > 2 && kind >= 22 {
		kind %= 22
	}
	switch kind {
	case 0, 1:
		add(g.index())
	case 2, 3, 4:
		add(g.parameters())
	case 5:
		add(g.condition()...)
	case 6:
		add(imageMatch)
	case 7, 8:
		add(g.image(), imageMatch)
	case 9:
		add(override(manifest.Parameters{Content: []byte(g.text())}), command(manifest.ConditionCheckContent))
	case 10, 11:
		n := 1 + g.next(5)
		s := texts()[n]
		add(override(manifest.Parameters{ImageDigest: digest(s), ImageSize: new(uint64(len(s))), URI: new(fmt.Sprint("u", n))}), fetch)
	case 12:
		add(g.image(), fetch)
	case 13:
		add(override(manifest.Parameters{Content: []byte(g.text())}), write)
	case 14:
		add(override(manifest.Parameters{SourceComponent: new(uint64(g.next(len(g.m.Components))))}), []manifest.Command{copyc, swap}[g.next(2)])
	case 15:
		add([]manifest.Command{copyc, swap, write, fetch}[g.next(4)])
	case 16:
		add(command(manifest.DirectiveUnlink))
	case 17:
		add(imageMatch, invoke)
	case 18:
		add(invoke)
	case 19:
		add(command(manifest.DirectiveWait))
	case 20:
		add(manifest.Command{Code: -257, Custom: texts()[1+g.next(3)]})
	case 21:
		g.encrypted(add)
	case 22, 23, 24, 25:
		add(g.trapped(g.next(oftenShapes))...)
		g.trap = true
	case 26, 27, 28:
		add(run())
		g.nested(to, 1)
	default:
		c := try(nil, nil)
		c.Nil = g.next(3) == 0
		add(c)
		g.nested(to, 2)
	}
}

// The shapes; only the first come in by chance, too.
const (
	oftenShapes   = 7
	foreignSource = 8
	unprocessed   = 13 // what the dependency has in a section is left out
	unlinking     = 14 // of the dependency
	madeGood      = 15 // a match that did not hold before
	writtenOver   = 16 // the dependency
	hardInside    = 17 // a match that ends the run, in an alternative of an alternative
	leftBad       = 18 // a match that does not hold, and is not made good
	bothNo        = 19 // two answers that nobody knows; if both are no, it cannot be run
	shapes        = 20
)

// trapped are commands of one of the shapes that the rules have an eye on.
func (g *program) trapped(shape int) seq {
	effect := seq{override(manifest.Parameters{Content: []byte(g.text())}), []manifest.Command{write, command(-257), command(manifest.DirectiveUnlink)}[g.next(3)]}
	if effect[1].Code == -257 {
		effect[1].Custom = "CCC"
	}
	a, b := uint64(g.next(min(len(g.m.Components), 3))), uint64(g.next(min(len(g.m.Components), 3)))
	switch shape {
	case 0: // an alternative that has had an effect
		return seq{tryOrNil(append(effect, g.condition()...), g.condition())}
	case 1:
		return seq{run(append(append(seq{softly}, effect...), g.condition()...)...)}
	case 2: // what was matched has changed since
		return append(append(seq{g.image(), imageMatch}, effect...), invoke)
	case 3: // another image was matched
		return seq{g.image(), imageMatch, g.image(), invoke}
	case 4: // a match that is not made good
		return seq{tryOrNil(seq{g.image(), imageMatch}, seq{g.image(), imageMatch})}
	case 5: // a race
		other := seq{index(b), g.image(), []manifest.Command{imageMatch, command(manifest.ConditionImageNotMatch), write}[g.next(3)]}
		first := index(0)
		if g.next(2) == 1 { // one that only looks, and holds: if it did not, it would depend on which is faster whether it is softened
			first, other = index(b), seq{index(b), command(manifest.ConditionComponentSlot)}
		}
		return seq{first, override(manifest.Parameters{Slot: new(uint64(0))}), lax(false), run(append(seq{index(a)}, effect...)...), run(other...), lax(true)}
	case 6: // strict-order false reaches into an alternative
		alternative := seq{run(effect...)}
		if g.next(2) == 1 {
			alternative = append(seq{index(a), override(manifest.Parameters{SourceComponent: &b}), copyc, index(b)}, effect...)
		}
		return seq{index(a), lax(false), tryOrNil(alternative, alternative), lax(true)}
	case 7: // a match that did not hold, after one that did
		held := g.w.contents[fmt.Sprintf("%02x", a)]
		other := seq{is(held + "?"), imageMatch}
		return seq{index(a), is(held), imageMatch, tryOrNil(other, other), is(held), invoke}
	case foreignSource: // a source index that another manifest may have set
		a := []uint64{0, 2}[g.next(2)]
		return seq{index(a), {Code: manifest.DirectiveCopyParams, Copies: []manifest.ParameterCopy{{Source: 1,
			Keys: []manifest.ParameterKey{manifest.ParameterSourceComponent}}}}, is(g.w.contents["01"]), copyc}
	case 10: // more than one index in a job
		second := []manifest.Command{index(b), {Code: manifest.DirectiveOverrideMultiple, Overrides: []manifest.Override{{Index: b, Parameters: &manifest.Parameters{Slot: new(uint64(0))}}}}}
		return seq{index(0), lax(false), run(append(seq{index(a), second[g.next(2)]}, effect...)...), lax(true)}
	case 11: // target in one time of strict-order false, source in the next
		c := (a + 1) % uint64(min(len(g.m.Components), 3))
		from := seq{index(c), override(manifest.Parameters{SourceComponent: &a}), is(g.text()), copyc}
		return append(append(append(seq{index(a), lax(false)}, effect...), lax(true), lax(false)), append(from, lax(true))...)
	case 12: // parameters from a component that another job sets
		from := manifest.Command{Code: manifest.DirectiveCopyParams, Copies: []manifest.ParameterCopy{{Source: a, Keys: []manifest.ParameterKey{manifest.ParameterContent}}}}
		jobs := seq{run(index(a), effect[0]), run(index(b), from)}
		if g.next(2) == 1 {
			slices.Reverse(jobs)
		}
		return append(append(seq{index(0), lax(false)}, jobs...), lax(true))
	case unprocessed:
		return nil
	case madeGood, leftBad, hardInside:
		now := newReference(g.w)
		now.run(&g.m)
		n := uint64(min(len(g.m.Components), 3))
		for c := range n {
			id := fmt.Sprintf("%02x", c)
			held := now.contents[id]
			other := seq{is(held + "?"), imageMatch}
			switch {
			case held == "" || now.changed[id]:
			case shape == leftBad:
				return seq{index(c), tryOrNil(other, other)}
			case shape == madeGood:
				return seq{index(c), tryOrNil(other, other), is(held), imageMatch}
			default:
				other = append(seq{hardly}, other...)
				inner := seq{tryOrNil(other, other)}
				return append(append(seq{index((c + 1) % n)}, effect...), index(c), tryOrNil(inner, inner))
			}
		}
		return nil
	case bothNo:
		authorized := run(softly, override(manifest.Parameters{UpdatePriority: new(int64(1))}), command(manifest.ConditionUpdateAuthorized), override(manifest.Parameters{URI: new("u2")}))
		return seq{index(a), override(manifest.Parameters{URI: new("file:/u2")}), authorized, authorized, is(texts()[2]), fetch}
	case writtenOver:
		return seq{index(3), effect[0], write, index(a)}
	case unlinking:
		return seq{index(3), command(manifest.DirectiveUnlink), index(a)}
	default: // target and source
		return append(append(seq{index(a), override(manifest.Parameters{SourceComponent: &b}), lax(false), []manifest.Command{copyc, swap}[g.next(2)], index(b)}, effect...), lax(true))
	}
}

// is says what an image must be.
func is(image string) manifest.Command {
	return override(manifest.Parameters{ImageDigest: digest(image), ImageSize: new(uint64(len(image)))})
}

// condition is one that holds or not, with what it compares.
func (g *program) condition() seq {
	p, code := manifest.Parameters{}, manifest.Code(0)
	switch g.next(13) {
	case 0:
		p.VendorID, code = []*manifest.UUID{&vendor, &other}[g.next(2)], manifest.ConditionVendorID
	case 1:
		p.ClassID, code = []*manifest.UUID{&class, &other}[g.next(2)], manifest.ConditionClassID
	case 2:
		p.DeviceID, code = &other, manifest.ConditionDeviceID
	case 3:
		p.UseBefore, code = new(uint64(today-1+g.next(3))), manifest.ConditionUseBefore
	case 4:
		p.Slot, code = new(uint64(g.next(2))), manifest.ConditionComponentSlot
	case 5:
		p.Content, code = []byte(g.text()), manifest.ConditionCheckContent
	case 6:
		p.MinimumBattery, code = new(uint64(charge-1+g.next(3))), manifest.ConditionMinimumBattery
	case 7:
		p.UpdatePriority, code = new(int64(4+g.next(3))), manifest.ConditionUpdateAuthorized
	case 8:
		p.Version, code = &manifest.VersionMatch{Comparison: manifest.Comparison(1 + g.next(5)), Version: []int64{int64(g.next(4))}}, manifest.ConditionVersion
	case 9:
		return seq{command([]manifest.Code{manifest.ConditionIsDependency, manifest.ConditionAbort}[g.next(2)])}
	case 10:
		return seq{command(-256)}
	case 11:
		return seq{g.image(), imageMatch}
	default:
		return seq{g.image(), command(manifest.ConditionImageNotMatch)}
	}
	return seq{override(p), command(code)}
}

// encrypted adds a directive that decrypts.
func (g *program) encrypted(add func(...manifest.Command)) {
	n := g.next(2)
	s := secrets()[n]
	p := manifest.Parameters{EncryptionInfo: s.info, ImageDigest: digest(s.plain), ImageSize: new(uint64(len(s.plain))),
		URI: new(fmt.Sprint("u", 4+n)), Content: []byte(s.ciphertext), SourceComponent: new(uint64(g.next(len(g.m.Components))))}
	if g.next(4) == 1 {
		p.EncryptionInfo = secrets()[2].info // for somebody else
	}
	add(override(p), []manifest.Command{fetch, write, copyc}[g.next(3)])
}

// nested fills the n sequences of the last command.
func (g *program) nested(to *manifest.Sequence, n int) {
	g.depth++
	defer func() { g.depth-- }()
	cmd := &(*to)[len(*to)-1]
	cmd.Sequences = make([]manifest.Sequence, n)
	for k := range cmd.Sequences {
		first := g.parameters()
		if g.next(3) == 1 {
			first = index(uint64(g.next(min(len(g.m.Components), 3))))
		}
		cmd.Sequences[k] = seq{first}
		if k == 0 && g.next(2) == 1 { // a reason to go on
			cmd.Sequences[k] = append(cmd.Sequences[k], g.condition()...)
		}
		g.grow(&cmd.Sequences[k], g.next(4))
	}
}

// store makes a platform that is like the world.
func (w world) store() *store {
	s := newStore(nil)
	s.battery, s.denied = charge, w.denied
	for _, id := range []string{"00", "01", "02", "dd"} {
		c := s.add(id)
		if data, ok := w.contents[id]; ok {
			c.content = []byte(data)
		}
		c.refs, c.linked = uint64(w.refs[id]), w.linked[id]
		if w.fails[id] {
			c.custom = manifest.ErrCondition
		}
	}
	for uri, data := range maps.All(w.payloads) {
		s.uris[uri] = []byte(data)
	}
	return s
}

// options are those of a processor for the world.
func (w world) options(tb testing.TB, s *store, parallel int) processor.Options {
	return processor.Options{Platform: s, Identity: identity, Decrypter: recipient(), Limits: processor.Limits{Parallel: parallel},
		Dependencies: &processor.Dependencies{
			Open: func(b []byte) (*manifest.Verified, error) {
				return registry.OpenBytes(b, keySet(tb, signer.Public()), one(tb))
			},
			Floor: noFloor,
		}}
}
