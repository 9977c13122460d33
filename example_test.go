// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// A device goes from release to release: one that works, and one that does not. It asks for SUIT envelopes without a TUF repository, and its boot
// loader is simulated; its two slots are files, and everything that has to survive a power cut lies in one directory.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "firmament")
	check(err)
	defer os.RemoveAll(dir)

	signer, err := verify.GenerateKey(verify.Ed25519)
	check(err)
	vendor := author.VendorID("vendor.example")
	lamp := processor.Identity{VendorID: vendor, ClassID: author.ClassID(vendor, "lamp")}
	web := shelf{}

	// In the factory.
	firmware := bytes.Repeat([]byte("firmware 1. "), 4000)
	check(os.WriteFile(filepath.Join(dir, "a.img"), append(firmware, make([]byte, 128<<10-len(firmware))...), 0o600))
	check(os.WriteFile(filepath.Join(dir, "b.img"), make([]byte, 128<<10), 0o600))
	state, err := install.OpenDir(dir)
	check(err)
	_, err = slot.CreateBootRecord(state, "boot", 0, install.Image{Size: int64(len(firmware)), Digest: verify.Sum(verify.SHA256, firmware)})
	check(err)

	// In the field.
	works := func() error { return nil }
	boot(ctx, dir, lamp, signer.Public(), web, works) // nothing is published yet
	web.publish(ctx, signer, lamp, 2, bytes.Repeat([]byte("firmware 2. "), 5000))
	boot(ctx, dir, lamp, signer.Public(), web, works)
	boot(ctx, dir, lamp, signer.Public(), web, works)
	web.publish(ctx, signer, lamp, 3, bytes.Repeat([]byte("firmware 3. "), 6000))
	boot(ctx, dir, lamp, signer.Public(), web, works)
	boot(ctx, dir, lamp, signer.Public(), web, func() error { return errors.New("the lamp stays dark") })
	boot(ctx, dir, lamp, signer.Public(), web, works)

	// Output:
	// slot A runs, state Ready: nothing is offered
	// slot A runs, state Ready: release 2 is staged
	// slot B runs, state Trial: release 2 is confirmed
	// slot B runs, state Updated: release 3 is staged
	// slot A runs, state Trial: release 3 is rejected
	// slot B runs, state Rejected: release 3 is not tried again
}

// boot is what happens from power on to the next reboot.
func boot(ctx context.Context, dir string, id processor.Identity, key verify.Key, web shelf, healthy func() error) {
	// The boot loader.
	state, err := install.OpenDir(dir)
	check(err)
	record, err := slot.OpenBootRecord(state, "boot")
	check(err)
	running, _, err := record.Next(nil)
	check(err)

	// The agent.
	a, err := install.OpenDevice(filepath.Join(dir, "a.img"))
	check(err)
	defer a.Close()
	b, err := install.OpenDevice(filepath.Join(dir, "b.img"))
	check(err)
	defer b.Close()
	keys, err := verify.NewKeySet(verify.Entry{Key: key, Groups: []string{"author"}})
	check(err)
	policy, err := verify.Threshold(1, "author")
	check(err)
	counter, err := verify.NewCounter(state, "counter")
	check(err)
	u, err := firmament.New(firmament.Options{
		Storage: state, Finder: web, Keys: keys, Policy: policy, Counter: counter, Identity: id,
		Component: manifest.ComponentID{{0}}, Installer: slot.New(a, b, record),
		Fetch: fetch.Options{Source: web}, Base: base,
	})
	check(err)
	defer u.Close()

	status, err := u.Resume(ctx)
	check(err)
	fmt.Printf("slot %s runs, state %v: ", slot.Name(running), status.State)
	if status.State == install.Trial {
		if why := healthy(); why != nil {
			check(u.Reject(ctx, why.Error()))
			fmt.Printf("release %d is rejected\n", status.Current.Sequence)
			return
		}
		check(u.Accept(ctx))
		fmt.Printf("release %d is confirmed\n", status.Current.Sequence)
		return
	}
	offer, err := u.Check(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, firmament.ErrNoUpdate):
		fmt.Println("nothing is offered")
	case errors.Is(err, firmament.ErrGivenUp):
		fmt.Printf("release %d is not tried again\n", status.Current.Sequence)
	default:
		check(err)
		check(u.Apply(ctx, offer))
		fmt.Printf("release %d is staged\n", offer.Release.Sequence)
	}
}

// A shelf is a web server, by URL: it is a Finder for envelopes, and a fetch.Source for images. Nothing that it says is believed.
type shelf map[string][]byte

const base = "https://updates.example/lamp/"

// publish is the author's work: chunk digests, a manifest for either slot, a signature.
func (s shelf) publish(ctx context.Context, signer verify.Signer, id processor.Identity, sequence uint64, firmware []byte) {
	pages, root, err := chunk.Build(bytes.NewReader(firmware), int64(len(firmware)), 16<<10)
	check(err)
	img := author.Image{
		URI: fmt.Sprintf("%d.img", sequence), Size: int64(len(firmware)), Digest: verify.Sum(verify.SHA256, firmware),
		Chunks: &manifest.ChunkInfo{Root: root, Size: 16 << 10},
	}
	envelope, err := author.AB{
		VendorID: id.VendorID, ClassID: id.ClassID, SequenceNumber: sequence,
		Component: manifest.ComponentID{{0}}, Slots: [2]author.Image{img, img},
	}.Build()
	check(err)
	signed, err := author.Sign(ctx, envelope, signer)
	check(err)
	s[base+img.URI], s[base+img.URI+".chunks"] = firmware, pages
	s[base+firmament.TargetPath(id.VendorID, id.ClassID, "stable")] = signed
}

// Find implements firmament.Finder.
func (s shelf) Find(_ context.Context, target string) ([]byte, error) {
	if b, ok := s[base+target]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

// Open implements fetch.Source.
func (s shelf) Open(_ context.Context, uri string, offset int64, _ string) (*fetch.Stream, error) {
	b, ok := s[uri]
	if !ok || offset > int64(len(b)) {
		return nil, fetch.ErrRefused
	}
	return &fetch.Stream{Body: io.NopCloser(bytes.NewReader(b[offset:])), Offset: offset, Size: int64(len(b))}, nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
