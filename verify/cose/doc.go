// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package cose makes and checks what a SUIT envelope uses of COSE (RFC 9052, RFC 9053, RFC 9459, RFC
// 9864): the authentication blocks of its wrapper, and the encryption info of its payloads.
//
// # Authentication blocks
//
// All are tagged and detached: payload is nil, and the caller brings the encoded SUIT_Digest.
//
//	COSE_Sign1_Tagged = #6.18([protected, unprotected, nil, signature : bstr])
//	COSE_Sign_Tagged  = #6.98([protected, unprotected, nil, [+ [protected, unprotected, signature : bstr]]])
//	COSE_Mac0_Tagged  = #6.17([protected, unprotected, nil, tag : bstr])
//	COSE_Mac_Tagged   = #6.97([protected, unprotected, nil, tag : bstr, [+ COSE_recipient]])
//
//	protected   = bstr .cbor { 1: alg, ? 4: kid, * label => value }
//	unprotected = { ? 4: kid, * label => value }
//
// What is signed is the Sig_structure of RFC 9052, section 4.4, or the MAC_structure of section 6.3, with an
// empty external_aad, as draft-ietf-suit-manifest-37 has it. Algorithms: ES256, ESP256, Ed25519 (and
// EdDSA with Ed25519 keys, to verify only), ML-DSA-65, and HMAC 256/256. ML-DSA-65 is in no
// SUIT profile; it is for an additional block, which a policy demands by key group.
//
// [Verify] takes all four kinds. A MAC counts as evidence under the name of its secret (see
// [verify.Secret]); a MAC under a key that others than its author have proves
// nothing and is refused: [VerifyMac] tells which those are.
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
// Nothing in a message is tagged, a floating-point number or nested deeper than 8 levels, not even
// in a header that nobody reads, and no header has more than 64 labels.
//
// ECDSA signatures are malleable: (r, n-s) verifies wherever (r, s) does. Never use
// the bytes of a block as an identity, a cache key or for replay detection.
//
// # Encryption info
//
// draft-ietf-suit-firmware-encryption-25, sections 6 and 7; the ciphertext is the payload itself, elsewhere:
//
//	SUIT_Encryption_Info = #6.96([protected, unprotected, nil, [+ COSE_recipient]])
//	COSE_recipient       = [protected, unprotected, bstr]
//
//	content                    protected      unprotected       ciphertext
//	A128GCM, A256GCM           {1: alg}       {5: 12 bytes}     content, then 16 bytes of tag
//	ChaCha20/Poly1305          {1: alg}       {5: 12 bytes}     content, then 16 bytes of tag
//	A128CTR, A256CTR           h''            {1: alg, 5: 16}   content
//
//	recipient                  protected      unprotected
//	A128KW, A256KW             h''            {1: alg, ? 4: kid}
//	ECDH-ES + A128KW (P-256)   {1: alg}       {? 4: kid, -1: COSE_Key, ? -20: salt}
//	direct                     h''            {1: -6, ? 4: kid}
//
// The rule that alg must be protected is for authentication: AES key wrap and AES-CTR protect no header and
// demand that there is none. The key derivation of ECDH-ES binds the recipient's protected header
// byte for byte as it came, and "SUIT Payload Encryption". Nothing here authenticates the sender: that is what
// the manifest around it is for.
//
// A payload is decrypted and encrypted while it comes ([Decrypter], [Encrypter]), with 32 KiB in memory whatever its
// size and algorithm. So plaintext leaves before the tag has been seen; [Decrypter] says what
// that asks of the receiver, and [RecipientKeys.Decryption] does the same to readers, for package
// manifest/processor. [Decrypt] holds a whole payload, and gives out nothing that is
// not authenticated if the algorithm can tell.
//
// A program that only calls [Verify] links none of this: no cipher, no key wrap, no key agreement.
//
// # Limits
//
// MaxBlockSize bytes per block (MaxSignSize for COSE_Sign, MaxEncryptionInfoSize for encryption info), MaxSigners,
// MaxRecipients, verify.MaxKIDSize bytes of kid; verify.MaxCandidates checks for a
// block, four times that for a COSE_Sign, verify.MaxCandidates attempts to get at a content key.
package cose
