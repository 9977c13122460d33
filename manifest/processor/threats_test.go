// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// refused asserts that err is want and that the device was not touched.
func refused(t *testing.T, d *device, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if got := d.effects(); got != nil {
		t.Errorf("refused after %v", got)
	}
}

func TestCMD_01_Components(t *testing.T) {
	good := seq{index(0), get("u")}
	t.Run("unknown to the platform", func(t *testing.T) {
		d := newDevice(1)
		refused(t, d, start(t, open(t, release(2, shared(), good, nil)), d, manifest.SectionInstall), manifest.ErrComponent)
	})
	t.Run("platform returns nothing", func(t *testing.T) {
		_, err := processor.New(t.Context(), open(t, release(1, shared(), good, nil)),
			processor.Options{Platform: platform{nil}, Identity: identity})
		if !errors.Is(err, manifest.ErrComponent) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("platform error", func(t *testing.T) {
		_, err := processor.New(t.Context(), open(t, release(1, shared(), good, nil)),
			processor.Options{Platform: platform{errCut}, Identity: identity})
		if !errors.Is(err, errCut) {
			t.Errorf("got %v", err)
		}
	})
}

// platform has no component.
type platform struct{ err error }

func (p platform) Component(manifest.ComponentID) (processor.Component, error) { return nil, p.err }

// A capability is missed before the first effect, in an alternative that would not
// be reached too, and only for sections that are run.
func TestMissingCapability(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command manifest.Command
		bare    processor.Component
	}{
		{"match", imageMatch, struct {
			processor.Fetcher
			processor.Slotter
			processor.Invoker
		}{}},
		{"slot", checkSlot, struct {
			processor.Fetcher
			processor.Matcher
			processor.Invoker
		}{}},
		{"fetch", fetch, struct {
			processor.Matcher
			processor.Slotter
			processor.Invoker
		}{}},
		{"invoke", invoke, struct {
			processor.Matcher
			processor.Slotter
			processor.Fetcher
		}{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(2)
			m := release(2, shared(all(), image("new"), uri("u")),
				seq{index(0), get("u"), tryOrNil(seq{abort, index(1), tt.command}, seq{abort})}, nil)
			m.Load = seq{index(0), override(manifest.Parameters{Slot: new(uint64(0))})}
			p, err := processor.New(t.Context(), open(t, m), processor.Options{Platform: partly{d, tt.bare}, Identity: identity})
			if err != nil {
				t.Fatal(err)
			}
			refused(t, d, p.Check(t.Context(), manifest.SectionInstall), manifest.ErrComponent)
			refused(t, d, p.Run(t.Context(), manifest.SectionInstall), manifest.ErrComponent)
			if err := p.Run(t.Context(), manifest.SectionLoad); err != nil {
				t.Errorf("load: %v", err)
			}
		})
	}
	t.Run("shared sequence", func(t *testing.T) {
		d := newDevice(2)
		bare := struct{ processor.Fetcher }{}
		_, err := processor.New(t.Context(), open(t, release(2, shared(index(1), slot(0), checkSlot), nil, seq{all(), imageMatch})),
			processor.Options{Platform: partly{d, bare}, Identity: identity})
		refused(t, d, err, manifest.ErrComponent)
	})
}

// partly is d with another component 1.
type partly struct {
	*device
	second processor.Component
}

func (p partly) Component(id manifest.ComponentID) (processor.Component, error) {
	if id.Equal(componentID(1)) {
		return p.second, nil
	}
	return p.device.Component(id)
}

func TestCMD_02_Budgets(t *testing.T) {
	laughs := func(levels int) manifest.Command {
		c := run(uri("u"), uri("u"))
		for range levels {
			c = run(all(), c)
		}
		return c
	}
	t.Run("commands", func(t *testing.T) {
		d := newDevice(16)
		m := release(16, shared(all(), image("new")), seq{index(0), get("u"), laughs(5)}, nil)
		refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), manifest.ErrBudget)
	})
	t.Run("commands, in the shared sequence", func(t *testing.T) {
		d := newDevice(16)
		m := release(16, shared(laughs(5)), seq{index(0), get("u")}, nil)
		refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), manifest.ErrBudget)
	})
	t.Run("commands, shared by the sections", func(t *testing.T) {
		m := release(1, shared(image("new")), seq{index(0), uri("u"), fetch}, seq{index(0), imageMatch})
		v := open(t, m)
		const used = 5 + 3 + 5 + 2
		for limit, want := range map[int]error{used: nil, used - 1: manifest.ErrBudget} {
			d := newDevice(1)
			o := processor.Options{Platform: d, Identity: identity, Limits: processor.Limits{Commands: limit}}
			err := startWith(t, v, o, update...)
			if !errors.Is(err, want) {
				t.Errorf("limit %d: got %v, want %v", limit, err, want)
			}
			if want != nil && d.log != nil {
				t.Errorf("refused after %v", d.log)
			}
		}
	})
	t.Run("depth", func(t *testing.T) {
		nested := func(n int) seq {
			c := uri("u")
			for range n {
				c = run(c)
			}
			return seq{index(0), get("u"), c}
		}
		for n, want := range map[int]error{processor.DefaultDepth: nil, processor.DefaultDepth + 1: manifest.ErrBudget} {
			d := newDevice(1)
			err := start(t, open(t, release(1, shared(image("new")), nested(n), nil)), d, manifest.SectionInstall)
			if !errors.Is(err, want) || (want != nil && d.log != nil) {
				t.Errorf("depth %d: got %v after %v, want %v", n, err, d.log, want)
			}
		}
	})
	t.Run("bytes", func(t *testing.T) {
		for limit, want := range map[int64]error{3000: nil, 2999: manifest.ErrBudget} {
			d := newDevice(1)
			m := release(1, shared(image("new"), uri("u")), seq{index(0), fetch, imageMatch}, seq{index(0), imageMatch})
			o := processor.Options{Platform: d, Identity: identity, Limits: processor.Limits{Bytes: limit}}
			err := startWith(t, open(t, m), o, update...)
			if !errors.Is(err, want) || (want != nil && d.log != nil) {
				t.Errorf("limit %d: got %v after %v, want %v", limit, err, d.log, want)
			}
		}
	})
	t.Run("bytes do not overflow", func(t *testing.T) {
		d := newDevice(1)
		huge := override(manifest.Parameters{ImageDigest: digest("new"), ImageSize: new(uint64(math.MaxInt64)), URI: new("u")})
		o := processor.Options{Platform: d, Identity: identity, Limits: processor.Limits{Bytes: math.MaxInt64}}
		err := startWith(t, open(t, release(1, shared(huge), seq{index(0), fetch, fetch}, nil)), o, manifest.SectionInstall)
		refused(t, d, err, manifest.ErrBudget)
	})
}

