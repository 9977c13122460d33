// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/examples/internal/cli"
)

// The two OpenSBI images are Debian's builds of fw_dynamic.bin for the generic platform, under BSD-2-Clause and the
// other licences that images/COPYRIGHT lists.
//
//go:embed images
var embedded embed.FS

// chunkSize is small, so that a cut at a third of a small image has something to keep.
const chunkSize = 16 << 10

const (
	minImage = 3 * chunkSize
	maxImage = 64 << 20
)

// A pair is what the story is about.
type pair struct {
	old, new         []byte
	oldName, newName string
	oldBanner        string // what the image says on the serial line; "" if nothing is known of it
	newBanner        string
}

// images returns the embedded pair, or the two files.
func images(oldName, newName string) (pair, error) {
	if (oldName == "") != (newName == "") {
		return pair{}, cli.Usagef("--old and --new go together")
	}
	if oldName == "" {
		return embeddedPair()
	}
	p := pair{oldName: oldName, newName: newName}
	var err error
	if p.old, err = imageFile(oldName); err != nil {
		return p, err
	}
	if p.new, err = imageFile(newName); err != nil {
		return p, err
	}
	if string(p.old) == string(p.new) {
		return p, cli.Inputf("%s and %s are the same, want two images that differ", oldName, newName)
	}
	return p, nil
}

func imageFile(name string) ([]byte, error) {
	f, size, err := cli.OpenFile(name, "an image")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size < minImage || size > maxImage {
		return nil, cli.Inputf("%s has %d bytes, want an image of %d to %d", name, size, minImage, maxImage)
	}
	return io.ReadAll(io.LimitReader(f, maxImage))
}

func embeddedPair() (pair, error) {
	p := pair{oldName: "OpenSBI 1.5.1", newName: "OpenSBI 1.6", oldBanner: "OpenSBI v1.5", newBanner: "OpenSBI v1.6"}
	var err error
	if p.old, err = embedded.ReadFile("images/fw_dynamic-1.5.1.bin"); err != nil {
		return p, fmt.Errorf("embedded image: %w", err)
	}
	if p.new, err = embedded.ReadFile("images/fw_dynamic-1.6.bin"); err != nil {
		return p, fmt.Errorf("embedded image: %w", err)
	}
	return p, nil
}
