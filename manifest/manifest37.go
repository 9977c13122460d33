// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

// The code points of draft-ietf-suit-manifest-37, in the order of its IANA
// tables, section 11.

// Tags.
const (
	tagEnvelope = 107 // SUIT_Envelope_Tagged
	tagPEN      = 112 // cbor-pen, RFC 9090
)

// Keys of SUIT_Envelope (11.1); key 1 is reserved.
const (
	envelopeAuthentication = 2 // suit-authentication-wrapper
	envelopeManifest       = 3 // suit-manifest
)

// Keys of SUIT_Manifest that are not sections (11.2).
const (
	manifestVersion        = 1  // suit-manifest-version
	manifestSequenceNumber = 2  // suit-manifest-sequence-number
	manifestCommon         = 3  // suit-common
	manifestReferenceURI   = 4  // suit-reference-uri
	manifestText           = 23 // suit-text, severable

	version = 1 // of the manifest format
)

// Keys of SUIT_Common (11.3).
const (
	commonComponents = 2 // suit-components
	commonShared     = int64(SectionShared)
)

// The command sequences.
const (
	SectionShared       Section = 4  // suit-shared-sequence, in suit-common
	SectionValidate     Section = 7  // suit-validate
	SectionLoad         Section = 8  // suit-load
	SectionInvoke       Section = 9  // suit-invoke
	SectionPayloadFetch Section = 16 // suit-payload-fetch, severable
	SectionInstall      Section = 20 // suit-install, severable
)

var manifestSections = [...]sectionInfo{
	{SectionShared, "shared-sequence"},
	{SectionValidate, "validate"},
	{SectionLoad, "load"},
	{SectionInvoke, "invoke"},
	{SectionPayloadFetch, "payload-fetch"},
	{SectionInstall, "install"},
}

// The commands (11.4).
const (
	ConditionVendorID           Code = 1  // suit-condition-vendor-identifier
	ConditionClassID            Code = 2  // suit-condition-class-identifier
	ConditionImageMatch         Code = 3  // suit-condition-image-match
	ConditionComponentSlot      Code = 5  // suit-condition-component-slot
	ConditionCheckContent       Code = 6  // suit-condition-check-content
	DirectiveSetComponentIndex  Code = 12 // suit-directive-set-component-index
	ConditionAbort              Code = 14 // suit-condition-abort
	DirectiveTryEach            Code = 15 // suit-directive-try-each
	DirectiveWrite              Code = 18 // suit-directive-write
	DirectiveOverrideParameters Code = 20 // suit-directive-override-parameters
	DirectiveFetch              Code = 21 // suit-directive-fetch
	DirectiveCopy               Code = 22 // suit-directive-copy
	DirectiveInvoke             Code = 23 // suit-directive-invoke
	ConditionDeviceID           Code = 24 // suit-condition-device-identifier
	DirectiveSwap               Code = 31 // suit-directive-swap
	DirectiveRunSequence        Code = 32 // suit-directive-run-sequence
)

var manifestCommands = [...]commandInfo{
	ConditionVendorID:           {name: "condition-vendor-identifier", condition: true},
	ConditionClassID:            {name: "condition-class-identifier", condition: true},
	ConditionImageMatch:         {name: "condition-image-match", condition: true},
	ConditionComponentSlot:      {name: "condition-component-slot", condition: true},
	ConditionCheckContent:       {name: "condition-check-content", condition: true},
	DirectiveSetComponentIndex:  {name: "directive-set-component-index", argument: argIndex, shared: true},
	ConditionAbort:              {name: "condition-abort", condition: true},
	DirectiveTryEach:            {name: "directive-try-each", argument: argTryEach, shared: true},
	DirectiveWrite:              {name: "directive-write"},
	DirectiveOverrideParameters: {name: "directive-override-parameters", argument: argParameters, shared: true},
	DirectiveFetch:              {name: "directive-fetch"},
	DirectiveCopy:               {name: "directive-copy"},
	DirectiveInvoke:             {name: "directive-invoke"},
	ConditionDeviceID:           {name: "condition-device-identifier", condition: true},
	DirectiveSwap:               {name: "directive-swap"},
	DirectiveRunSequence:        {name: "directive-run-sequence", argument: argSequence, shared: true},
}