// After an effect in an alternative no other alternative is tried.
func TestCMD_03_EffectsInAnAlternative(t *testing.T) {
	for name, first := range map[string]seq{
		"directly":     {get("a"), slot(1), checkSlot},
		"deeper":       {run(run(uri("a"), fetch)), slot(1), checkSlot},
		"soft run":     {run(softly, get("a"), abort)},
		"in a nested":  {try(seq{get("a")}, seq{abort}), abort},
		"other target": {run(index(1), get("a")), abort},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(2)
			m := release(2, shared(all(), image("new")), seq{index(0), try(first, seq{get("b")})}, nil)
			// The rehearsal knows without having fetched.
			refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), manifest.ErrCondition)
		})
	}
	t.Run("other content than expected", func(t *testing.T) {
		d := newDevice(1)
		m := release(1, shared(image("new")),
			seq{index(0), try(seq{get("a"), image("else"), imageMatch}, seq{get("b")})}, nil)
		err := start(t, open(t, m), d, manifest.SectionInstall)
		if !errors.Is(err, manifest.ErrDigest) || len(d.requests) != 1 {
			t.Errorf("got %v after %v", err, d.log)
		}
	})
}

func TestCMD_04_SoftFailureOutside(t *testing.T) {
	for _, s := range []manifest.Command{softly, hardly} {
		_, err := tryOpen(t, release(1, shared(), seq{index(0), s, get("u")}, nil))
		if !errors.Is(err, manifest.ErrCommand) {
			t.Errorf("got %v", err)
		}
	}
}

