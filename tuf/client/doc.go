// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package client keeps a device's view of a TUF repository: it refreshes the metadata over a Remote, keeps what it
// verified in a directory, and answers which bytes a target must have.
//
// # Parties
//
// The device is given one root when it is provisioned (Options.Root) and trusts nothing else. The Remote is untrusted: it is a
// web server, a mirror, a directory on a stick. It can delay an update, and no more: whatever it delivers, the next
// refresh against an honest one succeeds.
//
// # Where files are
//
// A Remote is asked for "metadata/timestamp.json", "metadata/2.root.json", "metadata/7.snapshot.json", "metadata/7.targets.json"
// and, for a target fw/stable.suit, "targets/fw/<sha256>.stable.suit". Without consistent snapshots the numbers and the digest
// are absent, except on root. The metadata of a delegated role is asked for under the role's name, in which what does not
// belong in a path element is percent-escaped. A Remote that is Conditional is not asked for a timestamp that has not changed.
//
// # The cache
//
// Options.Storage holds the exact bytes that were verified: timestamp.json, snapshot.json, targets.json, and every root that
// followed the provisioned one as N.root.json; the dual record "state"; and the file "lock". Nothing is written that is not
// verified, with one exception: targets metadata longer than Limits.Memory, from a Remote that is a Streamer, is in a temporary file while
// it is verified, and is read in part when a target is looked up. A file that did not change is not written again. Every file is written atomically and each by itself, so a power
// cut leaves a mixture of old and new files, every one of them verified; they are verified again when they are read:
//
//   - The chain of roots is walked again from the provisioned one, so a restart never trusts an older root. The record
//     names the newest root; if the chain no longer reaches it and the Remote does not offer it, Refresh returns tuf.ErrCache.
//   - Any other file that is missing, damaged, expired or older than the record says is fetched again.
//   - The metadata of delegated roles, as far as it was asked for, is in role-<SHA-256 of the name>.json, at most 256 files. It is verified against
//     the delegator at hand whenever it is read.
//   - With Options.Seal there is beside each file of targets metadata an index of it, NAME.index, under a MAC. With it a start
//     reads of the file what a look-up needs and verifies no signature on it; each block that is read is compared by digest. An index serves
//     only the keys with which the file was verified, and what was altered or does not fit is as good as absent.
//   - The record keeps the version numbers and the keys that were in force, so that a rollback is recognised without the
//     files, and so that the files are forgotten when root revokes a key (fast-forward attack), also if power
//     failed in between. Its first members are the same in every version of this package, so a device that falls back to an older program
//     goes on from what the newer one reached.
//
// Options.Floor, a counter that is kept elsewhere, holds the versions of root and timestamp for the case that the whole cache is lost.
//
// # Several repositories, and none
//
// A Map asks several repositories, of which a threshold must agree on a target (TAP 4). A device without a network has a
// directory or an archive for its Remote (package bundle); Client.Export makes one.
//
// # The clock
//
// Expiry is judged at max(Options.Now, Options.BuildTime, the start of the last complete update). A device without a clock
// is supported: it then recognises a freeze only against those. The stored time rises only with a refresh in which all
// metadata was valid, so a clock that runs ahead can raise it at most to the next expiry, and metadata signed later is accepted.
//
// TUF 1.0.34, section 5.
package client
