// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/client/bundle"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// A device looks for its release, and later notices that it is offered an older repository.
func Example() {
	repo := tuftest.New() // stands for a web server; fetch.NewRemote is one
	c, err := client.New(client.Options{
		Root:    repo.Root(1), // built into the device
		Remote:  repo,
		Storage: simfs.NewSim(simfs.Options{}).FS(), // on a device: a directory
		Now:     func() time.Time { return repo.Now },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	envelope, err := c.Find(context.Background(), "fw/a.suit")
	fmt.Printf("%s %v\n", envelope, err)

	older := repo.Files["metadata/timestamp.json"]
	repo.Publish()
	_, err = c.Find(context.Background(), "fw/a.suit")
	fmt.Println(err)

	repo.Files["metadata/timestamp.json"] = older
	_, err = c.Find(context.Background(), "fw/a.suit")
	fmt.Println(errors.Is(err, tuf.ErrRollback))
	// Output:
	// one <nil>
	// <nil>
	// true
}

// A technician takes a bundle to a device without a network: one file, through exactly the same checks. A bundle older than what the device has
// seen is refused.
func ExampleClient_Export() {
	ctx, repo := context.Background(), tuftest.New()
	options := func() client.Options {
		return client.Options{Root: repo.Root(1), Remote: repo, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return repo.Now }}
	}
	export := func() []byte { // on a computer with a network
		var file bytes.Buffer
		z := zip.NewWriter(&file)
		c, err := client.New(options())
		if err == nil {
			err = errors.Join(c.Export(ctx, z, client.Export{Targets: []string{"fw/a.suit"}}), z.Close())
		}
		if err != nil {
			fmt.Println(err)
		}
		return file.Bytes()
	}
	old := export()
	repo.Targets["fw/a.suit"] = []byte("two")
	repo.Publish()
	device := options() // its root and its cache
	for _, file := range [][]byte{export(), old} {
		archive, err := bundle.Open(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			fmt.Println(err)
			return
		}
		device.Remote = archive
		c, err := client.New(device)
		if err != nil {
			fmt.Println(err)
			return
		}
		envelope, err := c.Find(ctx, "fw/a.suit")
		fmt.Printf("%q %v\n", envelope, errors.Is(err, tuf.ErrRollback))
	}
	// Output:
	// "two" false
	// "" true
}