// Before a boot no failed image-match is hidden.
func TestCMD_04_ImageMatchBeforeBoot(t *testing.T) {
	for _, tt := range []struct {
		name     string
		validate seq
		want     error
	}{
		{"holds", seq{imageMatch}, nil},
		{"fails", seq{image("else"), imageMatch}, manifest.ErrCondition},
		{"no digest", seq{index(1), imageMatch}, manifest.ErrCondition},
		{"nil alternative", seq{image("else"), tryOrNil(seq{imageMatch}, seq{abort})}, manifest.ErrDigest},
		{"nil alternative, no digest", seq{index(1), tryOrNil(seq{imageMatch}, seq{abort})}, manifest.ErrCondition},
		{"other alternative", seq{image("else"), try(seq{imageMatch}, seq{slot(0), checkSlot})}, manifest.ErrDigest},
		{"soft run-sequence", seq{image("else"), run(softly, imageMatch)}, manifest.ErrDigest},
		{"made good for another component", seq{image("else"), run(softly, imageMatch), index(1), image("good"), imageMatch}, manifest.ErrDigest},
		{"one of two images", seq{try(seq{image("else"), imageMatch}, seq{image("good"), imageMatch})}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(2)
			for _, c := range d.components {
				c.content = *digest("good")
			}
			m := release(2, shared(image("good")), nil, append(seq{index(0)}, tt.validate...))
			m.Invoke = seq{index(0), image("good"), invoke}
			err := start(t, open(t, m), d, manifest.SectionValidate, manifest.SectionInvoke)
			if tt.want != nil {
				refused(t, d, err, tt.want)
			} else if err != nil || len(d.effects()) != 1 {
				t.Errorf("got %v after %v", err, d.log)
			}
		})
	}
	t.Run("after a fetch", func(t *testing.T) {
		d := newDevice(1)
		m := release(1, shared(image("new")), seq{index(0), get("u"), image("else"), tryOrNil(seq{imageMatch}, seq{abort})}, nil)
		if err := start(t, open(t, m), d, manifest.SectionInstall); !errors.Is(err, manifest.ErrDigest) {
			t.Errorf("got %v", err)
		}
	})
}

// Nothing is invoked that has not been matched in the same run.
func TestInvokeNeedsMatch(t *testing.T) {
	v := func(invokeSequence ...manifest.Command) *manifest.Verified {
		m := release(1, shared(image("good"), uri("u")), nil, seq{index(0), imageMatch})
		m.Load = seq{index(0), fetch}
		m.Invoke = append(seq{index(0)}, invokeSequence...)
		return open(t, m)
	}
	for _, tt := range []struct {
		name     string
		v        *manifest.Verified
		sections []manifest.Section
		effects  int
		want     error
	}{
		{"validate first", v(invoke), []manifest.Section{manifest.SectionValidate, manifest.SectionInvoke}, 1, nil},
		{"match in place", v(imageMatch, invoke), []manifest.Section{manifest.SectionInvoke}, 1, nil},
		{"never", v(invoke), []manifest.Section{manifest.SectionInvoke}, 0, manifest.ErrCondition},
		{"another digest since", v(image("else"), invoke), []manifest.Section{manifest.SectionValidate, manifest.SectionInvoke}, 0, manifest.ErrCondition},
		{"a fetch since", v(invoke), []manifest.Section{manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke}, 0, manifest.ErrCondition},
		{"failed since", v(image("else"), tryOrNil(seq{imageMatch}, seq{abort}), image("good"), invoke),
			[]manifest.Section{manifest.SectionValidate, manifest.SectionInvoke}, 0, manifest.ErrCondition},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(1)
			d.components["00"].content = *digest("good")
			if err := start(t, tt.v, d, tt.sections...); !errors.Is(err, tt.want) || len(d.effects()) != tt.effects {
				t.Errorf("got %v after %v, want %v", err, d.log, tt.want)
			}
		})
	}
}

