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
//	version    1 byte, 2
//	resource   32 bytes, SHA-256 over what the manifest signs about it
//	uri        32 bytes, SHA-256 of the URI that the validator belongs to
//	count      1 byte, of spans, at most 16
//	spans      count times start and end, 8 bytes each, big endian: in order, apart from each other, on chunk boundaries
//	validator  the rest, at most 512 bytes
//
// It is written after the sink was synced, never before. Nothing depends on it: what cannot be read, or speaks of
// another resource, stands for offset 0.
type checkpoint struct {
	record *durable.Record
	res    *Resource
}

const (
	checkpointVersion   = 2
	checkpointHead      = 1 + 32 + 32 + 1
	checkpointSpans     = 16
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

// load returns what is on the medium of the resource, nothing if there is no record, and the validator for its URI.
func (c *checkpoint) load() (have spans, validator string, err error) {
	b, _, err := c.record.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read checkpoint: %w", err)
	}
	have, validator, ok := parseCheckpoint(b, c.res)
	if !ok {
		return nil, "", nil
	}
	return have, validator, nil
}

// parseCheckpoint reads a record. It is not ok if the record speaks of another resource or makes no sense.
func parseCheckpoint(b []byte, res *Resource) (have spans, validator string, ok bool) {
	if len(b) < checkpointHead || b[0] != checkpointVersion || [32]byte(b[1:33]) != res.identity() {
		return nil, "", false
	}
	sameURI := [32]byte(b[33:65]) == sha256.Sum256([]byte(res.URI))
	count, b := int(b[65]), b[checkpointHead:]
	if count > checkpointSpans || len(b) < 16*count || len(b) > 16*count+maxCheckpointedETag {
		return nil, "", false
	}
	edge := func(n int64) bool { return n == res.Size || res.Chunks != nil && n%res.Chunks.Size == 0 }
	last := int64(-1)
	for range count {
		s := span{int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:]))}
		if s.start <= last || s.end <= s.start || s.end > res.Size || !edge(s.start) || !edge(s.end) {
			return nil, "", false
		}
		have, last, b = append(have, s), s.end, b[16:]
	}
	if sameURI {
		validator = string(b)
	}
	return have, validator, true
}

// store makes durable that have is on the medium. It must be synced already.
func (c *checkpoint) store(have spans, validator string) error {
	have = have[:min(len(have), checkpointSpans)]
	id, uri := c.res.identity(), sha256.Sum256([]byte(c.res.URI))
	b := make([]byte, 0, checkpointHead+16*len(have)+len(validator))
	b = append(b, checkpointVersion)
	b = append(b, id[:]...)
	b = append(b, uri[:]...)
	b = append(b, byte(len(have)))
	for _, s := range have {
		b = binary.BigEndian.AppendUint64(b, uint64(s.start))
		b = binary.BigEndian.AppendUint64(b, uint64(s.end))
	}
	if len(validator) <= maxCheckpointedETag {
		b = append(b, validator...)
	}
	if err := c.record.Store(b); err != nil {
		return fmt.Errorf("write checkpoint at %d: %w", have.prefix(), err)
	}
	return nil
}
