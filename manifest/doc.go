// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package manifest reads, verifies and writes SUIT envelopes: the author's
// statement of which bytes belong on which devices and how they get there.
//
// It implements draft-ietf-suit-manifest-37. Open is the way in: it returns a
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
//	    2 => bstr .cbor [ bstr .cbor SUIT_Digest, * bstr .cbor COSE_Sign1_Tagged ],
//	    3 => bstr .cbor SUIT_Manifest,
//	    ? 16 => bstr .cbor SUIT_Command_Sequence,   ; payload-fetch, if it is severable
//	    ? 20 => bstr .cbor SUIT_Command_Sequence,   ; install, if it is severable
//	    ? 23 => bstr .cbor SUIT_Text_Map,           ; text, if it is severable
//	    * tstr => bstr,                             ; integrated payloads, by URI
//	})
//	SUIT_Digest = [ -16 / -43 / -44, bstr ]         ; SHA-256, SHA-384, SHA-512
//	SUIT_Manifest = {
//	    1 => 1,                                     ; version
//	    2 => uint,                                  ; sequence number
//	    3 => bstr .cbor { 2 => [ + [ + bstr ] ],    ; components
//	                      ? 4 => bstr .cbor SUIT_Command_Sequence }, ; shared
//	    ? 4 => tstr,                                ; reference URI
//	    ? 7 => bstr .cbor SUIT_Command_Sequence,    ; validate; likewise 8 load, 9 invoke
//	    ? 16 => SUIT_Digest / bstr .cbor SUIT_Command_Sequence, ; likewise 20 install
//	    ? 23 => SUIT_Digest / bstr .cbor SUIT_Text_Map,
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
// A member, command or parameter that is not in this package's tables makes
// the whole manifest ErrUnsupported before anything is run. Untagged envelopes and
// envelopes of older drafts are refused. The limits are the Max constants.
//
// Beyond the grammar: a shared sequence has conditions and directives 12, 15, 20 and 32
// only; with several components every section begins with 12; a component index exists
// and a list of them repeats none; no two components are equal and none is without parts;
// soft-failure is set inside of try-each and run-sequence only; URIs are printable ASCII;
// a severable member is in the envelope only if the manifest has its digest.
//
// Not here: dependencies, updates of several trust domains, encryption, copy, write, swap
// and check-content, MAC and multi-signer COSE structures.
package manifest
