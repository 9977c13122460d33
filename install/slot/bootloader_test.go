// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package slot_test

import (
	"testing"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/installtest"
	"github.com/firmament-dev/firmament/install/slot"
)

// The boot control of the example keeps the contract, power cuts included.
func TestOwnBootLoader(t *testing.T) {
	installtest.Test(t, installtest.Subject{
		Capacity: slotSize,
		Provision: func(m *installtest.Machine, old []byte) error {
			d := devices(m)
			if _, err := d[0].WriteAt(old, 0); err != nil {
				return err
			}
			return environment{m.FS()}.save(variables{trial: install.NoSlot})
		},
		Open: func(m *installtest.Machine) (install.Installer, error) {
			d := devices(m)
			return slot.New(d[0], d[1], environment{m.FS()}), nil
		},
		Boot: func(m *installtest.Machine) error { return environment{m.FS()}.start() },
		Running: func(m *installtest.Machine, n int) ([]byte, error) {
			v, err := environment{m.FS()}.load()
			if err != nil {
				return nil, err
			}
			p := make([]byte, n)
			_, err = devices(m)[v.current].ReadAt(p, 0)
			return p, err
		},
	})
}
