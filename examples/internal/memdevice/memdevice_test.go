// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package memdevice_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/examples/internal/memdevice"
	"github.com/firmament-dev/firmament/manifest"
)

// Identifiers become names of files: none of them is "", "." or "..".
func TestComponentNames(t *testing.T) {
	for _, id := range []manifest.ComponentID{nil, {{}}, {{}, {}}, {{}, {}, {}}, {{1}, {}}, {bytes.Repeat([]byte{1}, 128)}} {
		if c, err := new(memdevice.Device).Component(id); c != nil || !errors.Is(err, manifest.ErrComponent) {
			t.Errorf("%q: got %v, %v, want ErrComponent", id.String(), c, err)
		}
	}
	for _, id := range []manifest.ComponentID{{{0}}, {[]byte("..")}, {{1}, {2}}, {bytes.Repeat([]byte{1}, 127)}} {
		if _, err := new(memdevice.Device).Component(id); err != nil {
			t.Errorf("%q: %v", id.String(), err)
		}
	}
}
