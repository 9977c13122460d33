// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
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

// Ask before anything is done: is this release for the device, can it run it, and would it be newer than what is installed?
func ExampleProcessor_Check() {
	ctx := context.Background()
	vendorID, _ := manifest.ParseUUID("fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe")
	classID, _ := manifest.ParseUUID("1492af14-2569-5e48-bf42-9b2d51f2ab45")
	for _, device := range []struct {
		name  string
		class manifest.UUID
		floor uint64
	}{{"an old sensor", classID, 2}, {"a sensor that has it", classID, 4}, {"a gateway", manifest.UUID{7}, 2}} {
		p, err := processor.New(ctx, openExample3(), processor.Options{
			Platform:      &board{},
			Identity:      processor.Identity{VendorID: vendorID, ClassID: device.class},
			SequenceFloor: device.floor,
		})
		if err == nil {
			err = p.Check(ctx, manifest.SectionInstall, manifest.SectionValidate)
		}
		switch {
		case errors.Is(err, manifest.ErrNotApplicable):
			fmt.Println(device.name, "is not meant")
		case errors.Is(err, manifest.ErrSequence):
			fmt.Println(device.name, "is not set back")
		case err != nil:
			fmt.Println(device.name, "cannot run it:", err)
		default:
			fmt.Println(device.name, "can be updated")
		}
	}
	// Output:
	// an old sensor can be updated
	// a sensor that has it is not set back
	// a gateway is not meant
}

// display is a component with a command of its vendor's.
type display struct{}

func (display) Commands() []manifest.Code { return []manifest.Code{-300} }

func (display) Command(_ context.Context, r processor.CustomRequest) error {
	fmt.Printf("%v shows %v\n", r.Component, r.Argument)
	return nil
}

type kiosk struct{}

func (kiosk) Component(manifest.ComponentID) (processor.Component, error) { return display{}, nil }

// The manifest is opened with a Registry that lists the command, and the component has it.
func ExampleCommander() {
	ctx := context.Background()
	o := manifest.Options{Registry: manifest.Registry{Commands: []manifest.CustomCommand{{Code: -300}}}}
	vendorID := author.VendorID("example.com")
	classID := author.ClassID(vendorID, "kiosk")
	b := author.Builder{SequenceNumber: 1, Options: o}
	at := b.Component(manifest.ComponentID{{0xd1}})
	b.Compatibility(at, vendorID, classID, nil)
	b.Add(manifest.SectionInvoke, at, manifest.Command{Code: -300, Custom: "spring"})
	e, err := b.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	signer := testkeys.P256(0) // stands for the author's
	envelope, err := author.Sign(ctx, e, signer)
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, _ := verify.NewKeySet(verify.Entry{Key: signer.Public()})
	policy, _ := verify.Threshold(1, "")
	v, err := o.OpenBytes(envelope, keys, policy)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := processor.New(ctx, v, processor.Options{Platform: kiosk{}, Identity: processor.Identity{VendorID: vendorID, ClassID: classID}})
	if err == nil {
		err = p.Run(ctx, manifest.SectionInvoke)
	}
	fmt.Println("error:", err)
	// Output:
	// d1 shows spring
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
