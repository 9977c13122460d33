// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

func TestCMD_09_Parameters(t *testing.T) {
	set := func(p manifest.Parameters) manifest.Command { return override(p) }
	for name, install := range map[string]seq{
		"no uri":        {image("new"), fetch},
		"no digest":     {set(manifest.Parameters{ImageSize: new(uint64(1)), URI: new("u")}), fetch},
		"no size":       {set(manifest.Parameters{ImageDigest: digest("new"), URI: new("u")}), fetch},
		"size 0":        {set(manifest.Parameters{ImageDigest: digest("new"), ImageSize: new(uint64(0)), URI: new("u")}), fetch},
		"match size 0":  {set(manifest.Parameters{ImageDigest: digest("new"), ImageSize: new(uint64(0))}), imageMatch},
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
	t.Run("size signed wrong", func(t *testing.T) {
		d := newDevice(1)
		params := override(manifest.Parameters{ImageDigest: digest("payload"), ImageSize: new(uint64(len(data) + 1)), URI: new("#image")})
		v := open(t, release(1, shared(params), seq{index(0), fetch}, nil), manifest.Payload{Key: "#image", Data: data})
		refused(t, d, start(t, v, d, manifest.SectionInstall), manifest.ErrDigest)
	})
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
			m := m
			for _, p := range tt.payloads { // another section may want it, so that opening leaves it to the processor
				m.Invoke = seq{index(0), override(manifest.Parameters{ImageDigest: digest(string(p.Data))})}
			}
			err := start(t, open(t, m, tt.payloads...), d, manifest.SectionInstall)
			if tt.want != nil {
				refused(t, d, err, tt.want)
			} else if err != nil || string(d.requests[0].Integrated) != "payload" {
				t.Errorf("got %v, %+v", err, d.requests)
			}
		})
	}
}

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