func TestInvokeFails(t *testing.T) {
	d := newDevice(1)
	d.components["00"].content = *digest("good")
	d.invokeErr = errors.New("no such kernel")
	m := release(1, shared(image("good")), nil, seq{index(0), imageMatch})
	m.Invoke = seq{index(0), tryOrNil(seq{invoke}, seq{abort})}
	if err := start(t, open(t, m), d, manifest.SectionValidate, manifest.SectionInvoke); !errors.Is(err, d.invokeErr) {
		t.Errorf("got %v", err)
	}
}

// A condition that cannot be softened is put to the platform once, as hashing an
// image takes its time.
func TestMatchedOnce(t *testing.T) {
	for name, validate := range map[string]seq{
		"top level":         {imageMatch},
		"run-sequence":      {run(imageMatch)},
		"hard alternative":  {try(seq{hardly, imageMatch}, seq{abort})},
		"below a hard one":  {try(seq{hardly, run(imageMatch)}, seq{abort})},
		"run in a hard one": {run(softly, run(try(seq{hardly, imageMatch}, seq{abort})))},
	} {
		d := newDevice(1)
		d.components["00"].content = *digest("good")
		m := release(1, shared(image("good")), nil, append(seq{index(0)}, validate...))
		if err := start(t, open(t, m), d, manifest.SectionValidate); err != nil || len(d.log) != 1 {
			t.Errorf("%s: got %v after %v", name, err, d.log)
		}
	}
}

func TestCMD_07_SequenceNumber(t *testing.T) {
	for _, tt := range []struct {
		name          string
		number, floor uint64
		want          error
	}{
		{"lower", 6, 7, manifest.ErrSequence},
		{"equal", 7, 7, nil},
		{"higher", 8, 7, nil},
		{"zero, as in the examples", 0, 0, nil},
		{"last but one", math.MaxUint64 - 1, 7, nil},
		{"last: locks the device out for ever", math.MaxUint64, 7, manifest.ErrSequence},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := release(1, shared(), seq{index(0), get("u")}, nil)
			m.SequenceNumber = tt.number
			o := processor.Options{Platform: newDevice(1), Identity: identity, SequenceFloor: tt.floor}
			if _, err := processor.New(t.Context(), open(t, m), o); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestCMD_08_NotApplicable(t *testing.T) {
	ids := func(v, c manifest.UUID) manifest.Command {
		return override(manifest.Parameters{VendorID: &v, ClassID: &c})
	}
	device := manifest.UUID{7}
	deviceID := override(manifest.Parameters{DeviceID: &device})
	for _, tt := range []struct {
		name            string
		shared, install seq
	}{
		{"no shared sequence", nil, nil},
		{"nothing checked", seq{ids(vendor, class)}, nil},
		{"vendor only", seq{ids(vendor, class), checkVendor}, nil},
		{"class only", seq{ids(vendor, class), checkClass}, nil},
		{"class check optional", seq{ids(vendor, other), checkVendor, tryOrNil(seq{checkClass}, seq{abort})}, nil},
		{"other vendor", seq{ids(other, class), checkVendor, checkClass}, nil},
		{"other class", seq{ids(vendor, other), checkVendor, checkClass}, nil},
		{"no identifiers", seq{checkVendor, checkClass}, nil},
		{"no alternative is ours", seq{ids(vendor, other), checkVendor, try(seq{checkClass}, seq{checkClass})}, nil},
		{"device", seq{ids(vendor, class), checkVendor, checkClass, deviceID, checkDevice}, nil},
		{"device not given", seq{ids(vendor, class), checkVendor, checkClass, checkDevice}, nil},
		{"after a fetch", shared(image("new"))[1:], seq{get("u"), ids(vendor, other), checkClass}},
		{"after a fetch, nested", shared(image("new"))[1:], seq{get("u"), run(run(ids(other, class), checkVendor))}},
		{"after a fetch, soft", shared(image("new"))[1:], seq{tryOrNil(seq{get("u"), ids(vendor, other), checkClass}, seq{abort})}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(1)
			if tt.install == nil {
				tt.install = seq{image("new"), get("u")}
			}
			err := start(t, open(t, release(1, tt.shared, tt.install, nil)), d, manifest.SectionInstall)
			refused(t, d, err, manifest.ErrNotApplicable)
		})
	}
	t.Run("validate after install", func(t *testing.T) {
		d := newDevice(1)
		m := release(1, shared(image("new")), seq{get("u")}, seq{ids(vendor, other), checkClass})
		refused(t, d, start(t, open(t, m), d, update...), manifest.ErrNotApplicable)
	})
	t.Run("several classes", func(t *testing.T) {
		d := newDevice(1)
		m := release(1, seq{ids(vendor, other), checkVendor, image("new"),
			try(seq{checkClass, uri("other")}, seq{ids(vendor, class), checkClass, uri("ours")})}, seq{fetch}, nil)
		if err := start(t, open(t, m), d, manifest.SectionInstall); err != nil || !cmp.Equal(d.log, []string{"fetch 00 ours"}) {
			t.Errorf("got %v after %v", err, d.log)
		}
	})
	t.Run("device", func(t *testing.T) {
		d := newDevice(1)
		o := processor.Options{Platform: d, Identity: processor.Identity{VendorID: vendor, ClassID: class, DeviceID: device}}
		if _, err := processor.New(t.Context(), open(t, release(1, shared(deviceID, checkDevice), seq{get("u")}, nil)), o); err != nil {
			t.Error(err)
		}
	})
}

func TestCMD_09_Parameters(t *testing.T) {
	set := func(p manifest.Parameters) manifest.Command { return override(p) }
	for name, install := range map[string]seq{
		"no uri":        {image("new"), fetch},
		"no digest":     {set(manifest.Parameters{ImageSize: new(uint64(1)), URI: new("u")}), fetch},
		"no size":       {set(manifest.Parameters{ImageDigest: digest("new"), URI: new("u")}), fetch},
		"size 0":        {set(manifest.Parameters{ImageDigest: digest("new"), ImageSize: new(uint64(0)), URI: new("u")}), fetch},
		"match size":    {set(manifest.Parameters{ImageDigest: digest("new")}), imageMatch},
		"bad arguments": {image("new"), set(manifest.Parameters{FetchArguments: []byte{0xa0}}), get("u")},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(2)
			before := seq{index(1), image("first"), get("first"), index(0)}
			m := release(2, shared(), append(before, install...), nil)
			refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), processor.ErrParameter)
		})
	}
}

