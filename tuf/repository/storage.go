// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import "github.com/firmament-dev/firmament/internal/simfs"

// Storage is the directory that a repository is written to.
type Storage = simfs.FS

// OpenDir opens the existing directory path as Storage. Its files can be read by everybody, so that any web server
// can serve them.
func OpenDir(path string) (Storage, error) { return simfs.OpenPublicDir(path) }
