// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package slot

import (
	"bytes"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/verify"
)

// FuzzBootRecord: any bytes are refused with ErrState, or are exactly what the parsed state encodes to, and that state can be
// asked for its Status.
func FuzzBootRecord(f *testing.F) {
	for _, s := range []bootState{
		{Boot: install.Boot{Trial: install.NoSlot}},
		{Boot: install.Boot{Current: 1, Trial: 1, Left: 3}, Images: [2]install.Image{
			{Size: 1, Digest: verify.Sum(verify.SHA256, nil)}, {Size: 1 << 40, Digest: verify.Sum(verify.SHA512, nil)}}},
	} {
		f.Add(s.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseBootState(b)
		if err != nil {
			if !errors.Is(err, install.ErrState) {
				t.Fatalf("got %v, want %v", err, install.ErrState)
			}
			return
		}
		if got := s.append(nil); !bytes.Equal(got, b) {
			t.Fatalf("encodes to %x, was %x", got, b)
		}
		if st := s.Status().State; st > install.Updated {
			t.Fatalf("state %v", st)
		}
	})
}
