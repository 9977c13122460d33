// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// bank is a component that prints what a real one would do.
type bank struct{ content verify.Digest }

func (b *bank) Fetch(_ context.Context, r processor.FetchRequest) error {
	fmt.Printf("fetch %d bytes from %s\n", r.Size, r.URI)
	b.content = r.Digest
	return nil
}

func (b *bank) Match(_ context.Context, want verify.Digest, _ int64) error {
	if b.content != want {
		return manifest.ErrDigest
	}
	return nil
}

func (b *bank) Slot(context.Context) (uint64, error) { return 1, nil }

// board has one component, [h'00'].
type board struct{ bank bank }

func (b *board) Component(id manifest.ComponentID) (processor.Component, error) {
	if !id.Equal(manifest.ComponentID{{0}}) {
		return nil, manifest.ErrComponent
	}
	return &b.bank, nil
}

// Run the Update Procedure of the specification's example 3, an A/B update, on a board
// that writes slot 1 next.
func ExampleProcessor_Run() {
	ctx := context.Background()
	vendorID, _ := manifest.ParseUUID("fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe")
	classID, _ := manifest.ParseUUID("1492af14-2569-5e48-bf42-9b2d51f2ab45")

	p, err := processor.New(ctx, openExample3(), processor.Options{
		Platform:      &board{},
		Identity:      processor.Identity{VendorID: vendorID, ClassID: classID},
		SequenceFloor: 2, // what is installed now
	})
	switch {
	case errors.Is(err, manifest.ErrNotApplicable), errors.Is(err, manifest.ErrSequence):
		fmt.Println("not for us:", err)
		return
	case err != nil:
		fmt.Println(err)
		return
	}
	err = p.Run(ctx, manifest.SectionPayloadFetch, manifest.SectionInstall, manifest.SectionValidate)
	fmt.Println("error:", err)
	// Output:
	// fetch 76834 bytes from http://example.com/file2.bin
	// error: <nil>
}

func openExample3() *manifest.Verified {
	envelope, _ := fs.ReadFile(vectors.SUIT(), "manifest/example3.cbor")
	pem, _ := fs.ReadFile(vectors.SUIT(), "suit-p256-public.pem")
	key, _ := verify.ParsePublicKeyPEM(pem)
	keys, _ := verify.NewKeySet(verify.Entry{Key: key})
	policy, _ := verify.Threshold(1, "")
	v, err := manifest.OpenBytes(envelope, keys, policy)
	if err != nil {
		panic(err)
	}
	return v
}
