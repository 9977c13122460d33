// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

// told sets the digest of an image without its size.
func told(image string) manifest.Command {
	return params(manifest.Parameters{ImageDigest: digest(image)})
}

// Without image-size, image-match is of all that a component holds (manifest-37, section 8.4.9.2: the digest alone).
func TestImageMatchWithoutSize(t *testing.T) {
	notMatch := command(manifest.ConditionImageNotMatch)
	custom := func(s string) manifest.Command { return manifest.Command{Code: -257, Custom: s} }
	yes := func(conditions ...manifest.Command) manifest.Command {
		return try(append(conditions, index(2), con("y"), write), seq{index(2), write})
	}
	for _, tt := range []struct {
		name    string
		install seq
		limits  processor.Limits
		want    error
	}{
		{"it", seq{told("zero"), imageMatch}, processor.Limits{}, nil},
		{"another", seq{told("Zero"), imageMatch}, processor.Limits{}, manifest.ErrDigest},
		{"its beginning", seq{told("zer"), imageMatch}, processor.Limits{}, manifest.ErrDigest},
		{"nothing there", seq{index(3), told("zero"), imageMatch}, processor.Limits{}, manifest.ErrDigest},
		{"not another", seq{told("Zero"), notMatch}, processor.Limits{}, nil},
		{"not it", seq{told("zero"), notMatch}, processor.Limits{}, manifest.ErrCondition},
		{"nothing is not it", seq{index(3), told("zero"), notMatch}, processor.Limits{}, nil},
		{"too much", seq{told("zero"), imageMatch}, processor.Limits{Bytes: 3}, manifest.ErrBudget},
		{"too much together", seq{told("zero"), imageMatch, imageMatch}, processor.Limits{Bytes: 7}, manifest.ErrBudget},
		{"too much, not yet there", seq{con("written"), write, told("written"), imageMatch}, processor.Limits{Bytes: 13}, manifest.ErrBudget},
		{"written", seq{con("new"), write, told("new"), imageMatch}, processor.Limits{}, nil},
		{"written, another", seq{con("new"), write, told("old"), imageMatch}, processor.Limits{}, manifest.ErrDigest},
		{"alternative", seq{yes(told("zero"), imageMatch)}, processor.Limits{}, nil},
		{"alternative, by another's content", seq{from(1), told("one"), copyc, yes(told("one"), imageMatch)}, processor.Limits{}, nil},
		{"swapped here", seq{from(1), swap, yes(told("one"), imageMatch)}, processor.Limits{}, nil},
		{"made by a custom command", seq{custom("made"), told("made"), imageMatch, index(1), from(0), copyc}, processor.Limits{}, nil},
		{"copied by a match", seq{told("zero"), imageMatch, index(1), from(0), copyc, told("zero"), imageMatch}, processor.Limits{}, nil},
		{"copied by its digest", seq{index(1), told("zero"), from(0), copyc, imageMatch}, processor.Limits{}, nil},
		{"copied, another", seq{index(1), told("other"), from(0), copyc}, processor.Limits{}, manifest.ErrDigest},
		{"copied, too much", seq{index(1), told("zero"), from(0), copyc}, processor.Limits{Bytes: 3}, manifest.ErrBudget},
		{"copied by a match, too much", seq{told("zero"), imageMatch, index(1), from(0), copyc}, processor.Limits{Bytes: 7}, manifest.ErrBudget},
		{"a size without a digest says nothing", seq{told("zero"), imageMatch, index(1), params(manifest.Parameters{ImageSize: new(uint64(1000))}), from(0), copyc},
			processor.Limits{Bytes: 100}, nil},
		{"a size, once there is one", seq{told("zero"), imageMatch, params(manifest.Parameters{ImageSize: new(uint64(3))}), imageMatch}, processor.Limits{}, manifest.ErrDigest},
		{"invoked", seq{told("zero"), imageMatch, invoke}, processor.Limits{}, nil},
		{"another invoked", seq{told("zero"), imageMatch, told("other"), invoke}, processor.Limits{}, manifest.ErrCondition},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one", "02": "two", "03": ""})
			v, err := openWith(t, registry, release(4, shared(), append(seq{index(0)}, tt.install...), nil))
			if err != nil {
				t.Fatal(err)
			}
			err = startWith(t, v, processor.Options{Platform: s, Identity: identity, Limits: tt.limits}, manifest.SectionInstall)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if errors.Is(tt.want, manifest.ErrBudget) {
				s.refused(t, err, manifest.ErrBudget)
			}
		})
	}
}

