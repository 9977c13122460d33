// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
)

// covers: CBR-11. An envelope of more than MaxEnvelopeSize is for who has said so, on both sides, and bounded there.
func TestLargeEnvelope(t *testing.T) {
	image := make([]byte, 2<<20)
	b := author.Builder{SequenceNumber: 1, Options: manifest.Options{MaxSize: 4 << 20}}
	b.Integrate(b.Component(manifest.ComponentID{{0}}), "#image", image)
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	signer := testkeys.P256(1)
	signed, err := author.Sign(t.Context(), e, signer)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: signer.Public()})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		t.Fatal(err)
	}
	v, err := manifest.Options{MaxSize: int64(len(signed))}.Open(bytes.NewReader(signed), int64(len(signed)), keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	if data, ok := v.IntegratedPayload("#image"); !ok || !bytes.Equal(data, image) {
		t.Errorf("payload of %d bytes, %v", len(data), ok)
	}
	for _, o := range []manifest.Options{{}, {MaxSize: int64(len(signed)) - 1}} {
		if _, err := o.OpenBytes(signed, keys, policy); !errors.Is(err, manifest.ErrLimit) {
			t.Errorf("%+v: got %v, want ErrLimit", o, err)
		}
		if _, err := o.InspectBytes(signed); !errors.Is(err, manifest.ErrLimit) {
			t.Errorf("inspect, %+v: got %v, want ErrLimit", o, err)
		}
	}
	e.Options = manifest.Options{}
	if _, err := e.Encode(); !errors.Is(err, manifest.ErrLimit) {
		t.Errorf("encode: got %v, want ErrLimit", err)
	}
	if _, err := (manifest.Options{MaxSize: 1 << 40}).Inspect(bytes.NewReader(nil), manifest.MaxMaxSize+1); !errors.Is(err, manifest.ErrLimit) {
		t.Errorf("above all bounds: got %v, want ErrLimit", err)
	}
}
