// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// A manifest that Open has not returned is none, whatever is relaxed.
func TestCMD_16_NotVerified(t *testing.T) {
	for _, v := range []*manifest.Verified{nil, {}} {
		o := processor.Options{Platform: newDevice(1), Identity: identity, Compat: processor.CompatUnidentified}
		if _, err := processor.New(t.Context(), v, o); !errors.Is(err, processor.ErrOptions) {
			t.Errorf("got %v, want ErrOptions", err)
		}
	}
}

// warehouse is a platform with one component of size zero bytes, but for the last, and one that takes what is copied into it.
type warehouse struct {
	size int64
	last byte
	took int64
}

func (w *warehouse) Component(id manifest.ComponentID) (processor.Component, error) { return w, nil }

func (w *warehouse) Open(context.Context) (io.ReadCloser, int64, error) {
	return io.NopCloser(io.MultiReader(io.LimitReader(zeros{}, w.size-1), bytes.NewReader([]byte{w.last}))), w.size, nil
}

func (w *warehouse) Write(_ context.Context, r processor.WriteRequest) (err error) {
	w.took, err = io.Copy(io.Discard, r.Content)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// The digest covers all bytes of an image whose size does not fit in 31 or 32 bits. The digests are those of
// head -c SIZE /dev/zero | sha256sum.
func TestREG_14_LargeImages(t *testing.T) {
	for _, tt := range []struct {
		size   int64
		digest string
	}{
		{1<<31 - 1, "25ba9187e4e7b89d2a7f1a49f0155c233ea8fe0b19c881bc53d23fd7b93deda0"},
		{1 << 31, "a7c744c13cc101ed66c29f672f92455547889cc586ce6d44fe76ae824958ea51"},
		{1<<32 + 1, "fbb82f7b353676bb562eb82157fcf0ea42c36492ca13ee56dbf82c08b6802c5c"},
	} {
		for last := range byte(2) {
			t.Run(fmt.Sprintf("%d bytes, the last is %d", tt.size, last), func(t *testing.T) {
				if all := os.Getenv("FIRMAMENT_LARGE") != ""; testing.Short() || (tt.size != 1<<31 && !all) {
					t.Skip("hashes gigabytes; run without -short, with FIRMAMENT_LARGE=1")
				}
				sum, err := hex.DecodeString(tt.digest)
				if err != nil {
					t.Fatal(err)
				}
				d, err := verify.NewDigest(verify.SHA256, sum)
				if err != nil {
					t.Fatal(err)
				}
				copied := override(manifest.Parameters{ImageDigest: &d, ImageSize: new(uint64(tt.size)), SourceComponent: new(uint64(1))})
				w := &warehouse{size: tt.size, last: last}
				v := open(t, release(2, shared(), seq{index(0), copied, command(manifest.DirectiveCopy)}, nil))
				err = startWith(t, v, processor.Options{Platform: w, Identity: identity}, manifest.SectionInstall)
				if last == 0 && (err != nil || w.took != tt.size) {
					t.Errorf("took %d bytes, %v", w.took, err)
				}
				if last == 1 && !errors.Is(err, manifest.ErrDigest) {
					t.Errorf("another last byte: got %v, want ErrDigest", err)
				}
			})
		}
	}
}

// Sizes near the limit of 63 bits are added up without wrapping around.
func TestREG_31_SumOfSizes(t *testing.T) {
	largest := override(manifest.Parameters{ImageDigest: digest("x"), ImageSize: new(uint64(math.MaxInt64)), URI: new("u")})
	v := open(t, release(2, shared(all(), largest), seq{all(), fetch}, nil))
	for _, limit := range []int64{math.MaxInt64, math.MaxInt64 - 1, 0} {
		d := newDevice(2)
		o := processor.Options{Platform: d, Identity: identity, Limits: processor.Limits{Bytes: limit}}
		refused(t, d, startWith(t, v, o, manifest.SectionInstall), manifest.ErrBudget)
	}
}
