// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package tuf verifies metadata of The Update Framework (TUF 1.0.34, JSON as in POUF-1): root, timestamp, snapshot,
// targets and the roles that targets delegates to. It is rules on bytes; tuf/client adds the network, the cache and the clock.
//
// # Parties
//
// A repository publishes four roles. Root, offline, lists the keys and thresholds of all roles and rotates them: each
// root is signed by its predecessor's threshold and its own. Targets, offline, lists the files and their digests.
// Snapshot says which targets metadata belongs together. Timestamp, online and short-lived, says which snapshot is
// current. The device begins with one root that it was given, and trusts no server:
//
//	root N ──signs──► root N+1 ──keys──► timestamp ──lists──► snapshot ──lists──► targets ──lists──► files
//
// # How bytes become trusted
//
// A file is bounded by its reader, turned into canonical form once, and refused if it has two readings (Canonical).
// The signatures are verified over that canonical form, and what the metadata says is then read from those same
// bytes: there is no second parser that could see something else, and nothing of a file is used before its
// signatures hold. Signers are counted by public key, never by key id. Keys of unknown type are ignored, so a root
// may list one beside the keys that count.
//
// Targets metadata may be larger than a device's memory. It is read from an io.ReaderAt in blocks, once: for the grammar, the canonical form, the
// digests and what it says. Its header and delegations are interpreted once the signatures hold; its entries are checked on the way, but neither
// they nor what is wrong with them comes out before. What stays in memory is the header, the delegations, a digest per block and where some
// entries begin; a look-up reads a block or two and compares them with their digests. Files
// of up to 8 MiB may have their members in any order; in a larger one the target paths must be sorted, as canonical form has them.
// All of that can be put away as an index (Targets.Index), which a device that can authenticate it uses instead of verifying again.
//
// Set holds the trusted metadata and applies the client workflow of section 5. Its errors name the attack: ErrRollback, ErrFreeze,
// ErrMixAndMatch, ErrThreshold (arbitrary software), ErrLength (endless data).
//
// A Policy is what the device itself demands beside the thresholds, such as a signature in each of two schemes, so that hybrid signatures
// stay hybrid whatever a root says.
//
// # Delegations
//
// Targets metadata may trust another role with some target paths: by patterns, by prefixes of the path's SHA-256, or all at once with bins of
// equal size (succinct_roles, TAP 15). Targets.Search walks them depth first; Set.OpenDelegated verifies each role's
// metadata as the delegation that led to it demands, every time, because two delegators may trust one role with different keys. What a
// delegator does not match is not looked at below it, so a role speaks for no path that one of those above it does not have.
//
// Limits: nesting MaxDepth, integers of 64 bits, time as YYYY-MM-DDTHH:MM:SSZ, keys Ed25519, ECDSA P-256 and P-384, RSA-PSS of 2048 to
// 8192 bits and ML-DSA-65, digests SHA-256, SHA-384 and SHA-512, SearchLimits for delegations.
package tuf
