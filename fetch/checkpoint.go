// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/firmament-dev/firmament/internal/durable"
)

// A checkpoint is the durable record of how much of one resource is verified and on the medium:
//
//	version    1 byte, 1
//	resource   32 bytes, SHA-256 over what the manifest signs about it
//	uri        32 bytes, SHA-256 of the URI that the validator belongs to
//	offset     8 bytes, big endian
//	validator  the rest, at most 512 bytes
//
// It is written after the sink was synced, never before. Nothing depends on it: what cannot be read, or speaks of
// another resource, stands for offset 0.
type checkpoint struct {
	record *durable.Record
	res    *Resource
}

const (
	checkpointVersion   = 1
	checkpointHead      = 1 + 32 + 32 + 8
	maxCheckpointedETag = 512
)

// openCheckpoint opens the record and, if both of its copies are damaged, begins a new one: unlike a counter, a
// checkpoint may be thrown away.
func openCheckpoint(o *Options, res *Resource) (*checkpoint, error) {
	record, err := durable.OpenRecord(o.Storage, o.Checkpoint)
	if err == nil {
		if _, _, err = record.Load(); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if errors.Is(err, durable.ErrCorrupt) {
		if err = removeCheckpoint(o); err == nil {
			record, err = durable.OpenRecord(o.Storage, o.Checkpoint)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open checkpoint %s: %w", o.Checkpoint, err)
	}
	return &checkpoint{record, res}, nil
}

// removeCheckpoint deletes both copies. A cut in between leaves damage, which is removed the next time.
func removeCheckpoint(o *Options) error {
	for _, name := range []string{o.Checkpoint + ".0", o.Checkpoint + ".1"} {
		if err := o.Storage.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return o.Storage.SyncDir(path.Dir(o.Checkpoint))
}

// load returns the offset for the resource, 0 if there is none, and the validator for its URI.
func (c *checkpoint) load() (offset int64, validator string, err error) {
	b, _, err := c.record.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("read checkpoint: %w", err)
	}
	if len(b) < checkpointHead || len(b) > checkpointHead+maxCheckpointedETag || b[0] != checkpointVersion {
		return 0, "", nil
	}
	id, uri := c.res.identity(), sha256.Sum256([]byte(c.res.URI))
	offset = int64(binary.BigEndian.Uint64(b[65:]))
	if [32]byte(b[1:33]) != id || offset < 0 || offset > c.res.Size {
		return 0, "", nil
	}
	if [32]byte(b[33:65]) == uri {
		validator = string(b[checkpointHead:])
	}
	return offset, validator, nil
}

// store makes offset durable. The bytes before it must be synced already.
func (c *checkpoint) store(offset int64, validator string) error {
	id, uri := c.res.identity(), sha256.Sum256([]byte(c.res.URI))
	b := make([]byte, 0, checkpointHead+len(validator))
	b = append(b, checkpointVersion)
	b = append(b, id[:]...)
	b = append(b, uri[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	if len(validator) <= maxCheckpointedETag {
		b = append(b, validator...)
	}
	if err := c.record.Store(b); err != nil {
		return fmt.Errorf("write checkpoint at %d: %w", offset, err)
	}
	return nil
}
