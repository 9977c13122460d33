// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package repository is the publisher: it keeps a TUF repository in a [Storage], such as a directory that any web server can serve. It belongs
// on the author's side; a device needs tuf/client only.
//
// # Layout
//
//	metadata/1.root.json, 2.root.json, …        every root, for ever
//	metadata/timestamp.json                     the one file that is replaced
//	metadata/41.timestamp.json                  what it was before, for garbage collection; clients do not ask for it
//	metadata/7.snapshot.json, 7.targets.json    consistent snapshots: a version is written once
//	targets/fw/<sha256>.stable.suit             target fw/stable.suit
//	payloads/…                                  files that targets refer to, put there by PutPayload
//	staged/…                                    what is being signed; not to be served
//	collecting, lock                            while garbage is collected, while a file is written; not to be served
//	expiries                                    where there are many delegated roles, what is known of when they expire; not to be served
//
// # Order
//
// Publish writes metadata of targets, then target files, then the snapshot, and the timestamp last, each durable before the next is begun. A
// client follows the timestamp, so it sees the old state or the new one, whenever the publisher is cut off. What a cut left behind is
// never referred to: the next run takes the next free version number. Everything is verified with package tuf, as
// a client would, before a byte is written.
//
// # Several publishers
//
// The timestamp is replaced only if it still is the one that the publisher began with. Of two who publish at the same time one wins; the
// other begins anew on what the winner made, so both changes are there afterwards, and no version number is used twice. Nobody holds a lock while
// somebody signs. A publisher whose keys a new root has dropped loses as well: a rotation ends with one more timestamp.
//
// # Delegations
//
// Apply changes any targets role: targets, and delegations to suppliers and teams by path patterns or hash prefixes, or to bins. A delegate whose signers
// are in Options is signed for; any other hands in what it signed (Accept). The snapshot lists delegated roles by version only.
// Publish finds the bin that a target belongs to, and signs that, the snapshot and the timestamp.
//
// # Jobs
//
// Expiries says what expires when; Refresh renews what is due. Collect deletes what no client can need any more. Reach says whether devices that were given an
// old root can follow.
//
// # Offline keys
//
// Stage and StageRoot prepare metadata in staged/, the owners of the keys sign what SigningPayload returns wherever the keys are, Attach takes
// the signatures back, Missing says whose are wanted, and Complete publishes; nothing is visible before. Signatures carry
// no secret, so any channel will do.
//
// RotateRoot writes metadata that satisfies the old root and the new one before it writes the new root, so that no
// client falls between the two; this needs the old keys of the roles that change, and if they are lost the new root comes first.
//
// TUF 1.0.34, section 6.
package repository
