// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/tuf"
)

// ErrConflict means that a file is not as the caller thought: somebody else wrote it first.
var ErrConflict = errors.New("written by somebody else meanwhile")

// Tag says which content a file has. Two contents of one file never have the same tag; what it is made of is the storage's matter. The
// empty Tag stands for a file that is not there.
type Tag string

// Storage keeps the files of a repository. [OpenDir] and [NewMemory] are two; package storagetest has the test that any other must pass.
//
// Names are slash-separated paths as [tuf.CheckPath] has them; others are refused with [tuf.ErrPath]. All calls are safe for concurrent
// use, by several processes too. What a call has returned is seen by every later call, by whomever; so listings are never late.
//
// A web server serves metadata, targets and payloads to everybody, and nothing else.
type Storage interface {
	// Get returns a whole file and its tag. Errors: fs.ErrNotExist; tuf.ErrLength if it has more than max bytes.
	Get(ctx context.Context, name string, max int64) ([]byte, Tag, error)

	// Open reads a file of any length from its beginning. Errors: fs.ErrNotExist.
	Open(ctx context.Context, name string) (io.ReadCloser, error)

	// Put makes what data holds, to its end, the content of a file if the file's tag is old then, and so only if there is none when old is empty.
	// ErrConflict means that the tag is another one: nothing has changed, and what is there is durable. The file is never seen in
	// part: after any other error, or a power cut, it is as it was or as it should be. When Put returns nil it is durable.
	Put(ctx context.Context, name string, data io.Reader, old Tag) error

	// List returns the names of all files below a directory, in ascending order; none if there is no such directory.
	List(ctx context.Context, dir string) ([]string, error)

	// Delete removes a file, durably. It is no error if there is none.
	Delete(ctx context.Context, name string) error
}

// tooLong is the error of Get.
func tooLong(name string, size, max int64) error {
	return fmt.Errorf("read %s: %w: %d bytes, at most %d expected", name, tuf.ErrLength, size, max)
}

// conflict is the error of Put.
func conflict(name string) error { return fmt.Errorf("write %s: %w", name, ErrConflict) }
