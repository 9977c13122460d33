// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import "github.com/firmament-dev/firmament/internal/simfs"

// Storage is the directory that a client keeps its cache in.
type Storage = simfs.FS

// OpenDir opens the existing directory path as Storage. It makes none: what is to be durable begins with a directory that is. Errors: fs.ErrNotExist.
func OpenDir(path string) (Storage, error) { return simfs.OpenDir(path) }
