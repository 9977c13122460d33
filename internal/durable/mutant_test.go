// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs/mutant"
)

// TestMutants proves that the exploration tests of this package would find the
// faults that its code avoids.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package once per mutant")
	}
	const (
		file    = "^TestSTO_01_AtomicFile$"
		pending = "^TestSTO_01_PendingFile$"
		record  = "^TestSTO_01_Record$"
		device  = "^TestSTO_01_DeviceRecord$"
		log     = "^TestSTO_01_Log$"
		compact = "^TestSTO_01_LogStaleBlocks$"
	)
	for _, m := range []mutant.Mutant{
		{
			Name: "file not synced", File: "file.go",
			Old: "return f.Sync()", New: "return nil",
			TestRun: file, Invariant: "S2|S3",
		},
		{
			Name: "directory not synced", File: "file.go",
			Old: "return fsys.SyncDir(path.Dir(name))", New: "return nil",
			TestRun: file, Invariant: "S3",
		},
		{
			Name: "rename before sync", File: "file.go",
			Old:     "err := fill(f, data); err != nil {\n\t\treturn discard(fsys, temp, err)\n\t}\n\tif err := fsys.Rename(temp, name); err != nil {",
			New:     "err := fsys.Rename(temp, name); err != nil {\n\t\treturn discard(fsys, temp, err)\n\t}\n\tif err := fill(f, data); err != nil {",
			TestRun: file, Invariant: "S2|S3",
		},
		{
			Name: "written in place", File: "file.go",
			Old:     "f, temp, err := createTemp(fsys, name)",
			New:     "temp := name\n\tf, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE)",
			TestRun: file, Invariant: "S2|S3",
		},
		{
			Name: "fixed temporary name", File: "file.go",
			Old: "strconv.Itoa(i)", New: "strconv.Itoa(0*i)",
			TestRun: file, Invariant: "S5",
		},
		{
			Name: "temporary file taken over", File: "file.go",
			Old: "os.O_RDWR|os.O_CREATE|os.O_EXCL", New: "os.O_RDWR|os.O_CREATE",
			TestRun: file, Invariant: "S2|S3",
		},
		{
			Name: "new directory not synced", File: "file.go",
			Old: "return fsys.SyncDir(parent)", New: "return nil",
			TestRun: file, Invariant: "S3",
		},
		{
			Name: "pending file not synced", File: "pending.go",
			Old: "err = p.f.Sync()", New: "err = nil",
			TestRun: pending, Invariant: "S2|S3",
		},
		{
			Name: "pending file: directory not synced", File: "pending.go",
			Old: "return p.fsys.SyncDir(path.Dir(p.name))", New: "_ = path.Dir\n\treturn nil",
			TestRun: pending, Invariant: "S3",
		},
		{
			Name: "pending file written in place", File: "pending.go",
			Old:     "f, temp, err := createTemp(fsys, name)",
			New:     "temp := name\n\tf, err := fsys.OpenFile(name, 0x42)",
			TestRun: pending, Invariant: "S2|S3",
		},
		{
			Name: "record copy not synced", File: "region.go",
			Old: "err := d.Sync(); err != nil", New: "err := error(nil); err != nil",
			TestRun: record, Invariant: "S3",
		},
		{
			Name: "record writes the newer copy", File: "record.go",
			Old: "older := 1 - s.index", New: "older := s.index",
			TestRun: record, Invariant: "S2|S3",
		},
		{
			Name: "checksum not verified", File: "frame.go",
			Old: "!bytes.Equal(want, b[16:headerSize])", New: "len(want) > 16",
			TestRun: record, Invariant: "S2",
		},
		{
			Name: "failed store left in the cache", File: "record.go",
			Old: "undone := r.copies[i].write(undo)", New: "undone := error(nil)",
			TestRun: record, Invariant: "S2|S3|S5",
		},
		{
			Name: "record opened without a sync", File: "record.go",
			Old: "err = c.sync()", New: "_ = c",
			TestRun: record, Invariant: "S2|S3|S5",
		},
		{
			Name: "first copy stored before the record is formatted", File: "record.go",
			Old: "if s.blank {", New: "if false {",
			TestRun: device, Invariant: "S5",
		},
		{
			Name: "log record acknowledged before it is synced", File: "log.go",
			Old:     "err := writeSync(l.file, b, l.tail.off); err != nil",
			New:     "_, err := l.file.WriteAt(b, l.tail.off); err != nil",
			TestRun: log, Invariant: "S3|S5",
		},
		{
			Name: "failed append left in the cache", File: "log.go",
			Old: "cut := l.cut()", New: "cut := error(nil)",
			TestRun: log, Invariant: "S2|S3|S5",
		},
		{
			Name: "log opened without a sync of its entry", File: "log.go",
			Old: "err := l.fsys.SyncDir(path.Dir(l.name)); err != nil", New: "err := error(nil); path.Dir(l.name) == `` && err != nil",
			TestRun: log, Invariant: "S3",
		},
		{
			Name: "stale frames of an older generation believed", File: "logformat.go",
			Old: "return p.generation<<32 | uint64(p.off)", New: "return uint64(p.off)",
			TestRun: compact, Invariant: "S2",
		},
	} {
		t.Run(m.Name, func(t *testing.T) {
			m.File = "internal/durable/" + m.File
			m.Package = "./internal/durable"
			mutant.Run(t, m)
		})
	}
}
