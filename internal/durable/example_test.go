// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
)

func ExampleWriteFile() {
	fsys := simfs.NewSim(simfs.Options{}).FS() // or simfs.OpenDir
	if err := durable.MkdirAll(fsys, "cache/tuf"); err != nil {
		fmt.Println(err)
	}
	if err := durable.WriteFile(fsys, "cache/tuf/root.json", []byte("{}")); err != nil {
		fmt.Println(err)
	}
	b, err := durable.ReadFile(fsys, "cache/tuf/root.json", 1<<20)
	fmt.Printf("%s %v\n", b, err)
	_, err = durable.ReadFile(fsys, "cache/tuf/root.json", 1)
	fmt.Println(errors.Is(err, durable.ErrTooLarge))
	// Output:
	// {} <nil>
	// true
}

func ExampleRecord() {
	device := simfs.NewSim(simfs.Options{}).Device("boot", 1<<20) // or simfs.OpenDevice
	r, err := durable.NewDeviceRecord(device, 0, 128<<10, 4096)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _, err = r.Load()
	fmt.Println("never stored:", errors.Is(err, fs.ErrNotExist))
	if err := r.Store([]byte("slot a")); err != nil {
		fmt.Println(err)
	}
	data, seq, err := r.Load()
	fmt.Printf("%s %d %v\n", data, seq, err)
	// Output:
	// never stored: true
	// slot a 1 <nil>
}

func ExampleLog() {
	l, err := durable.OpenLog(simfs.NewSim(simfs.Options{}).FS(), "journal", 64<<10)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := errors.Join(l.Append([]byte("fetched")), l.Append([]byte("installed"))); err != nil {
		fmt.Println(err)
	}
	recs, err := l.Records()
	fmt.Printf("%s %v\n", recs, err)
	if err := errors.Join(l.Rewrite(recs[1:]), l.Close()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [fetched installed] <nil>
}