func TestFetchArguments(t *testing.T) {
	info := manifest.ChunkInfo{Root: *digest("root"), Size: manifest.MinChunkSize, URI: "pages"}
	args, err := info.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice(1)
	m := release(1, shared(image("new"), override(manifest.Parameters{FetchArguments: args})), seq{index(0), get("u")}, nil)
	if err := start(t, open(t, m), d, manifest.SectionInstall); err != nil {
		t.Fatal(err)
	}
	if got := d.requests[0].Chunks; got == nil || *got != info {
		t.Errorf("got %+v, want %+v", got, info)
	}
}

func TestCMD_11_IntegratedPayload(t *testing.T) {
	data := []byte("payload")
	params := override(manifest.Parameters{ImageDigest: digest("payload"), ImageSize: new(uint64(len(data))), URI: new("#image")})
	m := release(1, shared(params), seq{index(0), fetch}, nil)
	for _, tt := range []struct {
		name     string
		payloads []manifest.Payload
		want     error
	}{
		{"right", []manifest.Payload{{Key: "#image", Data: data}}, nil},
		{"absent", nil, verify.ErrPolicy},
		{"other key", []manifest.Payload{{Key: "#Image", Data: data}}, verify.ErrPolicy},
		{"changed", []manifest.Payload{{Key: "#image", Data: []byte("Payload")}}, manifest.ErrDigest},
		{"longer", []manifest.Payload{{Key: "#image", Data: append([]byte("payload"), 0)}}, manifest.ErrDigest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(1)
			err := start(t, open(t, m, tt.payloads...), d, manifest.SectionInstall)
			if tt.want != nil {
				refused(t, d, err, tt.want)
			} else if err != nil || string(d.requests[0].Integrated) != "payload" {
				t.Errorf("got %v, %+v", err, d.requests)
			}
		})
	}
}

