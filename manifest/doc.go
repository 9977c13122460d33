// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package manifest reads, verifies and writes SUIT envelopes: the author's
// statement of which bytes belong on which devices and how they get there.
//
// It implements draft-ietf-suit-manifest-37, draft-ietf-suit-trust-domains-12 (dependencies),
// draft-ietf-suit-update-management-14 and the parameter of
// draft-ietf-suit-firmware-encryption-25. Open is the way in: it returns a
// *Verified, the only type that package manifest/processor runs, and only for
// an envelope whose signatures a policy accepts. Inspect reads without
// verifying and returns an *Unverified. Package manifest/author writes.
//
// # Who signs what
//
// The firmware's author signs the digest of the manifest. The manifest has the
// identifiers of the devices it is for, the digests and sizes of the images, and the
// commands that install them. Everybody else only carries envelopes: a server
// can withhold one, but not make or change one. Devices are provisioned with
// the author's public keys and with a policy that says which of them, and how many,
// must have signed.
//
// # Format
//
//	SUIT_Envelope_Tagged = #6.107({
//	    2 => bstr .cbor [ bstr .cbor SUIT_Digest, * bstr .cbor SUIT_Authentication_Block ],
//	    3 => bstr .cbor SUIT_Manifest,
//	    * ( 14 / 15 / 16 / 20 / 23 => bstr ),       ; severable members, as in the manifest
//	    * tstr => bstr,                             ; integrated payloads and dependencies, by URI
//	})
//	SUIT_Authentication_Block = COSE_Sign1_Tagged / COSE_Sign_Tagged / COSE_Mac0_Tagged / COSE_Mac_Tagged
//	SUIT_Digest = [ -16 / -43 / -44, bstr ]         ; SHA-256, SHA-384, SHA-512
//	SUIT_Manifest = {
//	    1 => 1,                                     ; version
//	    2 => uint,                                  ; sequence number
//	    3 => bstr .cbor {
//	        ? 1 => { + uint => { ? 1 => [ + bstr ] } },   ; dependencies, by index, with prefix
//	        ? 2 => [ + [ + bstr ] ],                ; components
//	        ? 4 => bstr .cbor SUIT_Command_Sequence }, ; shared
//	    ? 4 => tstr,                                ; reference URI
//	    ? 5 => [ + bstr ],                          ; manifest component identifier
//	    ? 6 => bstr .cbor [ + int ],                ; version of the set
//	    ? 7 => bstr .cbor SUIT_Command_Sequence,    ; validate; likewise 8 load, 9 invoke, 24 uninstall,
//	                                                ; 18 candidate-verification
//	    ? 14 => SUIT_Digest / bstr .cbor concise-swid-tag, ; RFC 9393
//	    ? 16 => SUIT_Digest / bstr .cbor SUIT_Command_Sequence, ; payload-fetch; likewise
//	                                                ; 15 dependency-resolution, 20 install
//	    ? 23 => SUIT_Digest / bstr .cbor { + tstr => SUIT_Text_LMap },
//	}
//	SUIT_Command_Sequence = [ + ( command : int, argument : any ) ]
//
// Digests of the manifest and of severable members are over the byte string
// with its head. Signatures are over the content of the first byte string of the
// authentication wrapper, as detached COSE payload. So, in example 0 of the
// specification:
//
//	d8 6b a2               tag 107, two members
//	02 58 73 82            authentication wrapper, two items:
//	   58 24 82 2f 58 20 6658…e5af    SHA-256 of 58 71 a5…02; signed are the 36 bytes from 82
//	   58 4a d2 84 43 a1 01 26 a0 f6 58 40 408d…49da    COSE_Sign1, ES256
//	03 58 71 a5            manifest, five members: 01 01, 02 00, 03 …, 07 …, 09 …
//
// # What is refused
//
// There is one encoding of each value, the deterministic one of RFC 8949,
// section 4.2.1, also inside the byte strings that wrap CBOR; COSE headers, which
// package verify/cose reads, need not be sorted. Encoding what was read gives the same bytes.
// Encryption info is by another specification: its
// maps need no order, but repeat no key. CoSWID is any well-formed map or tag, likewise. An authentication block is a well-formed item with one
// of the four tags. A member, command or parameter that is not in this
// package's tables makes the whole manifest ErrUnsupported before anything is run; custom ones,
// MaxCustom and below, must be in Options.Registry. Untagged envelopes and envelopes of older
// drafts are refused. Each relaxation of these rules has a name: see Compat. The limits are the
// Max constants.
//
// Beyond the grammar: a shared sequence has conditions and directives 12, 15, 19, 20 and 32
// only; with several components or dependencies every section begins with 12; a component
// index exists and a list of them repeats none; no two components are equal and none is without
// parts; a dependency is a component or has a prefix; process-dependency comes after
// dependency-integrity in its procedure; soft-failure is set inside of try-each and run-sequence
// only; URIs are printable ASCII; texts have no control characters; a severable member is in the
// envelope only if the manifest has its digest; an integrated payload has one of the digests
// that the manifest gives the component that it is named for, unless that may be another's or
// the plaintext's.
package manifest
