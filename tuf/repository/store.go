// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/tuf"
)

// MaxMetadata bounds a metadata file that is read from the storage, in bytes.
const MaxMetadata = 1 << 30

// store is a repository's files.
type store struct{ Storage }

// metadataPath is where a role's metadata lies. Timestamps that were replaced are kept beside it by version (archivePath).
func metadataPath(role tuf.Role, version int64) string {
	if role == tuf.RoleTimestamp {
		return "metadata/" + role.Filename()
	}
	return versionPath(role, version)
}

func versionPath(role tuf.Role, version int64) string {
	return fmt.Sprintf("metadata/%d.%s", version, role.Filename())
}

// archivePath is where a timestamp is kept once it was replaced, so that garbage collection knows what it led to.
func archivePath(version int64) string { return versionPath(tuf.RoleTimestamp, version) }

func (s store) read(ctx context.Context, role tuf.Role, version int64) ([]byte, error) {
	data, _, err := s.Get(ctx, metadataPath(role, version), MaxMetadata)
	return data, err
}

// create makes a file that nobody has made yet. The same content again is no error, other content is ErrConflict.
func (s store) create(ctx context.Context, name string, data []byte) error {
	err := s.Put(ctx, name, bytes.NewReader(data), "")
	if !errors.Is(err, ErrConflict) {
		return err
	}
	old, _, rerr := s.Get(ctx, name, int64(len(data)))
	switch {
	case rerr == nil && bytes.Equal(old, data):
		return nil
	case rerr == nil, errors.Is(rerr, tuf.ErrLength), errors.Is(rerr, fs.ErrNotExist):
		return err
	}
	return rerr
}

// versions is the highest version of each role for which there is a file, referred to or left behind by a cut. What nobody but a thief of keys can have
// made does not count.
func (s store) versions(ctx context.Context) (map[tuf.Role]int64, error) {
	names, err := s.List(ctx, "metadata")
	if err != nil {
		return nil, fmt.Errorf("read repository: %w", err)
	}
	last := make(map[tuf.Role]int64)
	for _, name := range names {
		if role, version, ok := parseVersion(name); ok && version < maxVersion {
			last[role] = max(last[role], version)
		}
	}
	return last, nil
}

// parseVersion is the inverse of versionPath.
func parseVersion(name string) (tuf.Role, int64, bool) {
	number, rest, _ := strings.Cut(path.Base(name), ".")
	role, ok := strings.CutSuffix(rest, ".json")
	version, err := strconv.ParseInt(number, 10, 64)
	return tuf.Role(role), version, ok && err == nil && version > 0
}
