// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"strconv"

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

// ComponentText is what the manifest says about one component. The specification has it be one of the manifest's own,
// and package author writes no other; one that is not is read all the same, since no device acts on a text.
type ComponentText struct {
	ID   ComponentID
	Text map[ComponentTextKey]string
}

// String returns the specification's name without its "suit-text-" prefix, "text(9)" for a number that has none.
func (k TextKey) String() string { return textName(manifestTexts[:], int64(k)) }

// String returns the specification's name without its "suit-text-" prefix, "text(9)" for a number that has none.
func (k ComponentTextKey) String() string { return textName(componentTexts[:], int64(k)) }

var (
	manifestTexts = [...]string{TextManifestDescription: "manifest-description", TextUpdateDescription: "update-description",
		TextManifestJSONSource: "manifest-json-source", TextManifestYAMLSource: "manifest-yaml-source"}
	componentTexts = [...]string{TextVendorName: "vendor-name", TextModelName: "model-name", TextVendorDomain: "vendor-domain",
		TextModelInfo: "model-info", TextComponentDescription: "component-description", TextComponentVersion: "component-version",
		TextVersionRequired: "version-required", TextCurrentVersion: "current-version"}
)

func textName(names []string, key int64) string {
	if 0 < key && key < int64(len(names)) {
		return names[key]
	}
	return "text(" + strconv.FormatInt(key, 10) + ")"
}
