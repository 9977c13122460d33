// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/simfs/mutant"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// rack is a platform on storage that loses power. Components 0 and 1 are two block devices, written in place, that
// a swap exchanges by a record; component 2 is a file that is replaced as a whole.
type rack struct {
	sim   *simfs.Sim
	banks *durable.Record
	log   *durable.Log
	found exchange // in the record
}

// exchange is what the record says: whether the devices are exchanged, and by which swap they were last.
type exchange struct {
	Exchanged bool
	Swap      string
}

type part struct {
	b *rack
	n int
}

const (
	imageSize = 1200 // more than two sectors
	partFile  = "part2"
	parts     = 3
)

// pattern is an image of one byte, so that whatever is torn shows.
func pattern(fill byte) []byte { return bytes.Repeat([]byte{fill}, imageSize) }

func powerOn(sim *simfs.Sim) (_ *rack, err error) {
	b := &rack{sim: sim}
	if err := durable.MkdirAll(sim.FS(), "store"); err != nil {
		return nil, err
	}
	if err := durable.RemoveTemps(sim.FS(), "store"); err != nil {
		return nil, err
	}
	if b.banks, err = durable.OpenRecord(sim.FS(), "store/banks"); err != nil {
		return nil, err
	}
	data, _, err := b.banks.Load()
	if errors.Is(err, fs.ErrNotExist) {
		data, err = []byte("{}"), nil
	}
	if err != nil {
		return nil, err
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &b.found); err != nil {
			return nil, err
		}
	}
	if err := durable.RemoveTemps(sim.FS(), "."); err != nil {
		return nil, err
	}
	b.log, err = durable.OpenLog(sim.FS(), "store/journal", 1<<16)
	return b, err
}

func (b *rack) Component(id manifest.ComponentID) (processor.Component, error) {
	for n := range parts {
		if id.Equal(componentID(n)) {
			return &part{b, n}, nil
		}
	}
	return nil, manifest.ErrComponent
}

// device is where component n is now.
func (b *rack) device(n int) simfs.Device {
	if b.found.Exchanged {
		n = 1 - n
	}
	return b.sim.Device([]string{"bank-a", "bank-b"}[n], imageSize)
}

// content reads component n from the medium.
func (b *rack) content(n int) ([]byte, error) {
	if n == 2 {
		data, err := durable.ReadFile(b.sim.FS(), partFile, imageSize)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return data, err
	}
	d, data := b.device(n), make([]byte, imageSize)
	if err := d.(simfs.CacheDropper).DropCache(); err != nil {
		return nil, err
	}
	_, err := d.ReadAt(data, 0)
	return data, err
}

// payloads is what the network has.
var payloads = map[string][]byte{"v2": pattern('N'), "full": pattern('F')}

func (p *part) Fetch(_ context.Context, r processor.FetchRequest) error {
	data, ok := payloads[r.URI]
	if !ok || int64(len(data)) != r.Size || verify.Sum(verify.SHA256, data) != r.Digest {
		return manifest.ErrDigest
	}
	return p.store(data)
}

func (p *part) Write(_ context.Context, r processor.WriteRequest) error {
	data, err := io.ReadAll(r.Content)
	if err != nil {
		return err
	}
	return p.store(data)
}

func (p *part) store(data []byte) error {
	if p.n == 2 {
		return durable.WriteFile(p.b.sim.FS(), partFile, data)
	}
	d := p.b.device(p.n)
	for off := 0; off < len(data); off += 512 {
		if _, err := d.WriteAt(data[off:min(off+512, len(data))], int64(off)); err != nil {
			return err
		}
	}
	return d.Sync()
}

func (p *part) Open(context.Context) (io.ReadCloser, int64, error) {
	data, err := p.b.content(p.n)
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), err
}

func (p *part) Match(_ context.Context, want verify.Digest, _ int64) error {
	data, err := p.b.content(p.n)
	if err == nil && verify.Sum(verify.SHA256, data) != want {
		err = manifest.ErrDigest
	}
	return err
}

func (p *part) Swap(_ context.Context, r processor.SwapRequest) error {
	if p.n == 2 || r.With.(*part).n == 2 {
		return manifest.ErrComponent
	}
	if p.b.found.Swap == r.ID {
		return nil
	}
	next := exchange{!p.b.found.Exchanged, r.ID}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := p.b.banks.Store(data); err != nil {
		return err
	}
	p.b.found = next
	return nil
}

// finished is the record of a run whose steps are removed.
var finished = []byte("finished")

