// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"github.com/firmament-dev/firmament/verify"
)

// SeverableText is suit-text; Texts and Digest are as Sequence and Digest in
// SeverableSequence. A text is data for people: whoever shows one escapes it.
//
// draft-ietf-suit-manifest-37, section 8.4.4.
type SeverableText struct {
	Texts  []Text // one per language, in the order of their encoding; Encode sorts them
	Digest *verify.Digest
}

// Severed reports whether the text exists but is not here.
func (t SeverableText) Severed() bool { return t.Texts == nil && t.Digest != nil }

// Text is what the manifest says in one language.
type Text struct {
	Language   string // RFC 5646 tag in the form of CBOR tag 38, such as "en" or "de-AT"
	Manifest   map[TextKey]string
	Components []ComponentText // no two with one ID
}

// ComponentText is what the manifest says about one component, which need not be one of
// its own.
type ComponentText struct {
	ID   ComponentID
	Text map[ComponentTextKey]string
}
