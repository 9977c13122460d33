// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

func ExampleOpen() {
	pem, err := fs.ReadFile(vectors.SUIT(), "suit-p256-public.pem")
	if err != nil {
		log.Fatal(err)
	}
	key, err := verify.ParsePublicKeyPEM(pem)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: key, Groups: []string{"author"}})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := verify.Threshold(1, "author")
	if err != nil {
		log.Fatal(err)
	}

	for _, name := range []string{"example3.cbor", "example3-unsigned.cbor"} {
		b, err := fs.ReadFile(vectors.SUIT(), "manifest/"+name)
		if err != nil {
			log.Fatal(err)
		}
		v, err := manifest.Open(bytes.NewReader(b), int64(len(b)), keys, policy)
		if errors.Is(err, verify.ErrThreshold) {
			fmt.Println(name, "is not signed by the author")
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		install, _ := v.Section(manifest.SectionInstall)
		fmt.Println(name, "has sequence number", v.SequenceNumber())
		for _, c := range install {
			fmt.Println(c.Offset, c.Code)
		}
	}
	// Output:
	// example3.cbor has sequence number 3
	// 1 directive-try-each
	// 87 directive-fetch
	// 89 condition-image-match
	// example3-unsigned.cbor is not signed by the author
}

func ExampleInspect() {
	b, err := fs.ReadFile(vectors.SUIT(), "manifest/example0-unsigned.cbor")
	if err != nil {
		log.Fatal(err)
	}
	u, err := manifest.Inspect(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		log.Fatal(err)
	}
	m := u.Envelope().Manifest
	fmt.Println("unverified, for vendor", m.Shared[0].Parameters.VendorID)
	// Output:
	// unverified, for vendor fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe
}

func ExampleChunkInfo() {
	info := manifest.ChunkInfo{Root: verify.Sum(verify.SHA256, []byte("root page")), Size: 256 << 10}
	b, err := info.Encode()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%x\n", b)
	again, err := manifest.ParseFetchArguments(b)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again == info)
	// Output:
	// 84012f58202fcdffb17fdeed78886ba73c80c826b86aa4b82e04b0bbcf812d2b0fc67d21211a00040000
	// true
}

// A device reads the small envelope first, and the section that was severed when it needs it, from wherever that is kept.
func ExampleVerified_Attach() {
	pem, err := fs.ReadFile(vectors.SUIT(), "suit-p256-public.pem")
	if err != nil {
		log.Fatal(err)
	}
	key, err := verify.ParsePublicKeyPEM(pem)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: key})
	if err != nil {
		log.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		log.Fatal(err)
	}
	b, err := fs.ReadFile(vectors.SUIT(), "manifest/example2-severed.cbor")
	if err != nil {
		log.Fatal(err)
	}
	v, err := manifest.OpenBytes(b, keys, policy)
	if err != nil {
		log.Fatal(err)
	}
	m := v.Manifest()
	fmt.Println("install is severed:", m.Severed(manifest.SectionInstall))

	if _, err := v.Attach(manifest.SectionInstall, []byte("something else")); errors.Is(err, manifest.ErrDigest) {
		fmt.Println("not what the author signed")
	}
	v, err = v.Attach(manifest.SectionInstall, fetchInstall())
	if err != nil {
		log.Fatal(err)
	}
	install, _ := v.Section(manifest.SectionInstall)
	for _, c := range install {
		fmt.Println(c.Offset, c.Code)
	}
	// Output:
	// install is severed: true
	// not what the author signed
	// 1 directive-override-parameters
	// 56 directive-fetch
	// 58 condition-image-match
}

// fetchInstall takes the section out of the whole envelope, as the author has done.
func fetchInstall() []byte {
	b, err := fs.ReadFile(vectors.SUIT(), "manifest/example2.cbor")
	if err != nil {
		log.Fatal(err)
	}
	u, err := manifest.InspectBytes(b)
	if err != nil {
		log.Fatal(err)
	}
	m := u.Envelope().Manifest
	members, err := m.Sever(manifest.SectionInstall)
	if err != nil {
		log.Fatal(err)
	}
	return members[0]
}

// A vendor's own command has a number of MaxCustom or below. Whoever does not list it refuses the manifest as a whole.
func ExampleRegistry() {
	const showLogo = manifest.Code(-300)
	o := manifest.Options{Registry: manifest.Registry{Commands: []manifest.CustomCommand{{Code: showLogo}}}}
	e := manifest.Envelope{
		Manifest: manifest.Manifest{
			SequenceNumber: 1,
			Components:     []manifest.ComponentID{{[]byte("display")}},
			Invoke:         manifest.Sequence{{Code: showLogo, Custom: "spring"}},
		},
		Options: o,
	}
	b, err := e.Encode()
	if err != nil {
		log.Fatal(err)
	}
	_, err = manifest.InspectBytes(b)
	fmt.Println("without the registry:", errors.Is(err, manifest.ErrUnsupported))

	u, err := o.InspectBytes(b)
	if err != nil {
		log.Fatal(err)
	}
	c := u.Envelope().Manifest.Invoke[0]
	fmt.Println(c.Code, c.Custom)
	// Output:
	// without the registry: true
	// command(-300) spring
}
