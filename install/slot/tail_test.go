// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package slot_test

import (
	"bytes"
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/installtest"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// A sync that fails once leaves in the cache what the medium does not have. Finish must not take the cache's word for it,
// neither for the image nor for the erased tail: after a later power cut both are there (STO-06, STO-17).
func TestSTO_06_FailedSync(t *testing.T) {
	img := bytes.Repeat([]byte{7}, 3000)
	for n := 1; ; n++ {
		m := newMachine(t)
		if _, err := m.Device("b", slotSize).WriteAt(bytes.Repeat([]byte{0xee}, slotSize), 0); err != nil {
			t.Fatal(err)
		}
		m.Reset()
		m.Fail(n, syscall.EIO)
		err := write(t.Context(), m, img)
		if err == nil {
			return // n is beyond the last operation
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatalf("operation %d: got %v", n, err)
		}
		m = m.Restart()
		if err := write(t.Context(), m, img); err != nil {
			t.Fatalf("after operation %d failed: %v", n, err)
		}
		for image := range m.Images(m.Ops() + 1) {
			got := make([]byte, slotSize)
			if _, err := image.Boot().Device("b", 0).ReadAt(got, 0); err != nil {
				t.Fatal(err)
			}
			if want := append(bytes.Clone(img), make([]byte, slotSize-len(img))...); !bytes.Equal(got, want) {
				t.Fatal(simfs.Violated("S7", "operation %d failed, then the image was written and found good, then power failed: the slot holds something else", n))
			}
		}
	}
}

// write installs img into slot b, up to the candidate.
func write(ctx context.Context, m *installtest.Machine, img []byte) (err error) {
	inst, err := subject.Open(m)
	if err != nil {
		return err
	}
	w, err := inst.Begin(ctx, install.Image{Size: int64(len(img)), Digest: verify.Sum(verify.SHA256, img)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if _, err := w.Write(img); err != nil {
		return err
	}
	return w.Finish(ctx)
}
