// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

// Limits of what this package reads and writes. Exceeding one is ErrLimit.
const (
	// MaxEnvelopeSize bounds an envelope with everything in it, in bytes, unless Options.MaxSize raises it, to MaxMaxSize at most.
	MaxEnvelopeSize = 1 << 20
	MaxMaxSize      = 64 << 20

	// MaxAuthentications bounds the authentication blocks of one envelope, and
	// with them the signature verifications that one Open can cost.
	MaxAuthentications = 16

	// MaxPayloads bounds the integrated payloads of one envelope.
	MaxPayloads = 64

	// MaxComponents bounds the components of one manifest.
	MaxComponents = 64

	// MaxDependencies bounds the dependencies of one manifest, MaxIndex their
	// indices.
	MaxDependencies = 32
	MaxIndex        = 1<<31 - 1

	// MaxComponentParts and MaxComponentPartLength bound a component identifier.
	MaxComponentParts      = 16
	MaxComponentPartLength = 255

	// MaxURILength bounds every URI, in bytes.
	MaxURILength = 2048

	// MaxCommands bounds the commands of one manifest, nested ones included.
	MaxCommands = 4096

	// MaxAlternatives bounds the sequences of one try-each.
	MaxAlternatives = 64

	// MaxArguments bounds invoke and fetch arguments, in bytes.
	MaxArguments = 16 << 10

	// MaxText bounds one text about a manifest or component, in bytes, and
	// MaxTexts their number.
	MaxText  = 64 << 10
	MaxTexts = 1024

	// MaxVersionParts bounds the numbers of a version.
	MaxVersionParts = 16

	// MaxActors bounds the actors in each list of a component's metadata, and
	// MaxActorLength the name of one, in bytes.
	MaxActors      = 64
	MaxActorLength = 255

	// MaxEncryptionInfo bounds suit-parameter-encryption-info, in bytes: enough for
	// cose.MaxRecipients.
	MaxEncryptionInfo = 256 << 10

	// MaxDepth bounds the nesting of arrays, maps and tags, counted through the
	// byte strings that wrap CBOR in SUIT.
	MaxDepth = 16

	// maxItems bounds the data items of one envelope, over all layers. Every
	// limit above can be reached within it.
	maxItems = 64 << 10
)