// The parameters (11.5; fetch-arguments is in the CDDL only).
const (
	ParameterVendorID        ParameterKey = 1  // suit-parameter-vendor-identifier
	ParameterClassID         ParameterKey = 2  // suit-parameter-class-identifier
	ParameterImageDigest     ParameterKey = 3  // suit-parameter-image-digest
	ParameterSlot            ParameterKey = 5  // suit-parameter-component-slot
	ParameterStrictOrder     ParameterKey = 12 // suit-parameter-strict-order
	ParameterSoftFailure     ParameterKey = 13 // suit-parameter-soft-failure
	ParameterImageSize       ParameterKey = 14 // suit-parameter-image-size
	ParameterContent         ParameterKey = 18 // suit-parameter-content
	ParameterURI             ParameterKey = 21 // suit-parameter-uri
	ParameterSourceComponent ParameterKey = 22 // suit-parameter-source-component
	ParameterInvokeArgs      ParameterKey = 23 // suit-parameter-invoke-args
	ParameterDeviceID        ParameterKey = 24 // suit-parameter-device-identifier
	ParameterFetchArguments  ParameterKey = 25 // suit-parameter-fetch-arguments
)

var manifestParameters = [...]string{
	ParameterVendorID:        "vendor-identifier",
	ParameterClassID:         "class-identifier",
	ParameterImageDigest:     "image-digest",
	ParameterSlot:            "component-slot",
	ParameterStrictOrder:     "strict-order",
	ParameterSoftFailure:     "soft-failure",
	ParameterImageSize:       "image-size",
	ParameterContent:         "content",
	ParameterURI:             "uri",
	ParameterSourceComponent: "source-component",
	ParameterInvokeArgs:      "invoke-args",
	ParameterDeviceID:        "device-identifier",
	ParameterFetchArguments:  "fetch-arguments",
}

// TextKey is a key of SUIT_Text_LMap: text about the whole manifest (11.6).
type TextKey int64

// The texts about a manifest.
const (
	TextManifestDescription TextKey = 1 // suit-text-manifest-description
	TextUpdateDescription   TextKey = 2 // suit-text-update-description
	TextManifestJSONSource  TextKey = 3 // suit-text-manifest-json-source
	TextManifestYAMLSource  TextKey = 4 // suit-text-manifest-yaml-source
)

// ComponentTextKey is a key of SUIT_Text_Component_Keys: text about one
// component (11.7).
type ComponentTextKey int64

// The texts about a component.
const (
	TextVendorName           ComponentTextKey = 1 // suit-text-vendor-name
	TextModelName            ComponentTextKey = 2 // suit-text-model-name
	TextVendorDomain         ComponentTextKey = 3 // suit-text-vendor-domain
	TextModelInfo            ComponentTextKey = 4 // suit-text-model-info
	TextComponentDescription ComponentTextKey = 5 // suit-text-component-description
	TextComponentVersion     ComponentTextKey = 6 // suit-text-component-version
)

// ReportingPolicy says what a command adds to the report, as a bit set
// (section 8.4.7).
type ReportingPolicy uint8

// The reporting bits.
const (
	RecordOnSuccess  ReportingPolicy = 1 << 0 // suit-send-record-on-success
	RecordOnFailure  ReportingPolicy = 1 << 1 // suit-send-record-on-failure
	SysinfoOnSuccess ReportingPolicy = 1 << 2 // suit-send-sysinfo-success
	SysinfoOnFailure ReportingPolicy = 1 << 3 // suit-send-sysinfo-failure

	reportingBits = RecordOnSuccess | RecordOnFailure | SysinfoOnSuccess | SysinfoOnFailure
)