// Invoke arguments are opaque.
func TestCMD_13_InvokeArguments(t *testing.T) {
	d := newDevice(1)
	d.components["00"].content = *digest("good")
	m := release(1, shared(image("good")), nil, seq{index(0), imageMatch})
	m.Invoke = seq{index(0), override(manifest.Parameters{InvokeArgs: []byte("a\x00;$(b)")}), invoke}
	if err := start(t, open(t, m), d, manifest.SectionValidate, manifest.SectionInvoke); err != nil {
		t.Fatal(err)
	}
	if got := d.effects()[0]; got != "invoke 00 a\x00;$(b)" {
		t.Errorf("got %q", got)
	}
}

// Nobody changes what is run once it is verified.
func TestCMD_14_ChangedAfterCheck(t *testing.T) {
	d := newDevice(1)
	v := open(t, release(1, shared(image("new")), seq{index(0), get("u"), run(uri("u2"), fetch)}, nil))
	p, err := processor.New(t.Context(), v, processor.Options{Platform: vandal{d}, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	copied := v.Manifest()
	copied.Components[0][0][0] = 9
	*copied.Install.Sequence[1].Sequences[0][0].Parameters.URI = "elsewhere"
	if err := p.Run(t.Context(), manifest.SectionInstall); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"u", "u2"} {
		if r := d.requests[i]; r.URI != want || !r.Component.Equal(componentID(0)) {
			t.Errorf("got %+v", r)
		}
	}
}

// vandal writes into everything it is handed.
type vandal struct{ *device }

func (v vandal) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := v.device.Component(id)
	id[0][0] = 9
	return vandalMemory{c.(*memory)}, err
}

type vandalMemory struct{ *memory }

func (v vandalMemory) Fetch(ctx context.Context, r processor.FetchRequest) error {
	kept := r
	kept.Component = manifest.ComponentID{{r.Component[0][0]}}
	err := v.memory.Fetch(ctx, kept)
	r.Component[0][0] = 9
	return err
}

func TestOptions(t *testing.T) {
	v := open(t, release(1, shared(), seq{index(0), get("u")}, nil))
	d := newDevice(1)
	for name, o := range map[string]processor.Options{
		"no platform":    {Identity: identity},
		"no identity":    {Platform: d},
		"no class":       {Platform: d, Identity: processor.Identity{VendorID: vendor}},
		"negative limit": {Platform: d, Identity: identity, Limits: processor.Limits{Depth: -1}},
	} {
		if _, err := processor.New(t.Context(), v, o); !errors.Is(err, processor.ErrOptions) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := processor.New(t.Context(), nil, processor.Options{Platform: d, Identity: identity}); !errors.Is(err, processor.ErrOptions) {
		t.Errorf("no manifest: got %v", err)
	}
}

func TestSections(t *testing.T) {
	p, err := processor.New(t.Context(), open(t, release(1, shared(image("new")), seq{index(0), get("u")}, nil)),
		processor.Options{Platform: newDevice(1), Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	const install, fetchSection, validate = manifest.SectionInstall, manifest.SectionPayloadFetch, manifest.SectionValidate
	for _, tt := range []struct {
		name     string
		sections []manifest.Section
		want     error
	}{
		{"none", nil, processor.ErrOptions},
		{"order", []manifest.Section{install, fetchSection}, processor.ErrOptions},
		{"twice", []manifest.Section{install, install}, processor.ErrOptions},
		{"shared", []manifest.Section{manifest.SectionShared}, processor.ErrOptions},
		{"unknown", []manifest.Section{99}, processor.ErrOptions},
		{"absent validate", []manifest.Section{install, validate}, processor.ErrAbsent},
		{"absent invoke", []manifest.Section{manifest.SectionInvoke}, processor.ErrAbsent},
		{"absent payload-fetch", []manifest.Section{fetchSection, install}, nil},
	} {
		if err := p.Check(t.Context(), tt.sections...); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestCancel(t *testing.T) {
	d := newDevice(1)
	p, err := processor.New(t.Context(), open(t, release(1, shared(image("new")), seq{index(0), get("u")}, nil)),
		processor.Options{Platform: d, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	refused(t, d, p.Run(ctx, manifest.SectionInstall), context.Canceled)
}
