// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/firmament-dev/firmament/manifest"
)

// The shapes of a SUIT envelope (draft-ietf-suit-manifest-37, appendix A) and of the COSE objects in it.

var (
	anything = &shape{}
	embedded = &shape{wraps: anything}

	// coseShape fits COSE_Sign1, COSE_Mac0, COSE_Sign, COSE_Mac and COSE_Encrypt: protected header, unprotected
	// header, content, and then a signature or tag, and signers or recipients, which begin in the same way.
	coseShape = &shape{elements: []*shape{embedded, nil, nil}, rest: &shape{rest: &shape{elements: []*shape{embedded}}}}

	envelopeShape = &shape{payload: true, key: envelopeKey}
)

func envelopeKey(k int64) (string, *shape) {
	switch k {
	case 2:
		return "authentication-wrapper", wrapped(&shape{elements: []*shape{embedded}, rest: wrapped(coseShape)})
	case 3:
		return "manifest", wrapped(&shape{key: manifestKey})
	}
	return memberKey(k)
}

func manifestKey(k int64) (string, *shape) {
	switch k {
	case 1:
		return "manifest-version", nil
	case 2:
		return "manifest-sequence-number", nil
	case 3:
		return "common", wrapped(&shape{key: commonKey})
	case 4:
		return "reference-uri", nil
	case 5:
		return "manifest-component-id", nil
	case 6:
		return "set-version", embedded
	}
	return memberKey(k)
}

// memberKey knows what stands in the manifest, or in the envelope if it is severable.
func memberKey(k int64) (string, *shape) {
	switch member := manifest.Section(k); member {
	case manifest.MemberCoSWID:
		return "coswid", embedded
	case manifest.MemberText:
		return "text", embedded
	default:
		return known(member.String()), sequenceShape()
	}
}

func commonKey(k int64) (string, *shape) {
	switch k {
	case 1:
		return "dependencies", nil
	case 2:
		return "components", nil
	}
	return known(manifest.Section(k).String()), sequenceShape()
}

func sequenceShape() *shape { return wrapped(&shape{commands: true}) }

func commandShape(k int64) (string, *shape) {
	code := manifest.Code(k)
	var argument *shape
	switch code {
	case manifest.DirectiveOverrideParameters, manifest.DirectiveSetParameters:
		argument = parametersShape
	case manifest.DirectiveTryEach:
		argument = &shape{rest: sequenceShape()}
	case manifest.DirectiveRunSequence:
		argument = sequenceShape()
	case manifest.DirectiveOverrideMultiple:
		argument = &shape{key: func(int64) (string, *shape) { return "", parametersShape }}
	}
	return known(code.String()), argument
}

var parametersShape = &shape{key: parameterKey}

func parameterKey(k int64) (string, *shape) {
	key := manifest.ParameterKey(k)
	var value *shape
	switch key {
	case manifest.ParameterImageDigest, manifest.ParameterVersion, manifest.ParameterWaitInfo, manifest.ParameterComponentMetadata:
		value = embedded
	case manifest.ParameterEncryptionInfo:
		value = wrapped(coseShape)
	}
	return known(key.String()), value
}

func wrapped(s *shape) *shape { return &shape{wraps: s} }

// known returns "" for the names that custom and unknown numbers get.
func known(name string) string {
	if strings.ContainsRune(name, '(') {
		return ""
	}
	return name
}
