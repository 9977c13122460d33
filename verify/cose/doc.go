// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package cose makes and checks the COSE_Sign1 blocks (RFC 9052, section 4.2) of a SUIT
// authentication wrapper: tagged, detached, one signer.
//
//	COSE_Sign1_Tagged = #6.18([
//	    protected   : bstr .cbor { 1: alg, ? 4: kid, * label => value },
//	    unprotected : { ? 4: kid, * label => value },
//	    payload     : nil,            ; detached: the caller brings it
//	    signature   : bstr
//	])
//
// What is signed is the Sig_structure ["Signature1", protected, h”, payload] of RFC
// 9052, section 4.4, with an empty external_aad, as draft-ietf-suit-manifest-37 has it.
//
// # Rules beyond RFC 9052
//
// The algorithm comes from the key record; the header only has to agree with it. alg
// stands in the protected header, as an integer, and nowhere else: a block with alg also
// in the unprotected header is refused even if both agree. The kid may stand in either
// header, not in both with different values, and only selects among keys already trusted;
// x5chain, x5u and the like are ignored, nothing is ever fetched. A critical header
// (label 2) that this package does not implement is refused, and it implements none. An attached
// payload is refused, so that there is one place to take the payload from.
//
// Limits: MaxBlockSize bytes per block, verify.MaxKIDSize bytes of kid, and at most
// verify.MaxCandidates signature checks for a block without kid.
//
// ECDSA signatures are malleable: (r, n-s) verifies wherever (r, s) does. Never use
// the bytes of a block as an identity, a cache key or for replay detection.
package cose
