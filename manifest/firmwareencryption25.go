// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

// The code points of draft-ietf-suit-firmware-encryption-25.

// The parameter of firmware encryption.
const ParameterEncryptionInfo ParameterKey = 19 // suit-parameter-encryption-info

var encryptionParameters = [...]string{ParameterEncryptionInfo: "encryption-info"}

// encryptedTag is how a SUIT_Encryption_Info begins: tag 96, COSE_Encrypt.
const encryptedTag = "\xd8\x60"
