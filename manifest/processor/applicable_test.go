// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

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
		{"time in microseconds", 1_800_000_000_000_000, 0, nil},
		{"far above", processor.DefaultSequenceJump + 7, 7, nil},
		{"too far above", processor.DefaultSequenceJump + 8, 7, manifest.ErrSequence},
		{"too far above, by policy", processor.DefaultSequenceJump + 8, 7, verify.ErrPolicy},
		{"last but one", math.MaxUint64 - 1, math.MaxUint64 - 2, nil},
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

// A jump above the limit needs the recovery role, and no role makes the last number usable.
func TestCMD_07_SequenceJump(t *testing.T) {
	keys, err := verify.NewKeySet(verify.Entry{Key: signer.Public(), Groups: []string{"author", "recovery"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		number   uint64
		recovery string
		want     error
	}{
		{"at the limit", 17, "", nil},
		{"above it", 18, "", manifest.ErrSequence},
		{"above it, signed by others", 18, "operator", manifest.ErrSequence},
		{"above it, signed for recovery", 18, "recovery", nil},
		{"last but one, signed for recovery", math.MaxUint64 - 1, "recovery", nil},
		{"last, signed for recovery", math.MaxUint64, "recovery", manifest.ErrSequence},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := release(1, shared(), seq{index(0), get("u")}, nil)
			m.SequenceNumber = tt.number
			b, err := sign(t, manifest.Options{}, m)
			if err != nil {
				t.Fatal(err)
			}
			v, err := manifest.OpenBytes(b, keys, one(t))
			if err != nil {
				t.Fatal(err)
			}
			o := processor.Options{Platform: newDevice(1), Identity: identity, SequenceFloor: 7, SequenceJump: 10, Recovery: tt.recovery}
			if _, err := processor.New(t.Context(), v, o); !errors.Is(err, tt.want) {
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

// What an alternative or a softened sequence has checked before it failed was not asked for.
func TestCMD_08_CheckedInVain(t *testing.T) {
	both := override(manifest.Parameters{VendorID: &vendor, ClassID: &class})
	for name, s := range map[string]seq{
		"alternative":  {index(0), both, try(seq{checkVendor, abort}, seq{checkClass})},
		"run-sequence": {index(0), both, run(softly, checkVendor, abort), checkClass},
	} {
		d := newDevice(1)
		_, err := processor.New(t.Context(), open(t, release(1, s, seq{index(0), get("u")}, nil)), processor.Options{Platform: d, Identity: identity})
		if !errors.Is(err, manifest.ErrNotApplicable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
