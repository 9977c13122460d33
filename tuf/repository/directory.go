// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
)

// MaxMetadata bounds a metadata file that is read from the directory, in bytes.
const MaxMetadata = 64 << 20

// directory is the repository's files.
type directory struct{ fsys simfs.FS }

func metadataPath(role tuf.Role, version int64) string {
	if role == tuf.RoleTimestamp {
		return "metadata/" + role.Filename()
	}
	return fmt.Sprintf("metadata/%d.%s", version, role.Filename())
}

func (d directory) read(role tuf.Role, version int64) ([]byte, error) {
	return durable.ReadFile(d.fsys, metadataPath(role, version), MaxMetadata)
}

// write makes a file of the repository durable, with the directories above it.
func (d directory) write(name string, data []byte) error {
	if err := durable.MkdirAll(d.fsys, path.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := durable.WriteFile(d.fsys, name, data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// writeOnce is write for a file whose name stands for its content.
func (d directory) writeOnce(name string, data []byte) error {
	old, err := durable.ReadFile(d.fsys, name, int64(len(data)))
	if err == nil && bytes.Equal(old, data) {
		return nil
	}
	return d.write(name, data)
}

// lastVersion returns the highest version of role for which there is a file, referred to or left behind by a cut; 0 if none.
func (d directory) lastVersion(role tuf.Role) (int64, error) {
	names, err := d.fsys.ReadDir("metadata")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	var last int64
	for _, name := range names {
		if number, ok := strings.CutSuffix(name, "."+role.Filename()); ok {
			if version, err := strconv.ParseInt(number, 10, 64); err == nil {
				last = max(last, version)
			}
		}
	}
	return last, err
}

// lastVersions is lastVersion for every role that has files, in one go.
func (d directory) lastVersions() (map[tuf.Role]int64, error) {
	names, err := d.fsys.ReadDir("metadata")
	if err != nil {
		return nil, fmt.Errorf("read repository: %w", err)
	}
	last := make(map[tuf.Role]int64)
	for _, name := range names {
		number, rest, _ := strings.Cut(name, ".")
		role, ok := strings.CutSuffix(rest, ".json")
		if version, err := strconv.ParseInt(number, 10, 64); ok && err == nil {
			last[tuf.Role(role)] = max(last[tuf.Role(role)], version)
		}
	}
	return last, nil
}
