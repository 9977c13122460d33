// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package vectors holds published test vectors, for tests only. Origin and
// licence of each are in the README of its directory.
package vectors

import (
	"embed"
	"io/fs"
)

//go:embed suit
var files embed.FS

// SUIT returns the envelopes of draft-ietf-suit-manifest, as
// "manifest/example0.cbor" and so on, and the public key that signed them,
// "suit-p256-public.pem".
func SUIT() fs.FS {
	sub, err := fs.Sub(files, "suit")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	return sub
}
