// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
)

func TestOnDisk(t *testing.T) {
	d, err := simfs.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.MkdirAll(d, "a/b"); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(d, "a/b/f", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	b, err := durable.ReadFile(d, "a/b/f", 5)
	if err != nil || string(b) != "hello" {
		t.Fatal(b, err)
	}
	if _, err := durable.ReadFile(d, "a/b/f", 4); !errors.Is(err, durable.ErrTooLarge) {
		t.Fatal(err)
	}
	p := filepath.Join(t.TempDir(), "dev")
	os.WriteFile(p, make([]byte, 16384), 0o600)
	dev, err := simfs.OpenDevice(p)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for i, open := range []func() (*durable.Record, error){
		func() (*durable.Record, error) { return durable.OpenRecord(d, "a/rec") },
		func() (*durable.Record, error) { return durable.NewDeviceRecord(dev, 0, 8192, 4096) },
	} {
		r, err := open()
		if err != nil {
			t.Fatal(i, err)
		}
		if _, _, err := r.Load(); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(i, err)
		}
		for n := range 5 {
			if err := r.Store([]byte{byte(n)}); err != nil {
				t.Fatal(i, err)
			}
			if r, err = open(); err != nil {
				t.Fatal(err)
			}
			b, seq, err := r.Load()
			if err != nil || seq != uint64(n+1) || b[0] != byte(n) {
				t.Fatal(i, b, seq, err)
			}
		}
	}
	l, err := durable.OpenLog(d, "a/log", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	l.Append([]byte("one"))
	l.Append(nil)
	l.Rewrite([][]byte{[]byte("two")})
	l.Append([]byte("three"))
	l.Close()
	l, err = durable.OpenLog(d, "a/log", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	recs, err := l.Records()
	if err != nil || len(recs) != 2 || string(recs[1]) != "three" {
		t.Fatal(recs, err)
	}
}
