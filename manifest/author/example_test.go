// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"testing/fstest"

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

// Two components by the templates of the specification, and one command more.
func ExampleBuilder() {
	vendor := author.VendorID("example.com")
	b := author.Builder{SequenceNumber: 7, Severable: []manifest.Section{manifest.SectionInstall}}
	app := b.Component(manifest.ComponentID{[]byte("app")})
	radio := b.Component(manifest.ComponentID{[]byte("radio")})
	b.Compatibility(app, vendor, author.ClassID(vendor, "sensor rev 3"), nil)
	for _, c := range []struct {
		at      author.Index
		content string
	}{{app, "the application"}, {radio, "the radio"}} {
		image := author.Image{URI: "parts/" + c.content[4:], Digest: verify.Sum(verify.SHA256, []byte(c.content)), Size: int64(len(c.content))}
		b.Expect(c.at, image)
		b.Download(manifest.SectionInstall, c.at, image, nil)
		b.Validate(c.at)
	}
	b.Add(manifest.SectionValidate, radio, manifest.Command{Code: manifest.ConditionComponentSlot})
	e, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range e.Manifest.Install.Sequence {
		fmt.Println(c.Code)
	}
	fmt.Println("severable:", !e.Manifest.SeverableDigest(manifest.SectionInstall).IsZero())
	// Output:
	// directive-set-component-index
	// directive-override-parameters
	// directive-fetch
	// condition-image-match
	// directive-set-component-index
	// directive-override-parameters
	// directive-fetch
	// condition-image-match
	// severable: true
}

// An author who writes no Go: firmctl manifest create does this.
func ExampleParseDescription() {
	files := fstest.MapFS{"firmware.bin": {Data: []byte("the new firmware")}}
	e, err := author.ParseDescription([]byte(`{
	  "sequence-number": 3,
	  "components": ["00"],
	  "shared-sequence": [
	    {"do": "directive-override-parameters", "parameters": {
	      "vendor-identifier": "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
	      "class-identifier": "1492af14-2569-5e48-bf42-9b2d51f2ab45",
	      "image-file": "firmware.bin"}},
	    {"do": "condition-vendor-identifier", "policy": 15},
	    {"do": "condition-class-identifier", "policy": 15}],
	  "install": [
	    {"do": "directive-override-parameters", "parameters": {"uri": "#firmware"}},
	    {"do": "directive-fetch", "policy": 2},
	    {"do": "condition-image-match", "policy": 15}],
	  "payloads": {"#firmware": {"file": "firmware.bin"}}
	}`), files, manifest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	digest, err := e.Digest()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(digest)
	// Output:
	// sha256:9988693761405aca7e575d2d108e39fcdeb16ccba2a0bfa6a670c44e17ce3c20
}

// Two people sign, each on a machine of their own. Only 36 bytes travel there, and a block comes back.
func ExampleAttach() {
	ctx := context.Background()
	vendor := author.VendorID("example.com")
	payload := author.Image{URI: "fw.bin", Digest: verify.Sum(verify.SHA256, []byte("firmware")), Size: 8}
	e, err := author.AB{VendorID: vendor, ClassID: author.ClassID(vendor, "gateway"), SequenceNumber: 2,
		Component: manifest.ComponentID{{0}}, Slots: [2]author.Image{payload, payload}}.Build()
	if err != nil {
		log.Fatal(err)
	}
	toSign, err := author.ToSign(e)
	if err != nil {
		log.Fatal(err)
	}

	var entries []verify.Entry
	var blocks [][]byte
	for range 2 {
		signer, err := verify.GenerateKey(verify.Ed25519)
		if err != nil {
			log.Fatal(err)
		}
		block, err := author.Block(ctx, toSign, author.Signature{Signer: signer})
		if err != nil {
			log.Fatal(err)
		}
		entries, blocks = append(entries, verify.Entry{Key: signer.Public(), Groups: []string{"release"}}), append(blocks, block)
	}
	keys, err := verify.NewKeySet(entries...)
	if err != nil {
		log.Fatal(err)
	}
	for i, block := range blocks {
		missing, err := author.Missing(e, keys, "release")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("missing:", len(missing))
		if err := author.Attach(e, keys, block); err != nil {
			log.Fatal(i, err)
		}
	}

	b, err := e.Encode()
	if err != nil {
		log.Fatal(err)
	}
	both, err := verify.Threshold(2, "release")
	if err != nil {
		log.Fatal(err)
	}
	v, err := manifest.Open(bytes.NewReader(b), int64(len(b)), keys, both)
	fmt.Println("release", v.SequenceNumber(), err)
	// Output:
	// missing: 2
	// missing: 1
	// release 2 <nil>
}

// With each release its way back is made and signed, and kept until it is needed.
func ExampleRevert() {
	vendor := author.VendorID("example.com")
	build := func(number uint64, firmware string) *manifest.Envelope {
		image := author.Image{URI: "fw.bin", Digest: verify.Sum(verify.SHA256, []byte(firmware)), Size: int64(len(firmware))}
		e, err := author.AB{VendorID: vendor, ClassID: author.ClassID(vendor, "gateway"), SequenceNumber: number,
			Component: manifest.ComponentID{{0}}, Slots: [2]author.Image{image, image}}.Build()
		if err != nil {
			log.Fatal(err)
		}
		return e
	}
	old := build(2, "what ran before")
	number, err := author.NextSequenceNumber(2)
	if err != nil {
		log.Fatal(err)
	}
	release := build(number, "the release")
	revert, err := author.Revert(old, release)
	if err != nil {
		log.Fatal(err)
	}
	next, err := author.NextSequenceNumber(number)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("release", number, "revert", revert.Manifest.SequenceNumber, "next release", next)
	// Output:
	// release 4 revert 5 next release 6
}
