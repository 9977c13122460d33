// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package gzip unpacks gzip (RFC 1952), with the standard library. Its window is 32 KiB, always.
package gzip

import (
	"compress/gzip"
	"io"

	"github.com/firmament-dev/firmament/fetch/packed"
)

var _ packed.Decoder = Open

// Open is a packed.Decoder. Several members in a row are one payload, as gunzip has it.
func Open(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
