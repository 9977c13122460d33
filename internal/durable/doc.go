// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package durable holds the only three ways in which Firmament writes anything
// that must survive a power cut. All of them work on [simfs.FS] or
// [simfs.Device], and hold under the device model that package simfs states.
//
//   - An atomic file ([WriteFile], [ReadFile]): wholly old or wholly new. It
//     relies on an atomic rename, so it is not for FAT boot partitions.
//   - A dual record ([Record]): two copies, written in turn and in place, each
//     with a sequence number and a checksum. It needs no rename after it was
//     created, so it is for boot records, counters, and whatever lies on a raw
//     device or a FAT partition.
//   - An append-only log ([Log]): framed records; a torn tail is dropped, and
//     only a tail.
//
// A call that returned nil is durable: no later power cut undoes it. A call
// that returned an error leaves the old state or, where the medium failed after
// taking the data, the new one, and never anything between.
//
// # After a failed sync
//
// When fsync fails, Linux reports it once, forgets the dirty pages, and goes on
// serving them from its cache: the file reads as new, the medium holds the old
// bytes, and the next fsync says that all is well. So no handle here is used
// again after an error ([ErrPoisoned]); an atomic file starts from a new file;
// and Record and Log overwrite or cut away what they had just written, so that
// whoever opens them next does not build on bytes that exist in a cache only.
// Opening a Record or a Log also syncs it before anything in it is believed: a
// process that was killed may have left it written and not yet durable.
//
// # Checksums
//
// Frames carry SHA-256 truncated to 128 bits over everything else in the frame
// and over where it lies. It is there for damage, not for attackers, who can
// compute it as well. A CRC would be shorter; but files that grew before their
// data arrived hold zeros or bytes of other files, a fleet makes billions of
// such reads, and 2^-32 is not small enough there, 2^-128 is.
package durable
