// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
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
		_, err = processor.New(t.Context(), open(t, release(2, shared(index(1), tryOrNil(seq{abort, slot(0), checkSlot}, seq{abort})), nil, seq{all(), imageMatch})),
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

// After an effect in an alternative no other alternative is tried.

// Before a boot no failed image-match is hidden.

// Nothing is invoked that has not been matched in the same run.

// A condition that cannot be softened is put to the platform once, as hashing an

// image takes its time.

// Invoke arguments are opaque.

// Nobody changes what is run once it is verified.

// vandal writes into everything it is handed.

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
