// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
)

// delegatedFile is where the cache keeps a delegated role's metadata. The role's name is chosen by whoever delegates to it, so it
// never becomes a path, and names that differ in case only stay apart on every file system.
func delegatedFile(role string) string {
	return fmt.Sprintf("%s%x.json", delegatedPrefix, sha256.Sum256([]byte(role)))
}

const delegatedPrefix = "role-"

// maxDelegatedFiles bounds the delegated files in a cache: looking up many targets of a repository with many bins must not fill the medium.
const maxDelegatedFiles = 256

// keepDelegated keeps a verified file of a delegated role. It is judged again whenever it is read, so it is no part of the
// state that the record describes. One that is in memory is not kept while another process refreshes.
func (c *Client) keepDelegated(ctx context.Context, b *body, t *tuf.Targets) error {
	unlock := func() error { return nil }
	if b.pending == nil {
		var err error
		unlock, err = c.cache.tryLock()
		if errors.Is(err, simfs.ErrBusy) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	names := c.cache.delegatedFiles()
	for len(names) >= maxDelegatedFiles {
		_ = c.cache.fsys.Remove(names[0])
		_ = c.cache.fsys.Remove(indexName(names[0]))
		names = names[1:]
	}
	dirty := c.cache.dirty
	err := c.cache.keep(b)
	c.cache.dirty = dirty
	if err == nil {
		c.writeIndex(ctx, b.name, t)
	}
	return errors.Join(err, unlock())
}

func (c *cache) delegatedFiles() (files []string) {
	names, err := c.fsys.ReadDir(".")
	if err != nil {
		return nil
	}
	for _, name := range names {
		if strings.HasPrefix(name, delegatedPrefix) && strings.HasSuffix(name, ".json") {
			files = append(files, name)
		}
	}
	return files
}

// prune removes the files of roles that the snapshot no longer lists. What cannot be removed does no harm.
func (c *cache) prune(s *tuf.Snapshot) {
	files := c.delegatedFiles()
	if len(files) == 0 {
		return
	}
	listed := make(map[string]bool)
	for path := range s.All() {
		listed[delegatedFile(strings.TrimSuffix(path, ".json"))] = true
	}
	for _, name := range files {
		if !listed[name] {
			_ = c.fsys.Remove(name)
			_ = c.fsys.Remove(indexName(name))
		}
	}
}
