// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"testing"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// recorded is the record of a device that has refreshed, with and without what a Remote called the timestamp.
func recorded(t testing.TB) (list [][]byte) {
	for _, server := range []string{"", "a"} {
		repo := tuftest.New()
		repo.Version[tuf.RoleTimestamp] = 1 << 62
		repo.Put(tuf.RoleTimestamp)
		d := &device{repo: repo, fsys: simfs.NewSim(simfs.Options{}).FS()}
		d.o = client.Options{Root: repo.Root(1), Remote: repo, Storage: d.fsys, Now: tuftest.Start.Local}
		if server != "" {
			d.o.Remote = &tagged{Repo: repo, server: server}
		}
		c, err := client.New(d.o)
		if err == nil {
			err = c.Refresh(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := durable.LoadRecord(d.fsys, "state", 0)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, data)
	}
	return list
}

func TestRecord(t *testing.T) {
	for _, data := range recorded(t) {
		if again, err := client.ReadState(data); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x, %v, want %x", again, err, data)
		}
		for i := range data {
			if _, err := client.ReadState(data[:i]); err == nil {
				t.Errorf("%d bytes of %d are a record", i, len(data))
			}
		}
		if _, err := client.ReadState(append(bytes.Clone(data), 0)); err == nil {
			t.Error("one byte more is a record")
		}
	}
}

// FuzzRecord: what is read of a record is what is written of it.
func FuzzRecord(f *testing.F) {
	for _, data := range recorded(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		again, err := client.ReadState(data)
		if err != nil {
			return
		}
		if third, err := client.ReadState(again); err != nil || !bytes.Equal(third, again) {
			t.Errorf("%x, %v, want %x", third, err, again)
		}
	})
}
