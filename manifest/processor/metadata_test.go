// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

// filing is a store whose components have a type and permissions, but are no links.
type filing struct {
	*store
	given []*manifest.ComponentMetadata
}

type filingCell struct {
	*cell
	d *filing
}

func (d *filing) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := d.store.Component(id)
	if err != nil {
		return nil, err
	}
	return filingCell{c.(*cell), d}, nil
}

func (c filingCell) CanApply(md manifest.ComponentMetadata) error {
	if md.FileType == manifest.FileSymlink {
		return manifest.ErrUnsupported
	}
	return nil
}

func (c filingCell) Fetch(ctx context.Context, r processor.FetchRequest) error {
	c.d.given = append(c.d.given, r.Metadata)
	return c.cell.Fetch(ctx, r)
}

func (c filingCell) Write(ctx context.Context, r processor.WriteRequest) error {
	c.d.given = append(c.d.given, r.Metadata)
	return c.cell.Write(ctx, r)
}

// Metadata is applied with what is stored, or the manifest is refused before the first effect: never left out
// (update-management-14, section 4.6; manifest-37, section 6.1).
func TestComponentMetadata(t *testing.T) {
	file, link := &manifest.ComponentMetadata{FileType: manifest.FileRegular}, &manifest.ComponentMetadata{FileType: manifest.FileSymlink}
	for name, install := range map[string]seq{
		"fetch":                 {of("pay"), uri("u"), fetch},
		"write":                 {con("pay"), write},
		"copy":                  {of("one"), from(1), copyc},
		"decrypted":             {of(secrets()[0].plain), params(manifest.Parameters{EncryptionInfo: secrets()[0].info, Content: []byte(secrets()[0].ciphertext)}), write},
		"fetched, integrated":   {of("pay"), uri("#p"), fetch},
		"integrated, decrypted": {of(secrets()[0].plain), params(manifest.Parameters{EncryptionInfo: secrets()[0].info, URI: new("#s")}), fetch},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(platform func(*store) processor.Platform, md *manifest.ComponentMetadata) (*store, error) {
				s := newStore(map[string]string{"00": "zero", "01": "one", "02": "two"})
				s.uris["u"] = []byte("pay")
				commands := append(seq{index(2), con("first"), write, index(0), params(manifest.Parameters{Metadata: md})}, install...)
				v := open(t, release(3, shared(), commands, nil), manifest.Payload{Key: "#p", Data: []byte("pay")}, manifest.Payload{Key: "#s", Data: []byte(secrets()[0].ciphertext)})
				return s, startWith(t, v, processor.Options{Platform: platform(s), Identity: identity, Decrypter: recipient()}, manifest.SectionInstall)
			}
			s, err := run(func(s *store) processor.Platform { return s }, file)
			s.refused(t, err, processor.ErrParameter)
			s, err = run(func(s *store) processor.Platform { return &filing{store: s} }, link)
			s.refused(t, err, processor.ErrParameter)
			d := new(filing)
			_, err = run(func(s *store) processor.Platform { d.store = s; return d }, file)
			if diff := cmp.Diff([]*manifest.ComponentMetadata{nil, file}, d.given); err != nil || diff != "" {
				t.Errorf("got %v, %s", err, diff)
			}
		})
	}
}

// An invocation is of something: an error, or an invoked image (manifest-37, section 6.3).
func TestInvokeOfNothing(t *testing.T) {
	o := processor.Options{Identity: identity, Compat: processor.CompatUnmatchedInvoke}
	s := newStore(map[string]string{"00": ""})
	o.Platform = s
	s.refused(t, startWith(t, open(t, release(1, shared(), seq{index(0), invoke}, nil)), o, manifest.SectionInstall), manifest.ErrComponent)
	s = newStore(map[string]string{"00": ""})
	o.Platform = s
	if err := startWith(t, open(t, release(1, shared(), seq{index(0), con("x"), write, invoke}, nil)), o, manifest.SectionInstall); err != nil {
		t.Error(err)
	}
	d := newDevice(1) // cannot tell what it holds
	o.Platform = d
	if err := startWith(t, open(t, release(1, shared(), seq{index(0), invoke}, nil)), o, manifest.SectionInstall); err != nil {
		t.Error(err)
	}
}

// What a component cannot do is an unsupported command.
func TestUnsupportedByComponent(t *testing.T) {
	for name, install := range map[string]seq{
		"condition-version": {params(manifest.Parameters{Version: &manifest.VersionMatch{Comparison: manifest.VersionEqual, Version: []int64{1}}}), command(manifest.ConditionVersion)},
		"check-content":     {con("x"), command(manifest.ConditionCheckContent)},
		"write":             {con("x"), write},
		"battery":           {params(manifest.Parameters{MinimumBattery: new(uint64(1))}), command(manifest.ConditionMinimumBattery)},
	} {
		d := newDevice(1)
		err := start(t, open(t, release(1, shared(), append(seq{index(0)}, install...), nil)), d, manifest.SectionInstall)
		refused(t, d, err, manifest.ErrUnsupported)
		if errors.Is(err, manifest.ErrComponent) == (name == "battery") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
