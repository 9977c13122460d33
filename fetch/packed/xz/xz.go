// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package xz unpacks .xz files (LZMA2, with the filters for machine code, such as ARM's).
package xz

import (
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch/packed"
	"github.com/therootcompany/xz"
)

var _ packed.Decoder = Open

// Open is a packed.Decoder. Several streams in a row are one payload.
func Open(r io.Reader) (io.ReadCloser, error) {
	d, err := xz.NewReader(r, packed.MaxWindow)
	if err != nil {
		return nil, limit(err)
	}
	return &decoder{d}, nil
}

type decoder struct{ d *xz.Reader }

func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.d.Read(p)
	return n, limit(err)
}

func (d *decoder) Close() error { return nil }

func limit(err error) error {
	if errors.Is(err, xz.ErrMemlimit) {
		return fmt.Errorf("%w: %v", packed.ErrBomb, err)
	}
	return err
}
