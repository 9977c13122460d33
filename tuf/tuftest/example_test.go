// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuftest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

func newClient(repo *tuftest.Repo, remote client.Remote) *client.Client {
	c, err := client.New(client.Options{
		Root: repo.Root(1), Remote: remote, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return repo.Now },
		Limits: client.Limits{Memory: 1}, // what can be streamed is
	})
	if err != nil {
		panic(err)
	}
	return c
}

// A thief has the key of timestamp and of snapshot, and drives the versions up. The owner takes both keys away.
func Example() {
	repo := tuftest.New()
	device := newClient(repo, repo)

	repo.Version[tuf.RoleSnapshot] = 1000
	repo.Publish(tuf.RoleSnapshot, tuf.RoleTimestamp)
	_, err := device.Find(context.Background(), "fw/a.suit")
	fmt.Println(err)

	repo.Version[tuf.RoleSnapshot] = 1
	repo.Publish()
	_, err = device.Find(context.Background(), "fw/a.suit")
	fmt.Println(errors.Is(err, tuf.ErrRollback))

	repo.Keys[tuf.RoleSnapshot] = []verify.Signer{tuftest.Ed25519(10)}
	repo.Keys[tuf.RoleTimestamp] = []verify.Signer{tuftest.P256(11)}
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	_, err = device.Find(context.Background(), "fw/a.suit")
	fmt.Println(err)
	// Output:
	// <nil>
	// true
	// <nil>
}

// A supplier's role, whose metadata somebody else signed.
func ExampleRepo_Delegate() {
	repo := tuftest.New()
	repo.Delegate(tuf.RoleTargets, "supplier", map[string]any{"paths": []any{"radio/*"}, "terminating": true})
	repo.DelegatedTargets["supplier"]["radio/fw.bin"] = []byte("radio")
	repo.Signers["supplier"] = []verify.Signer{tuftest.Ed25519(66)}
	repo.Publish("supplier")
	repo.Publish()
	_, err := newClient(repo, repo).Find(context.Background(), "radio/fw.bin")
	fmt.Println(errors.Is(err, tuf.ErrThreshold))
	// Output: true
}

// What no repository would publish: a threshold in words.
func ExampleRepo_edit() {
	repo := tuftest.New()
	repo.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleRoot {
			signed["roles"].(map[string]any)["snapshot"].(map[string]any)["threshold"] = "one"
		}
	}
	repo.Publish(tuf.RoleRoot)
	fmt.Println(errors.Is(newClient(repo, repo).Refresh(context.Background()), tuf.ErrMalformed))
	// Output: true
}

// A mirror that is a day behind, one that is down, and one that cuts connections.
func ExampleRepo_Spoil() {
	repo := tuftest.New()
	device := newClient(repo, repo)
	yesterday := repo.Past()
	repo.Publish()
	try := func() error { return device.Refresh(context.Background()) }
	fmt.Println(try())

	repo.Spoil("*", tuftest.Stale(yesterday))
	fmt.Println(errors.Is(try(), tuf.ErrRollback))
	repo.Honest()
	repo.Spoil("metadata/*", tuftest.Status(http.StatusServiceUnavailable))
	fmt.Println(errors.Is(try(), tuf.ErrTransport))
	repo.Honest()
	repo.Spoil("metadata/timestamp.json", tuftest.Truncate(100))
	fmt.Println(errors.Is(try(), tuf.ErrTransport))
	repo.Honest()
	fmt.Println(try())
	// Output:
	// <nil>
	// true
	// true
	// true
	// <nil>
}
