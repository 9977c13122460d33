// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "strconv"

// Section names a command sequence of a manifest by its map key, which is
// also the section key a SUIT report uses.
//
// draft-ietf-suit-manifest-37, section 11.2.
type Section int64

// The command sequences, in the order of the IANA table.
const (
	SectionShared       Section = 4  // suit-shared-sequence, in suit-common
	SectionValidate     Section = 7  // suit-validate
	SectionLoad         Section = 8  // suit-load
	SectionInvoke       Section = 9  // suit-invoke
	SectionPayloadFetch Section = 16 // suit-payload-fetch, severable
	SectionInstall      Section = 20 // suit-install, severable
)

// String returns the specification's name without its "suit-" prefix.
func (s Section) String() string {
	switch s {
	case SectionShared:
		return "shared-sequence"
	case SectionValidate:
		return "validate"
	case SectionLoad:
		return "load"
	case SectionInvoke:
		return "invoke"
	case SectionPayloadFetch:
		return "payload-fetch"
	case SectionInstall:
		return "install"
	}
	return "section(" + strconv.FormatInt(int64(s), 10) + ")"
}

// Code is the code point of a command.
//
// draft-ietf-suit-manifest-37, section 11.4.
type Code int64

// The commands this package accepts, in the order of the IANA table. A
// manifest with any other command is refused with ErrUnsupported when it is
// opened, before anything is executed.
const (
	ConditionVendorID           Code = 1  // suit-condition-vendor-identifier
	ConditionClassID            Code = 2  // suit-condition-class-identifier
	ConditionImageMatch         Code = 3  // suit-condition-image-match
	ConditionComponentSlot      Code = 5  // suit-condition-component-slot
	DirectiveSetComponentIndex  Code = 12 // suit-directive-set-component-index
	ConditionAbort              Code = 14 // suit-condition-abort
	DirectiveTryEach            Code = 15 // suit-directive-try-each
	DirectiveOverrideParameters Code = 20 // suit-directive-override-parameters
	DirectiveFetch              Code = 21 // suit-directive-fetch
	DirectiveInvoke             Code = 23 // suit-directive-invoke
	ConditionDeviceID           Code = 24 // suit-condition-device-identifier
	DirectiveRunSequence        Code = 32 // suit-directive-run-sequence
)

// codeNames has every command this package accepts.
var codeNames = map[Code]string{
	ConditionVendorID:           "condition-vendor-identifier",
	ConditionClassID:            "condition-class-identifier",
	ConditionImageMatch:         "condition-image-match",
	ConditionComponentSlot:      "condition-component-slot",
	DirectiveSetComponentIndex:  "directive-set-component-index",
	ConditionAbort:              "condition-abort",
	DirectiveTryEach:            "directive-try-each",
	DirectiveOverrideParameters: "directive-override-parameters",
	DirectiveFetch:              "directive-fetch",
	DirectiveInvoke:             "directive-invoke",
	ConditionDeviceID:           "condition-device-identifier",
	DirectiveRunSequence:        "directive-run-sequence",
}

// String returns the specification's name without its "suit-" prefix.
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return "command(" + strconv.FormatInt(int64(c), 10) + ")"
}

// IsCondition reports whether c is a condition: it has no side effect, and
// its failure may be softened. The failure of a directive always aborts.
func (c Code) IsCondition() bool {
	switch c {
	case ConditionVendorID, ConditionClassID, ConditionDeviceID,
		ConditionImageMatch, ConditionComponentSlot, ConditionAbort:
		return true
	}
	return false
}

// ReportingPolicy says what a command adds to the report, as a bit set.
//
// draft-ietf-suit-manifest-37, section 8.4.7.
type ReportingPolicy uint8

// The reporting bits.
const (
	RecordOnSuccess  ReportingPolicy = 1 << 0 // suit-send-record-on-success
	RecordOnFailure  ReportingPolicy = 1 << 1 // suit-send-record-on-failure
	SysinfoOnSuccess ReportingPolicy = 1 << 2 // suit-send-sysinfo-success
	SysinfoOnFailure ReportingPolicy = 1 << 3 // suit-send-sysinfo-failure

	reportingBits = RecordOnSuccess | RecordOnFailure | SysinfoOnSuccess | SysinfoOnFailure
)
