// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package fetch downloads a signed payload over connections that break, and hands on verified bytes only.
//
// A [Resource] is what the signed manifest says about a payload: where it may be found, its size, its digest and,
// usually, the root of its chunk digests. [Fetcher.Fetch] reads it from a [Source] into a [Sink]. The source
// is never trusted: it may stall, lie about ranges and sizes, change its mind between two requests, or serve an
// attacker's bytes. The sink sees whole chunks, in order, each after its digest held; the first bad chunk and
// everything after it never reach it. While the sink writes one chunk, the next is received and hashed. A sink that takes
// chunks in any order, a [Scatterer], can have several ranges fetched at a time.
//
// # Parties
//
// The author signs the root of the chunk digests (package fetch/chunk builds them and specifies the format) inside
// the manifest. The server stores payload and page file and signs nothing; TLS is privacy, not trust. This package
// holds no keys: what it is given in Resource must come out of a verified manifest.
//
// # Without chunk digests
//
// A Resource without Chunks can only be judged when its last byte is there. It is fetched only into a sink that
// says, with [Stager], that nothing reads it before it is finished: an inactive raw slot or a staging file.
//
// # Breaking and resuming
//
// Within one call a broken connection is taken up where it broke, in the middle of a chunk if need be. Across
// restarts a checkpoint names the verified offset; it is written after the sink was synced, so after a power cut at
// any point it names bytes that are on the medium. A cut costs at most one chunk per range in flight and one checkpoint
// interval a second time. The checkpoint is an optimisation: a damaged, missing or foreign one means beginning at
// zero, and a forged one is found by whoever reads the medium back against Resource.Digest (install.Writer.Finish). A sink that is a [Holder]
// needs none: what it holds is compared with the chunk digests, so that a bad byte of it costs a chunk.
//
// A resumed request carries If-Range whenever the server ever gave a strong validator. A server that answers
// with the whole file instead (200) is read from its first byte again, and what is already verified is dropped, never
// appended. With chunk digests two versions of a file cannot be spliced, whatever the validators say; without
// them a resource whose validator changed, or never was, begins again at zero.
//
// # Bounds
//
// Every request has a deadline for its answer, an idle timeout and a minimum rate over a window. Failures are
// retried with exponential back-off and jitter; the budget of consecutive failures is filled up again by progress
// only, and not by that of a connection slower than the minimum rate, however it ended (Options.MinRate says
// what a line that flaps is spared). What is fetched and thrown away is bounded
// whatever the progress, by one payload for each retry. What trying again will not change is told at once (ErrTLS, ErrLimit, ErrRefused), and what may have been an
// accident the third time (ErrAnswer, a whole file of another size). A chunk or page with a wrong digest is asked for three times in all.
//
// Memory is at most eight chunks and 2 MiB (one chunk, if chunks exceed 1 MiB), and one page per level of the page tree (at most
// eight) for each range in flight, whatever the payload's size; of a server that does not serve ranges 256 KiB of pages, too.
// Options.MaxRate, MaxBytes and Schedule keep a call below what the connection may cost, and out of the hours when it must not be
// used; a sink that is a [Reserver] is asked for room before the first request. A deadline for the whole is the context's: what was
// verified by then is kept.
//
// # Several places, and less to fetch
//
// Sources compose: [Mirrors] is a Source over several places, of which one that served wrong bytes is asked last; [Meter] counts and limits what comes over the network; package
// fetch/chunk has one that takes from images at hand what they have; package fetch/delta makes the image out of the old one;
// package fetch/plan chooses the cheapest of these and falls back. Whatever they bring goes through the same verification, checkpoint and bounds.
package fetch
