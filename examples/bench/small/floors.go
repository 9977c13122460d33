// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/firmament-dev/firmament/examples/internal/directio"
)

// buffer is what the floors move at a time: as much as fetch hands to a sink at once.
const buffer = 1 << 20

// receive is the floor of receiving: the same bytes over net/http, thrown away.
func receive(ctx context.Context, args []string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	p := make([]byte, buffer)
	for {
		if _, err := resp.Body.Read(p); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// hash is the floor of verifying: so many bytes through SHA-256.
func hash(_ context.Context, args []string) error {
	size, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	p, h := make([]byte, buffer), sha256.New()
	for ; size > 0; size -= buffer {
		h.Write(p[:min(size, buffer)])
	}
	h.Sum(nil)
	return nil
}

// write is the floor of writing: so many bytes into a file, which is synced once at the end; through the page cache, or past it as
// fetch's sinks here do.
func write(args []string, direct bool) error {
	size, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	plain, err := os.Create(args[1])
	if err != nil {
		return err
	}
	f := interface {
		io.WriterAt
		io.Closer
	}(plain)
	if direct {
		d := directio.New(plain)
		if err := d.Reserve(size); err != nil {
			return err
		}
		f = d
	}
	p := make([]byte, buffer)
	for i := range p {
		p[i] = byte(i * i >> 3)
	}
	for at := int64(0); at < size; at += buffer {
		if _, err := f.WriteAt(p[:min(size-at, buffer)], at); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(plain.Sync(), f.Close())
}
