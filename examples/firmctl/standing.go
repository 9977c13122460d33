// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"

	"github.com/firmament-dev/firmament/fetch"
)

// errNotIt says that a file that is there is not all of the wanted one.
var errNotIt = errors.New("not the wanted file")

// A standing file is one that is there and may be the wanted one, all of it. As a sink it takes nothing, so that Fetch does no more than compare its chunks.
type standing struct {
	io.ReaderAt
	size int64
}

func (s *standing) Held() int64                        { return s.size }
func (s *standing) Offset() int64                      { return 0 }
func (s *standing) Resume(int64) error                 { return nil }
func (s *standing) Sync() error                        { return nil }
func (s *standing) Write([]byte) (int, error)          { return 0, errNotIt }
func (s *standing) WriteAt([]byte, int64) (int, error) { return 0, errNotIt }

// digestsOnly is a source without the payload: it has the chunk digests.
type digestsOnly struct {
	fetch.Source
	payload string
}

func (s digestsOnly) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return s.OpenRange(ctx, uri, offset, 0, validator)
}

func (s digestsOnly) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	if uri == s.payload {
		return nil, errors.Join(fetch.ErrRefused, errNotIt) // which ends the call
	}
	if r, ok := s.Source.(fetch.RangeSource); ok && length != 0 {
		return r.OpenRange(ctx, uri, offset, length, validator)
	}
	return s.Source.Open(ctx, uri, offset, validator)
}
