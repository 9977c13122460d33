// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package report makes and reads SUIT reports (draft-ietf-suit-report-20): what a Manifest
// Processor has decided, as waypoints that tell everything to who also has the
// manifest, and little to who has not.
//
// A Recorder collects the events of one processor.Run; a Sealer signs the Report with the device's
// key, or puts a MAC around it, and encrypts it if the receiver shares a content key; Open verifies, decrypts and reads it; and
// Reconstruct walks the manifest along the records and tells
// what the device did. ReconstructWith also tells what the dependencies did.
//
// # Where the draft leaves a choice
//
//   - A command is recorded as its reporting policy says, and the one that ended the run always,
//     in the result. A custom command has no policy: its failure is recorded.
//   - The draft has no section number for the shared sequence. Its records have 4, its key in
//     suit-common; which section it preceded follows from the order of the records.
//   - The draft does not specify offsets of nested commands. A record of one has the offset of its
//     outermost command in the section, and an extension: an array that continues the path, see
//     processor.Step. A command at the top has no such array.
//   - A record of a success has, after that array, true. Without that, a record
//     under a policy that asks for both could mean either.
//   - The draft has no word for a run that is refused before it has done anything, or that ends elsewhere than at the command that is to
//     blame. The result's record then has, after that array, false: see Result.Foreseen.
//   - Reasons that are not in the draft's table are refused, as all members are that are not in it.
package report
