// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/delta"
)

// A Reader gives what Apply writes, from any offset on.
func TestReader(t *testing.T) {
	old, image := opensbi(t)
	patch, info := makePatch(t, old, image, delta.MinFrameSize)
	for _, at := range []int{0, 1, delta.MinFrameSize - 1, delta.MinFrameSize, 3*delta.MinFrameSize + 77, len(image) - 1, len(image)} {
		r, err := open(t, patch, info).Reader(t.Context(), bytes.NewReader(old), int64(at))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(iotest.OneByteReader(r))
		if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, image[at:]) {
			t.Errorf("from %d: %d bytes, %v; want the %d that are left", at, len(got), err, len(image)-at)
		}
	}
	for _, at := range []int64{-1, int64(len(image)) + 1} {
		if _, err := open(t, patch, info).Reader(t.Context(), bytes.NewReader(old), at); !errors.Is(err, delta.ErrUse) {
			t.Errorf("from %d: %v, want %v", at, err, delta.ErrUse)
		}
	}
}

// NET-12: what a Reader gives out before a bad frame is right, and nothing comes after it.
func TestNET_12_ReaderStops(t *testing.T) {
	old, image := opensbi(t)
	patch, info := makePatch(t, old, image, delta.MinFrameSize)
	patch[len(patch)-1] ^= 1 // last frame
	r, err := open(t, patch, info).Reader(t.Context(), bytes.NewReader(old), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if want := len(image) / delta.MinFrameSize * delta.MinFrameSize; !errors.Is(err, fetch.ErrDigest) || !bytes.Equal(got, image[:want]) {
		t.Errorf("%d bytes, %v; want %d, and %v", len(got), err, want, fetch.ErrDigest)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err = open(t, patch, info).Reader(ctx, bytes.NewReader(old), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := r.Read(make([]byte, 10)); n > 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d bytes, %v after the context was done", n, err)
	}
}
