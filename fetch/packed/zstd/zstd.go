// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package zstd unpacks Zstandard (RFC 8878).
package zstd

import (
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch/packed"
	"github.com/klauspost/compress/zstd"
)

var _ packed.Decoder = Open

// Open is a packed.Decoder. Several frames in a row are one payload. Dictionaries are not known.
func Open(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(packed.MaxWindow))
	if err != nil {
		return nil, limit(err)
	}
	return &decoder{d}, nil
}

type decoder struct{ d *zstd.Decoder }

func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.d.Read(p)
	return n, limit(err)
}

func (d *decoder) Close() error {
	d.d.Close()
	return nil
}

func limit(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fmt.Errorf("%w: %v", packed.ErrBomb, err)
	}
	return err
}
