// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package verify is the small kernel every other package trusts: digests, public
// keys, key sets, signatures, thresholds, policies, the evidence they judge, and
// counters that only grow.
//
// # Who signs what
//
// A signer is a [Key], and a Key is its public key, nothing else: a key id ([Entry.KID])
// is a name that several keys may carry and that one key may carry twice. Everything
// that counts (thresholds, identity, revocation) counts distinct public keys, never
// names and never signature bytes: for every ECDSA signature (r, s) the pair (r, n-s)
// verifies too, so bytes of a signature identify nothing.
//
// A format package ([github.com/firmament-dev/firmament/verify/cose], tuf) checks each
// signature block against a [KeySet] and reports one [Signature] per block. All
// of them together are the [Evidence], and a [Policy] turns evidence into nil or
// an error. A MAC stands beside signatures: its [Secret] is an entry of the KeySet too,
// counted under a one-way name. Blocks can be stripped by whoever carries the file, so a policy names what
// must be there (a [Threshold] in a named group), never "every block present".
//
// # Nothing is trusted by default
//
// The zero Digest, the zero Key, an empty KeySet, a threshold below one, an AllOf of
// nothing: each is an error. There is no permissive zero value in this package, no
// global state, and no read of a clock.
//
// # Algorithms
//
// SHA-256, SHA-384, SHA-512 (FIPS 180-4); ECDSA on P-256 with SHA-256 (FIPS 186-5, keys
// and signatures in DER or as r||s); Ed25519 (RFC 8032, pure); ML-DSA-65 (FIPS 204, pure, empty context).
// Secrets: HMAC-SHA-256 (RFC 2104) and AES key wrap (RFC 3394). The algorithm of a
// verification always comes from the key, never from the message.
//
// # What is on disk
//
// Only [FileCounter] persists anything; it says what survives a power cut.
package verify
