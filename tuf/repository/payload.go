// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/firmament-dev/firmament/tuf"
)

// PutPayload copies a file that targets refer to, such as an image, to payloads/<name>. Name is as tuf.CheckPath has it. A payload does not
// change: putting the same bytes again is no error, other bytes are ErrExists. The file appears whole and durable, or not at all.
//
// A payload of a release that was withdrawn can be collected (CollectOptions.Payloads) until a target refers to it again: do not collect between
// putting it again and publishing. One that is about to be deleted is ErrCollecting.
func (r *Repository) PutPayload(ctx context.Context, name string, src io.Reader) error {
	if err := tuf.CheckPath(name); err != nil {
		return fmt.Errorf("put payload: %w", err)
	}
	name = "payloads/" + name
	err := r.putPayload(ctx, name, src)
	if err != nil {
		return fmt.Errorf("put payload %s: %w", name, err)
	}
	return nil
}

func (r *Repository) putPayload(ctx context.Context, name string, src io.Reader) (err error) {
	doomed, err := r.s.doomed(ctx)
	if err != nil {
		return err
	}
	seen := &counter{src: src}
	if err := r.s.Put(ctx, name, seen, ""); !errors.Is(err, ErrConflict) || seen.n > 0 {
		return err // somebody who was faster by less leaves nothing of src to compare
	}
	old, err := r.s.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	if err := compare(ctx, old, src); err != nil {
		return err
	}
	if _, gone := slices.BinarySearch(doomed, name); gone {
		return ErrCollecting
	}
	return nil
}

// counter says whether something was read.
type counter struct {
	src io.Reader
	n   int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += n
	return n, err
}

// compare returns ErrExists unless old holds exactly src.
func compare(ctx context.Context, old, src io.Reader) error {
	a, b := make([]byte, compareBuffer), make([]byte, compareBuffer)
	for {
		n, err := io.ReadFull(src, a)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return err
		}
		m, err := io.ReadFull(old, b)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("%w with other content", ErrExists)
		}
		if end {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

const compareBuffer = 256 << 10
