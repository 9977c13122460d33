// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/verify"
)

// embedding

// update is one boot's work of a device agent. It returns true if a reboot is due.
func update(ctx context.Context, state install.Storage, cache client.Storage, a, b install.Device,
	root []byte, author verify.Key, id processor.Identity, healthy func() error) (reboot bool, err error) {
	const server = "https://updates.example/widget/"
	download := fetch.Options{Source: httpsource.New(nil)}
	remote, err1 := fetch.NewRemote(download, server)
	finder, err2 := client.New(client.Options{Root: root, Remote: remote, Storage: cache, Now: time.Now, BuildTime: buildTime})
	keys, err3 := verify.NewKeySet(verify.Entry{Key: author, Groups: []string{"author"}})
	policy, err4 := verify.Threshold(1, "author")
	counter, err5 := verify.NewCounter(state, "counter")
	boot, err6 := slot.OpenBootRecord(state, "boot")
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return false, err
	}
	u, err := firmament.New(firmament.Options{
		Storage: state, Finder: finder, Keys: keys, Policy: policy, Counter: counter, Identity: id,
		Component: manifest.ComponentID{{0}}, Installer: slot.New(a, b, boot), Fetch: download, Base: server,
		Planner: plan.Planner{}, // deltas, chunks that the device has, packed images; without it, whole images
	})
	if err != nil {
		return false, err
	}
	defer u.Close()
	st, err := u.Resume(ctx) // first thing after every boot
	if err != nil {
		return false, err
	}
	if st.State == install.Trial { // the new image runs, unconfirmed
		if why := healthy(); why != nil {
			return true, u.Reject(ctx, why.Error())
		}
		return false, u.Accept(ctx)
	}
	offer, err := u.Check(ctx)
	if errors.Is(err, firmament.ErrNoUpdate) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, u.Apply(ctx, offer) // verified chunk by chunk, resumable; nil means staged
}

// end of embedding

var buildTime = time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)

// TestREADME shows that the README's embedding example is the code above, which compiles, and that the function does what the
// README says when there is nothing to do it with.
func TestREADME(t *testing.T) {
	source, err := os.ReadFile("embed_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := bytes.Cut(source, []byte("// embedding\n\n"))
	code, _, _ = bytes.Cut(code, []byte("\n// end of embedding\n"))
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readme, append([]byte("```go\n"), append(code, "```\n"...)...)) {
		t.Error("README.md does not contain the embedding example of embed_test.go")
	}
	fs := simfs.NewSim(simfs.Options{}).FS()
	if _, err := update(t.Context(), fs, fs, nil, nil, nil, verify.Key{}, processor.Identity{}, nil); err == nil {
		t.Error("update without root, keys and slots succeeded")
	}
}
