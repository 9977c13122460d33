// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author_test

import (
	"context"
	"fmt"
	"log"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
)

func ExampleSign() {
	image := []byte("the new firmware")
	vendor := author.VendorID("example.com")
	payload := author.Image{
		URI:    "https://firmware.example.com/fw-1.1.bin",
		Digest: verify.Sum(verify.SHA256, image),
		Size:   int64(len(image)),
	}
	envelope, err := author.AB{
		VendorID:       vendor,
		ClassID:        author.ClassID(vendor, "gateway rev 2"),
		SequenceNumber: 2,
		Component:      manifest.ComponentID{[]byte("firmware")},
		Slots:          [2]author.Image{payload, payload},
	}.Build()
	if err != nil {
		log.Fatal(err)
	}

	signer, err := verify.GenerateKey(verify.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	b, err := author.Sign(context.Background(), envelope, signer)
	if err != nil {
		log.Fatal(err)
	}

	keys, err := verify.NewKeySet(verify.Entry{Key: signer.Public()})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		log.Fatal(err)
	}
	v, err := manifest.OpenBytes(b, keys, policy)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("release", v.SequenceNumber(), "for", v.Manifest().Components[0])
	// Output:
	// release 2 for 6669726d77617265
}
