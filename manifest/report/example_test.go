// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// offline is a device whose one component lies in slot 1, and which cannot reach the server.
type offline struct{}

func (offline) Component(manifest.ComponentID) (processor.Component, error) { return offline{}, nil }
func (offline) Slot(context.Context) (uint64, error)                        { return 1, nil }
func (offline) Match(context.Context, verify.Digest, int64) error           { return manifest.ErrDigest }
func (offline) Fetch(context.Context, processor.FetchRequest) error {
	return errors.New("no route to the server")
}

// A device runs a manifest and seals its report. Whoever has the manifest tells from the report what the device did.
func ExampleReconstruct() {
	ctx := context.Background()
	authorKey, deviceKey := newKey(), newKey()
	v, identity := release(ctx, authorKey)

	// On the device.
	var recorder report.Recorder
	p, err := processor.New(ctx, v, processor.Options{Platform: offline{}, Identity: identity, OnEvent: recorder.Event})
	if err != nil {
		log.Fatal(err)
	}
	failure := p.Run(ctx, manifest.SectionInstall)
	r, err := recorder.Report(v, failure)
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := report.Seal(ctx, r, deviceKey, cose.Ed25519)
	if err != nil {
		log.Fatal(err)
	}

	// At the status tracker.
	keys, policy := trusting(deviceKey)
	r, by, err := report.Open(sealed, keys, policy)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sealed by the device:", by.Keys("")[0] == deviceKey.Public())
	fmt.Println(r.Result.OK(), r.Result.Reason)
	steps, err := report.Reconstruct(v, r, manifest.SectionInstall)
	if err != nil {
		log.Fatal(err)
	}
	if err := report.Print(os.Stdout, r, steps); err != nil {
		log.Fatal(err)
	}
	// Output:
	// sealed by the device: true
	// false operation-failed
	// before install           byte 1     directive-override-parameters on 6669726d77617265
	// before install           byte 1       directive-override-parameters on 6669726d77617265
	// before install           byte 5       condition-component-slot on 6669726d77617265: did not hold
	// before install           byte 1       directive-override-parameters on 6669726d77617265
	// before install           byte 5       condition-component-slot on 6669726d77617265
	// before install           byte 7       directive-override-parameters on 6669726d77617265
	// before install           byte 145   condition-vendor-identifier on 6669726d77617265
	// before install           byte 147   condition-class-identifier on 6669726d77617265
	// install                  byte 1       directive-override-parameters on 6669726d77617265
	// install                  byte 5       condition-component-slot on 6669726d77617265: did not hold
	// install                  byte 1       directive-override-parameters on 6669726d77617265
	// install                  byte 5       condition-component-slot on 6669726d77617265
	// install                  byte 7       directive-override-parameters on 6669726d77617265
	// install                  byte 39    directive-fetch on 6669726d77617265: ended the run, operation-failed
}

func newKey() verify.Signer {
	key, err := verify.GenerateKey(verify.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	return key
}

func trusting(key verify.Signer) (*verify.KeySet, verify.Policy) {
	keys, err := verify.NewKeySet(verify.Entry{Key: key.Public()})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		log.Fatal(err)
	}
	return keys, policy
}

// release is one for a device with two slots, opened with its author's key.
func release(ctx context.Context, authorKey verify.Signer) (*manifest.Verified, processor.Identity) {
	vendor := author.VendorID("example.com")
	identity := processor.Identity{VendorID: vendor, ClassID: author.ClassID(vendor, "gateway")}
	payload := author.Image{URI: "fw.bin", Digest: verify.Sum(verify.SHA256, []byte("firmware")), Size: 8}
	e, err := author.AB{VendorID: vendor, ClassID: identity.ClassID, SequenceNumber: 2,
		Component: manifest.ComponentID{[]byte("firmware")}, Slots: [2]author.Image{payload, payload}}.Build()
	if err != nil {
		log.Fatal(err)
	}
	b, err := author.Sign(ctx, e, authorKey)
	if err != nil {
		log.Fatal(err)
	}
	keys, policy := trusting(authorKey)
	v, err := manifest.OpenBytes(b, keys, policy)
	if err != nil {
		log.Fatal(err)
	}
	return v, identity
}
