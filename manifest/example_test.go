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
