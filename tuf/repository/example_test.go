// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"context"
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// served hands a repository's files to a client.
type served struct{ repository.Storage }

func (s served) Get(ctx context.Context, name string, max int64) ([]byte, error) {
	data, _, err := s.Storage.Get(ctx, name, max)
	return data, err
}

// A publisher makes a repository and releases an envelope; a device that was given the root finds it.
func Example() {
	ctx := context.Background()
	storage := repository.NewMemory() // or OpenDir: a directory that a web server serves
	repo, err := repository.Create(ctx, storage, repository.Options{Signers: map[tuf.Role][]verify.Signer{
		tuf.RoleRoot: {testkeys.Ed25519(0)}, tuf.RoleTargets: {testkeys.Ed25519(1)},
		tuf.RoleSnapshot: {testkeys.Ed25519(2)}, tuf.RoleTimestamp: {testkeys.Ed25519(2)},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := repo.Publish(ctx, map[string][]byte{"fw/acme/gateway/stable.suit": []byte("envelope")}); err != nil {
		fmt.Println(err)
		return
	}
	root, err := repo.Root(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	device, err := client.New(client.Options{Root: root, Remote: served{storage}, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: time.Now})
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := device.Find(ctx, "fw/acme/gateway/stable.suit")
	fmt.Printf("%s %v\n", data, err)
	// Output: envelope <nil>
}