func (b *rack) Steps() ([]processor.Step, error) {
	recs, err := b.log.Records()
	if err != nil {
		return nil, err
	}
	steps := make([]processor.Step, len(recs))
	for i := range recs {
		if err := steps[i].UnmarshalBinary(recs[i]); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

func (b *rack) Append(s processor.Step) error {
	data, err := s.MarshalBinary()
	if err != nil {
		return err
	}
	if err := b.log.Append(data); err != nil {
		return err
	}
	if s.Kind == processor.StepDone {
		n, _ := b.sim.Acked("done").(int)
		b.sim.Ack("done", n+1)
	}
	return nil
}

// threeComponents updates component 0 by a swap with component 1, into which the new image is fetched unless it is
// there; the old one stays in component 1. Component 2 gets a copy if it holds what the copy is for, or else
// the full image: what it holds is another thing once that is done.
func threeComponents() manifest.Manifest {
	old, next, older := pattern('O'), pattern('N'), pattern('P')
	img := func(data []byte) manifest.Command {
		d := verify.Sum(verify.SHA256, data)
		return override(manifest.Parameters{ImageDigest: &d, ImageSize: new(uint64(len(data)))})
	}
	from := func(n uint64) manifest.Command { return override(manifest.Parameters{SourceComponent: &n}) }
	m := release(parts, shared(all(), img(next)),
		seq{
			index(1), imageMatch,
			index(2), try(
				seq{img(older), imageMatch, img(next), from(1), command(manifest.DirectiveCopy)},
				seq{img(pattern('F')), uri("full"), fetch}),
			index(0), from(1), command(manifest.DirectiveSwap),
		},
		seq{indices(0, 2), imageMatch, index(1), img(old), imageMatch})
	m.PayloadFetch.Sequence = seq{index(1), uri("v2"), try(seq{imageMatch}, seq{fetch, imageMatch})}
	return m
}

// stages are the contents of the components after each effect of the update: fetch, copy, swap.
var stages = [][parts]byte{{'O', 'X', 'P'}, {'O', 'N', 'P'}, {'O', 'N', 'N'}, {'N', 'O', 'N'}}

// inPlace are the components that the effect after a stage may leave torn.
var inPlace = []int{1, -1, -1, -1}

func powerCuts(tb testing.TB) simfs.Workload {
	tb.Helper()
	v := open(tb, threeComponents())
	ctx := tb.Context()
	return simfs.Workload{
		Setup: setUp,
		Run: func(sim *simfs.Sim) error {
			b, err := powerOn(sim)
			if err != nil {
				return err
			}
			return errors.Join(b.update(ctx, v), b.log.Close())
		},
		Recover: func(sim *simfs.Sim) error {
			b, err := powerOn(sim)
			if err != nil {
				return err
			}
			err = b.check()
			if err == nil {
				err = b.update(ctx, v)
			}
			if err == nil {
				err = b.check()
			}
			return errors.Join(err, b.log.Close())
		},
		Cycle: func(sim *simfs.Sim) error {
			b, err := powerOn(sim)
			if err != nil {
				return err
			}
			if err := errors.Join(b.update(ctx, v), b.log.Close()); err != nil {
				return err
			}
			return b.complete("S2")
		},
	}
}

// setUp leaves no directory: the first boot makes it, with all that is in it but component 2.
func setUp(sim *simfs.Sim) error {
	for n, name := range []string{"bank-a", "bank-b"} {
		if _, err := sim.Device(name, imageSize).WriteAt(pattern(stages[0][n]), 0); err != nil {
			return err
		}
	}
	return durable.WriteFile(sim.FS(), partFile, pattern(stages[0][2]))
}

// update is what an agent does: it runs the manifest and then removes its steps.
func (b *rack) update(ctx context.Context, v *manifest.Verified) error {
	recs, err := b.log.Records()
	if err != nil || slices.ContainsFunc(recs, func(r []byte) bool { return bytes.Equal(r, finished) }) {
		return err
	}
	p, err := processor.New(ctx, v, processor.Options{Platform: b, Identity: identity, Journal: b})
	if err != nil {
		return err
	}
	processor.NumberSwaps(p, func() int { return len(recs) + 1 })
	if err := p.Run(ctx, update...); err != nil {
		return err
	}
	if err := b.complete("S7"); err != nil {
		return err
	}
	if err := b.log.Rewrite([][]byte{finished}); err != nil {
		return err
	}
	b.sim.Ack("finished", true)
	return nil
}

// complete wants the new content everywhere, as when the sections have succeeded.
func (b *rack) complete(invariant string) error {
	for n := range parts {
		got, err := b.content(n)
		if err != nil {
			return err
		}
		if want := stages[len(stages)-1][n]; !bytes.Equal(got, pattern(want)) {
			return simfs.Violated(invariant, "component %d is not all %q when the sections are complete, but %q", n, want, summary(got))
		}
	}
	return nil
}

// check compares the components with what the journal says is done.
func (b *rack) check() error {
	recs, err := b.log.Records()
	if err != nil {
		return simfs.Violated("S2", "journal: %w", err)
	}
	for _, rec := range recs {
		if bytes.Equal(rec, finished) {
			return b.complete("S3")
		}
	}
	if b.sim.Acked("finished") != nil {
		return simfs.Violated("S3", "the run was finished, the journal does not say so")
	}
	steps, err := b.Steps()
	if err != nil {
		return simfs.Violated("S2", "journal: %w", err)
	}
	stage := 0
	for _, s := range steps {
		if s.Kind == processor.StepDone {
			stage++
		}
	}
	if n, _ := b.sim.Acked("done").(int); stage < n {
		return simfs.Violated("S3", "%d effects were journaled, the journal has %d", n, stage)
	}
	if stage >= len(stages) {
		return simfs.Violated("S2", "%d effects were journaled, there are %d", stage, len(stages)-1)
	}
	return b.checkStage(stage)
}

// checkStage wants the components to be those after an effect, or those after the next one: the whole of either,
// but for what is written in place, in which each byte is one or the other.
func (b *rack) checkStage(stage int) error {
	next := stages[min(stage+1, len(stages)-1)]
	var seen [parts]string
	was, is := true, true
	for n := range parts {
		got, err := b.content(n)
		if err != nil {
			return err
		}
		seen[n] = summary(got)
		if n == inPlace[stage] {
			if extra := bytes.Trim(got, string([]byte{stages[stage][n], next[n]})); len(extra) > 0 {
				return simfs.Violated("S7", "component %d holds %q, which nobody signed", n, summary(got))
			}
			continue
		}
		was = was && bytes.Equal(got, pattern(stages[stage][n]))
		is = is && bytes.Equal(got, pattern(next[n]))
	}
	if !was && !is {
		return simfs.Violated("S3", "the components hold %q after effect %d, want %q or %q", seen, stage, stages[stage][:], next[:])
	}
	return nil
}

// summary has each run of equal bytes once.
func summary(data []byte) string { return string(slices.Compact(bytes.Clone(data))) }

// TestM7_PowerCuts cuts the power at every operation of an update of three components, with try-each, fetch, copy and swap,
// and again during each recovery.
//
// covers: STO-01
func TestM7_PowerCuts(t *testing.T) {
	o := simfs.ExploreOptions{Seed: 1, SecondTotal: 15000}
	if testing.Short() {
		o.SecondTotal = 2000
	}
	table := simfs.Explore(t, powerCuts(t), o)
	t.Logf("power cuts and failures during one update of three components\n%s", table)
	if empty := table.Empty(); len(empty) > 0 {
		t.Errorf("empty cells: %v", empty)
	}
}

// Each of these changes to the processor is found by the exploration, which names the invariant that does not hold any more.
func TestM7_Mutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package once per mutant")
	}
	for _, m := range []mutant.Mutant{
		{
			Name: "effect journaled before it is made", File: "manifest/processor/directive.go",
			Old:       "\tif err := m.call(do); err != nil {\n\t\treturn false, err\n\t}\n\treturn false, m.now(StepDone, m.path, 0)\n",
			New:       "\tif err := m.now(StepDone, m.path, 0); err != nil {\n\t\treturn false, err\n\t}\n\treturn false, m.call(do)\n",
			Invariant: "S3",
		},
		{
			Name: "choices not journaled before an effect", File: "manifest/processor/directive.go",
			Old: "if err := m.flush(); err != nil {", New: "if err := error(nil); err != nil {",
			Invariant: "S3|S5",
		},
		{
			Name: "what a swap has moved matched again", File: "manifest/processor/resume.go",
			Old: " || m.ahead(t)\n", New: "\n",
			Invariant: "S5",
		},
		// These need random programs.
		{
			Name: "what comes later is overwritten", File: "manifest/processor/directive.go", TestRun: "^TestM7_RandomCuts$",
			Old: "want.IsZero() || m.ahead(t) {", New: "want.IsZero() {",
			Invariant: "M7",
		},
		{
			Name: "that an effect begins not journaled", File: "manifest/processor/directive.go", TestRun: "^TestM7_RandomCuts$",
			Old: "if _, begun := m.replayed.started[key]; !begun {", New: "if _, begun := m.replayed.started[key]; !begun && number > 0 {",
			Invariant: "M7",
		},
		{
			Name: "a swap that has begun not finished first", File: "manifest/processor/content.go", TestRun: "^TestM7_RandomCuts$",
			Old: "if m.finishes && begun {", New: "if m.finishes && begun && c < 0 {",
			Invariant: "M7",
		},
	} {
		if m.Package = "./manifest/processor"; m.TestRun == "" {
			m.TestRun = "^TestM7_PowerCuts$"
		}
		t.Run(m.Name, func(t *testing.T) { mutant.Run(t, m) })
	}
}
