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
//	fetch/plan            the cheapest way to a payload: a delta, chunks at hand, packed, or all of it
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
// the envelope, verifies it, and runs its commands: the image comes as a delta, out of chunks that the device has, packed, or whole, as a [Planner] finds
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
// # What an agent does
//
// One [Updater] at a time, made by [New] with what the device was given: the authors' keys and policy, its identifiers, an installer, a counter, and a
// directory that survives power cuts. First thing after every boot [Updater.Resume] finishes what was cut short, and says where the device stands:
//
//	Ready, Updated        nothing is under way                       Check, and Apply what it offers
//	Writing, Candidate    an Apply was cut short                     the same: Apply goes on where it was
//	Staged                the next boot tries the new image          reboot when it suits; Check may still find a newer one
//	Trial                 the new image runs, unconfirmed            find out whether it works, then Accept or Reject
//	Rejected, Failed      the confirmed image runs, or boots next    reboot if Status.Reboot, else Check
//
// Whether it works is for the product to say: a program that asks its main service, a line on the console, contact with the server. Until
// [Updater.Accept] has returned, each reboot uses up one of the boot loader's tries, after which it goes back by itself; so does whatever hangs, if a watchdog
// resets it. Check again every few hours, at a random moment, so that a fleet does not ask in step.
//
// # Errors
//
// Branch with errors.Is; the text is for people. What passes is to be tried again later, with the same Offer or after another Check: fetch.ErrTransport and
// fetch.ErrStalled (of a TUF client, tuf.ErrTransport and tuf.ErrSlowRetrieval), fetch.ErrBudget, install.ErrBusy, what a disk says. What was
// verified is kept. What was refused stays refused until something else is published: the sentinels of manifest, verify and tuf, fetch.ErrDigest, fetch.ErrSize, install.ErrBounds, [ErrGivenUp].
// Tell the server's people. [ErrNoUpdate] is the answer on most days. [ErrJournal], install.ErrVerifyAfterWrite and verify.ErrCounter are trouble of the device itself. The journal is
// never thrown away by this package: what it knows of releases that failed, and reports that wait, is for its owner to give up.
//
// # Storage and memory
//
// Options.Storage holds the journal, of at most 1 MiB and usually a few kilobytes, the two copies of the fetch checkpoint, and a lock; a
// verify.NewCounter and a boot record may lie beside them, under names of their own. An update writes some dozen small records, and a checkpoint for each fetch.Options.CheckpointEvery bytes.
// Memory is that of one download: two chunks, one delta if there is a Planner, a manifest of at most manifest.MaxEnvelopeSize bytes.
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
