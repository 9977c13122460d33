// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
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
		list = append(list, stateOf(t, d.fsys))
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

// later is a record as a later format might have it: with other numbers, and members of its own, which nobody here can read.
func later(t testing.TB, record []byte, raise func(version uint64) uint64) []byte {
	t.Helper()
	p := cborstream.New(record, cborstream.Limits{Size: len(record), Depth: 4, Items: len(record)})
	var b []byte
	var err error
	number := func(f func(uint64) uint64) {
		var n uint64
		if err == nil {
			n, err = p.Uint()
		}
		b = cborstream.AppendUint(b, f(n))
	}
	same := func(n uint64) uint64 { return n }
	_, err = p.Array()
	b = cborstream.AppendArray(b, 9)
	number(func(uint64) uint64 { return 2 }) // format
	number(same)                             // time
	number(same)                             // root
	if err == nil {
		_, err = p.Array()
	}
	b = cborstream.AppendArray(b, 3)
	for range 3 {
		number(raise)
	}
	for range 2 {
		var keys []byte
		if err == nil {
			keys, err = p.Raw()
		}
		b = append(b, keys...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(b, laterRest...)
}

// laterRest is three members of which the last is CBOR of a kind that no record has now.
const laterRest = "\x19\x03\xe7" + "\xa1\x61x\xf9\x3e\x00" + "\x5f\x41a\x41b\xff"

func stateOf(t testing.TB, fsys simfs.FS) []byte {
	t.Helper()
	data, _, err := durable.LoadRecord(fsys, "state", 0)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A device that goes back to the slot with an older client goes on, from the floors that the newer one reached.
func TestSTO_14_RecordOfALaterFormat(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	d.refresh(nil)
	for range 4 {
		repo.Publish()
	}
	atFive := clone(repo.Files)
	repo.Publish()
	d.refresh(nil)
	six := stateOf(t, d.fsys)
	plus := func(more uint64) func(uint64) uint64 { return func(n uint64) uint64 { return n + more } }
	newer := later(t, six, plus(0))
	for _, lost := range [][]string{nil, {"timestamp.json", "snapshot.json", "targets.json"}} {
		for _, name := range lost {
			if err := d.fsys.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.StoreState(d.fsys, newer); err != nil {
			t.Fatal(err)
		}
		d.restart()
		now := repo.Files
		repo.Files = atFive
		d.refresh(tuf.ErrRollback)
		repo.Files = now
		d.refresh(nil)
		if got := stateOf(t, d.fsys); !bytes.Equal(got, newer) {
			t.Errorf("the record is %x, want %x", got, newer)
		}
	}
	// What moves on moves on in the record of the later format, and what that has of its own stays.
	repo.Publish()
	d.refresh(nil)
	if got, want := stateOf(t, d.fsys), later(t, six, plus(1)); !bytes.Equal(got, want) {
		t.Errorf("after an update the record is %x, want %x", got, want)
	}
	// The other floors: the clock's, and the root's.
	d.o.Now = func() time.Time { return time.Unix(0, 0) }
	repo.Expires = map[tuf.Role]time.Time{tuf.RoleTimestamp: repo.Now.Add(-time.Minute)}
	repo.Publish()
	d.restart()
	d.refresh(tuf.ErrFreeze)
	repo.Expires = nil
	repo.Publish()
	repo.Publish(tuf.RoleRoot)
	d.refresh(nil)
	if err := d.fsys.Remove("2.root.json"); err != nil {
		t.Fatal(err)
	}
	delete(repo.Files, "metadata/2.root.json")
	d.restart()
	d.refresh(tuf.ErrCache)
}

// Whoever stole the timestamp key can raise the floors of a later format, too: a root that revokes the key makes them begin again.
func TestTUF_05_FastForwardLaterFormat(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	d.refresh(nil)
	newer := later(t, stateOf(t, d.fsys), func(n uint64) uint64 { return n + 1<<40 })
	if err := client.StoreState(d.fsys, newer); err != nil {
		t.Fatal(err)
	}
	d.restart()
	repo.Publish()
	d.refresh(tuf.ErrRollback)
	repo.Keys[tuf.RoleTimestamp] = []verify.Signer{testkeys.P256(60)}
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	d.refresh(nil)
	if got := stateOf(t, d.fsys); !bytes.HasSuffix(got, []byte(laterRest)) || got[1] != 2 {
		t.Errorf("the record is %x, want format 2 and what it had of its own", got)
	}
}

// What no version writes is not guessed at: the checksum of the record held, so it is no damage.
func TestSTO_14_RecordOfNoFormat(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	d.refresh(nil)
	good := stateOf(t, d.fsys)
	for name, bad := range map[string][]byte{
		"format 0": append([]byte{good[0], 0}, good[2:]...), "two members": []byte("\x82\x02\x61x"),
		"format 1, a member more": append([]byte{good[0] + 1}, append(good[1:len(good):len(good)], 0)...),
		"format 2, no keys":       append([]byte{good[0], 2}, good[2:11]...),
	} {
		if err := client.StoreState(d.fsys, bad); err != nil {
			t.Fatal(err)
		}
		d.restart()
		if err := d.Refresh(t.Context()); !errors.Is(err, tuf.ErrCache) {
			t.Errorf("%s: %v, want ErrCache", name, err)
		}
	}
}

// FuzzRecord: what is read of a record is what is written of it.
func FuzzRecord(f *testing.F) {
	for _, data := range recorded(f) {
		f.Add(data)
		f.Add(later(f, data, func(n uint64) uint64 { return n }))
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
