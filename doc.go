// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package firmament updates the firmware of a device so that it ends up running exactly the bytes that an author
// signed, or exactly the bytes that it ran before.
//
// This package holds the [Updater], which takes one device from release to release. It composes the packages below;
// each of them stands alone, too:
//
//	manifest              SUIT envelopes: open (parse and verify), inspect
//	manifest/author       build and sign envelopes
//	manifest/processor    run a manifest's commands on a device
//	manifest/report       what the processor did: record, seal, read
//	tuf                   TUF metadata and the rules for believing it
//	tuf/client            find what a repository offers, against replay, freeze and mix-up
//	tuf/client/bundle     repositories in one file or one directory
//	tuf/repository        publish, by several people and processes; ceremonies, garbage collection
//	tuf/repository/storagetest  contract test for a storage of your own
//	tuf/tuftest           a repository for tests, right or wrong in any way
//	tuf/clienttest        what a TUF client has to answer, as tests for any client
//	verify                digests, keys, key sets, policies, evidence, counters, signers
//	verify/cose           COSE for the SUIT profiles: signatures, MACs, encrypted payloads
//	fetch                 resumable download in which no unverified byte is handed on
//	fetch/chunk           chunk digests: what the author signs so that this is possible; reuse of chunks at hand
//	fetch/delta           patches between two images
//	fetch/plan            the cheapest way to a payload: a delta, chunks at hand, or all of it
//	fetch/packed          payloads in gzip, zstd and xz, unpacked while they are fetched
//	fetch/httpsource      HTTP and HTTPS
//	fetch/filesource      files: a stick, a share
//	fetch/fetchtest       contract test for a source of your own; a web server that lies, stalls and breaks off on command
//	install               states, installers, the durable state machine
//	install/slot          two raw slots and a boot record
//	install/installtest   contract test for an installer of your own, with power cuts
//
// # How a release travels
//
// The author divides the image into chunks, puts the root of their digests into a SUIT manifest, and signs it. The
// envelope becomes a target of a TUF repository; the image lies beside it as a plain file. The device asks a [Finder] for
// the envelope, verifies it, and runs its commands: the image comes as a delta, out of chunks that the device has, or whole, as a [Planner] finds
// cheapest, and each chunk is verified before it reaches the slot that is not running. The slot is read back, armed for a trial boot, and booted. The new image finds itself healthy and
// calls [Updater.Accept]; otherwise [Updater.Reject], or the boot loader, goes back.
//
// TUF answers whether this is the current, agreed state of the repository; SUIT answers whether the firmware's
// author said this, and for whom. Neither trusts the transport, and neither trusts the other. Either can be used alone:
// this package does not import tuf.
//
// # States
//
// Installed, confirmed and reverted are different things, in the words of the PSA Firmware Update API: installed is
// Staged or Trial, confirmed is Updated, reverted is Rejected or Failed.
//
// # What holds
//
//   - No unverified byte reaches an installer.
//   - Power may fail between any two storage operations.
//   - A stolen server can only delay.
//   - Memory does not grow with the image.
//
// README.md lists the tests that show how far each of these goes, and how to run them.
package firmament
