// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
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
