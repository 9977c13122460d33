// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"context"
	"errors"
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

// A release is staged where the repository is, and signed where the key is.
func ExampleRepository_Stage() {
	ctx, storage := context.Background(), repository.NewMemory()
	atHome := testkeys.Ed25519(1) // the key of targets never comes to the server
	_, err := repository.Create(ctx, storage, repository.Options{Signers: map[tuf.Role][]verify.Signer{
		tuf.RoleRoot: {testkeys.Ed25519(0)}, tuf.RoleTargets: {atHome}, tuf.RoleSnapshot: {testkeys.Ed25519(2)}, tuf.RoleTimestamp: {testkeys.Ed25519(2)},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	server, err := repository.Open(ctx, storage, repository.Options{Keys: []verify.Signer{testkeys.Ed25519(2)}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := server.Stage(ctx, repository.Change{Add: map[string][]byte{"fw/stable.suit": []byte("envelope")}}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(errors.Is(server.Complete(ctx, tuf.RoleTargets), repository.ErrIncomplete))
	payload, err := server.SigningPayload(ctx, tuf.RoleTargets) // goes to the key, and the signature comes back
	if err != nil {
		fmt.Println(err)
		return
	}
	signature, err := atHome.Sign(ctx, payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := server.Attach(ctx, tuf.RoleTargets, signature); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(server.Complete(ctx, tuf.RoleTargets))
	targets, err := server.Targets(ctx)
	fmt.Println(targets.Len(), err)
	// Output:
	// true
	// <nil>
	// 1 <nil>
}

// What the last two timestamps lead to stays; DryRun tells beforehand what would go.
func ExampleRepository_Collect() {
	ctx, key := context.Background(), []verify.Signer{testkeys.Ed25519(0)}
	r, err := repository.Create(ctx, repository.NewMemory(), repository.Options{Signers: map[tuf.Role][]verify.Signer{
		tuf.RoleRoot: key, tuf.RoleTargets: key, tuf.RoleSnapshot: key, tuf.RoleTimestamp: key,
	}})
	for _, text := range []string{"one", "two", "three"} {
		if err == nil {
			err = r.Publish(ctx, map[string][]byte{"fw/a": []byte(text)})
		}
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := r.Collect(ctx, repository.CollectOptions{Keep: 2, DryRun: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Timestamps, "timestamps kept")
	for _, name := range c.Deleted {
		fmt.Println(name)
	}
	// Output:
	// 2 timestamps kept
	// targets/fw/7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed.a
	// metadata/1.targets.json
	// metadata/2.targets.json
	// metadata/1.snapshot.json
	// metadata/2.snapshot.json
	// metadata/1.timestamp.json
	// metadata/2.timestamp.json
}