// A component that does not know where its content ends has no image without a size: that is told before the first effect.
func TestImageMatchOfWhatHasNoEnd(t *testing.T) {
	d := newDevice(2)
	install := seq{index(1), image("first"), get("first"), index(0), told("new"), imageMatch}
	refused(t, d, start(t, open(t, release(2, shared(), install, nil)), d, manifest.SectionInstall), manifest.ErrComponent)
}

// What was copied without a size is compared again before a run that was interrupted goes on, and the source as it is read.
func TestResumeWithoutSize(t *testing.T) {
	install := seq{index(0), told("zero"), imageMatch, index(1), from(0), copyc, index(2), con("last"), write}
	v := open(t, release(3, shared(), install, nil))
	for _, tt := range []struct {
		name, source, copied string
		want                 []string
		err                  error
	}{
		{"as it was", "zero", "zero", []string{"write 01", "write 02", "write 02"}, nil},
		{"the copy is gone", "zero", "xxxx", []string{"write 01", "write 02", "write 01", "write 02"}, nil},
		{"the copy is longer", "zero", "zero!", []string{"write 01", "write 02", "write 01", "write 02"}, nil},
		{"the source is another by now", "ZERO", "xxxx", []string{"write 01", "write 02"}, manifest.ErrDigest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one", "02": "two"})
			o := processor.Options{Platform: s, Identity: identity, Journal: &log{cut: -1}}
			s.fail = "write 02"
			if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			s.cells["00"].content, s.cells["01"].content = []byte(tt.source), []byte(tt.copied)
			if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, tt.err) {
				t.Errorf("got %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, s.log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Fetch without image-size is bounded by what is left of the budget.
func TestFetchWithoutSize(t *testing.T) {
	for _, tt := range []struct {
		name    string
		install seq
		limits  processor.Limits
		compat  processor.Compat
		want    error
		limit   int64
	}{
		{"not by itself", seq{told("pay"), get("u")}, processor.Limits{}, 0, processor.ErrParameter, 0},
		{"allowed", seq{told("pay"), get("u"), imageMatch}, processor.Limits{}, processor.CompatNoSize, nil, processor.DefaultBytes},
		{"after another", seq{index(1), of("four"), get("v"), index(0), told("pay"), get("u")}, processor.Limits{Bytes: 7}, processor.CompatNoSize, nil, 3},
		{"too much", seq{told("pay"), get("u")}, processor.Limits{Bytes: 2}, processor.CompatNoSize, manifest.ErrBudget, 2},
		{"and with what follows", seq{told("pay"), get("u"), imageMatch}, processor.Limits{Bytes: 5}, processor.CompatNoSize, manifest.ErrBudget, 5},
		{"matched with another digest", seq{told("pay"), get("u"), of("pays"), imageMatch}, processor.Limits{}, processor.CompatNoSize, manifest.ErrDigest, 0},
		{"matched with another size", seq{told("pay"), get("u"), params(manifest.Parameters{ImageSize: new(uint64(4))}), imageMatch},
			processor.Limits{}, processor.CompatNoSize, manifest.ErrDigest, processor.DefaultBytes},
		{"checked", seq{told("pay"), get("u"), con("pay"), command(manifest.ConditionCheckContent)}, processor.Limits{}, processor.CompatNoSize, nil, processor.DefaultBytes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &limited{store: newStore(map[string]string{"00": "zero", "01": "one"})}
			d.uris["u"], d.uris["v"] = []byte("pay"), []byte("four")
			err := startWith(t, open(t, release(2, shared(), append(seq{index(0)}, tt.install...), nil)),
				processor.Options{Platform: d, Identity: identity, Limits: tt.limits, Compat: tt.compat}, manifest.SectionInstall)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if d.limit != tt.limit {
				t.Errorf("got limit %d, want %d", d.limit, tt.limit)
			}
		})
	}
	refused(t, newDevice(1), startWith(t, open(t, release(1, shared(), seq{index(0), told("pay"), get("u")}, nil)),
		processor.Options{Platform: newDevice(1), Identity: identity, Compat: processor.CompatNoSize}, manifest.SectionInstall), manifest.ErrComponent)
}

// limited is a store that fetches what has no size, whatever the limit is.
type limited struct {
	*store
	limit int64
}

type limitedCell struct {
	*cell
	d *limited
}

func (d *limited) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := d.store.Component(id)
	if err != nil {
		return nil, err
	}
	return limitedCell{c.(*cell), d}, nil
}

func (c limitedCell) Fetch(ctx context.Context, r processor.FetchRequest) error {
	if r.Size < 0 {
		c.d.limit, r.Size = r.Limit, int64(len(c.s.uris[r.URI]))
	}
	return c.cell.Fetch(ctx, r)
}

// A payload of the envelope has the size that it has.
func TestIntegratedWithoutSize(t *testing.T) {
	s := newStore(map[string]string{"00": ""})
	v := open(t, release(1, shared(), seq{index(0), told("payload"), get("#p"), imageMatch}, nil), manifest.Payload{Key: "#p", Data: []byte("payload")})
	o := processor.Options{Platform: s, Identity: identity, Compat: processor.CompatNoSize}
	if err := startWith(t, v, o, manifest.SectionInstall); err != nil || !bytes.Equal(s.cells["00"].content, []byte("payload")) {
		t.Errorf("got %v, %q", err, s.cells["00"].content)
	}
}

// The example of the draft for a load from external storage, whose fetch and first image-match have no image-size: as it is up to the first
// copy, since nothing has the digest that it made up, and with digests of something to the end.
func TestExample4Runs(t *testing.T) {
	v := example(t, "manifest/example4.cbor")
	d := &depot{newDevice(3)}
	o := processor.Options{Platform: d, Identity: identity, Compat: processor.CompatNoSize}
	if err := startWith(t, v, o, manifest.SectionPayloadFetch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fetch 02 http://example.com/file.bin", "match 02"}, d.log); diff != "" {
		t.Error(diff)
	}
	if r := d.requests[0]; r.Size != -1 || r.Limit != processor.DefaultBytes || r.Digest != parseDigest(t, digestA) {
		t.Errorf("got %+v", r)
	}
	o.Compat = 0
	d = &depot{newDevice(3)}
	o.Platform = d
	refused(t, d.device, startWith(t, v, o, manifest.SectionPayloadFetch), processor.ErrParameter)

	const firmware = "firmware"
	m := v.Manifest()
	for _, s := range []seq{m.Shared, m.Load, m.PayloadFetch.Sequence} {
		for i := range s {
			if p := s[i].Parameters; p != nil && p.ImageDigest != nil {
				if p.ImageDigest = digest(firmware); p.ImageSize != nil {
					*p.ImageSize = uint64(len(firmware))
				}
			}
		}
	}
	s := &limited{store: newStore(map[string]string{"00": "", "01": "", "02": ""})}
	s.uris["http://example.com/file.bin"] = []byte(firmware)
	o = processor.Options{Platform: s, Identity: identity, Compat: processor.CompatNoSize}
	whole := append(slices.Clone(update), manifest.SectionLoad, manifest.SectionInvoke)
	if err := startWith(t, open(t, m), o, whole...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fetch 02", "write 00", "write 01", "invoke 01 "}, s.log); diff != "" {
		t.Error(diff)
	}
}

// depot is a device whose components know how much they hold.
type depot struct{ *device }

type depotMemory struct{ *memory }

func (d *depot) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := d.device.Component(id)
	if err != nil {
		return nil, err
	}
	return depotMemory{c.(*memory)}, nil
}

func (depotMemory) Open(context.Context) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(make([]byte, 34768))), 34768, nil
}

func (depotMemory) Write(context.Context, processor.WriteRequest) error { return nil }
