// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package memdevice_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

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

// What the device has is not waited for, and for nothing else is there a wait that would not end.
func TestWait(t *testing.T) {
	d := &memdevice.Device{Time: func() time.Time { return time.Unix(1000, 0) }}
	always, one := new(int64(1)), new(uint64(1))
	for _, tt := range []struct {
		info manifest.WaitInfo
		want error
	}{
		{manifest.WaitInfo{Power: always, Network: always, Time: new(uint64(1000))}, nil},
		{manifest.WaitInfo{Network: always, Time: new(uint64(1001))}, manifest.ErrUnsupported},
		{manifest.WaitInfo{Authorization: always}, manifest.ErrUnsupported},
		{manifest.WaitInfo{TimeOfDayUTC: one}, manifest.ErrUnsupported},
	} {
		if err := d.CanWait(tt.info); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v", tt.info, err)
		}
	}
}
