// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package simfs is the storage that Firmament stands on: the interfaces [FS],
// [File] and [Device], their form on the operating system ([OpenDir],
// [OpenDevice]), and [Sim], a machine in memory that loses power. [Explore] cuts
// the power of a workload everywhere and lets it recover.
//
// # Device model
//
// What is promised here is what the code above may rely on, and no more.
//
// An operation has its effect for every process at once, and on the medium at
// some time between its start and the end of the barrier that covers it. What
// no barrier covered when power failed is pending, the operation under way
// included, and each pending operation may have reached the medium or not.
//
//   - [File] Sync covers the data and the size of that file, whoever wrote it.
//     It covers no name: a file that was synced and whose directory was not may
//     be gone.
//   - [FS] SyncDir covers the entries of that directory: creations, removals,
//     and renames from and to it. It covers no data, and not the directory's own
//     entry in its parent.
//   - [Device] Sync covers the whole device.
//
// Between barriers there is no order. A rename may reach the medium before the
// creation it follows and before the data of the file it names; data may reach
// it without a name. A rename is atomic: its two entries change together, and
// the name that it replaces always stands for the old file or the new one. An
// entry does not go back to what it was before a change that a barrier covered.
//
// A write is not atomic. Its sectors of 512 bytes, or its units of 64 bytes,
// aligned to the file or device, reach the medium each for itself, in any
// order. Writes of up to 4 KiB are also torn at single bytes. Bytes that were
// not being written keep what they were. A file's size may reach the medium
// before the data: it then reads as zeros, or as what the blocks held before,
// which is the file deleted last, or garbage. Or the size ends where the data
// does.
//
// [Options].FAT names directories that behave as boot partitions with FAT do. A
// rename there is not atomic: both names may stand for the file, or neither, or
// the file it replaced may be gone and the old name still be there. And a torn
// write damages the whole 4 KiB around the tear, bytes that were not being
// written included. So two copies of a thing must not share 4 KiB.
//
// The [Adversarial] profile is all this. [Ordered] is what a journal with
// ordered data gives: only a tail of the pending operations is lost, the last
// of the others may be torn. All that Ordered allows Adversarial allows too.
//
// # Errors
//
// An operation that fails has no effect, except that a write that meets a full
// medium leaves its first half. A Sync that fails loses what it should have
// covered for the medium, while processes go on seeing it, and no later Sync
// brings it back: that is what Linux does. After a SyncDir that failed the
// entries are still pending. A process that is killed leaves everything it
// wrote visible and pending.
//
// Not modelled: a medium that acknowledges a flush and does not do it; bits that
// rot; wear; the erase blocks of bare NOR and NAND flash.
package simfs
