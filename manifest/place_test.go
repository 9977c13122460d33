// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
)

// What is refused in a sequence has its section and the offset of its outermost command, as draft-ietf-suit-report names commands.
func TestPlaceError(t *testing.T) {
	index7 := arr(num(3), num(15), num(12), num(7))
	soft := arr(num(3), num(15), num(3), num(15), num(20), dict(num(13), []byte{0xf5}))
	for name, tt := range map[string]struct {
		change func(p *parts)
		want   manifest.PlaceError
	}{
		"an index":        {func(p *parts) { p.validate = index7 }, manifest.PlaceError{Section: manifest.SectionValidate, Offset: 3, Err: manifest.ErrComponent}},
		"shared":          {func(p *parts) { p.shared = index7 }, manifest.PlaceError{Section: manifest.SectionShared, Offset: 3, Err: manifest.ErrComponent}},
		"install":         {func(p *parts) { *p = p.with(20, bstr(index7)) }, manifest.PlaceError{Section: manifest.SectionInstall, Offset: 3, Err: manifest.ErrComponent}},
		"soft-failure":    {func(p *parts) { p.validate = soft }, manifest.PlaceError{Section: manifest.SectionValidate, Offset: 5, Err: manifest.ErrCommand}},
		"unknown command": {func(p *parts) { p.validate = arr(num(3), num(15), num(99), num(0)) }, manifest.PlaceError{Section: manifest.SectionValidate, Offset: 3, Err: manifest.ErrUnsupported}},
		"nested": {func(p *parts) { p.validate = arr(num(3), num(15), num(32), bstr(index7)) },
			manifest.PlaceError{Section: manifest.SectionValidate, Offset: 3, Err: manifest.ErrComponent}},
		"several components": {func(p *parts) { p.components = arr(arr(bstr([]byte{0})), arr(bstr([]byte{1}))) },
			manifest.PlaceError{Section: manifest.SectionShared, Offset: 1, Err: manifest.ErrCommand}},
	} {
		p := goodParts()
		tt.change(&p)
		_, err := manifest.InspectBytes(seal(t, p.manifest()))
		got, ok := errors.AsType[*manifest.PlaceError](err)
		if !ok || got.Section != tt.want.Section || got.Offset != tt.want.Offset || !errors.Is(err, tt.want.Err) {
			t.Errorf("%s: got %v, want %v", name, err, &tt.want)
		}
	}

	// What is in no command has none.
	p := goodParts()
	p.components = arr()
	_, err := manifest.InspectBytes(seal(t, p.manifest()))
	if got, ok := errors.AsType[*manifest.PlaceError](err); ok || err == nil {
		t.Errorf("got %v at %+v", err, got)
	}
}
