// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"

	"github.com/firmament-dev/firmament/verify"
)

// Sequence is SUIT_Command_Sequence: one or more commands.
//
// draft-ietf-suit-manifest-37, section 8.4.6.
type Sequence []Command

// Command is one condition or directive with its argument. Which field holds
// the argument depends on Code:
//
//	DirectiveSetComponentIndex                           Index
//	DirectiveOverrideParameters, DirectiveSetParameters  Parameters
//	DirectiveTryEach                                     Sequences (two or more), Nil
//	DirectiveRunSequence                                 Sequences (one)
//	DirectiveOverrideMultiple                            Overrides
//	DirectiveCopyParams                                  Copies
//	custom commands, MaxCustom and below                 Custom
//	all others                                           Policy
type Command struct {
	Code Code

	// Offset is where the command's code begins, in bytes from the start of the
	// byte string that holds its sequence. It is set when a manifest is read and
	// ignored when one is written.
	Offset int

	Policy ReportingPolicy

	// Nil: the try-each ends in nil, so it succeeds when no alternative does.
	Nil bool

	Index      *ComponentIndex
	Parameters *Parameters
	Sequences  []Sequence

	Overrides []Override
	Copies    []ParameterCopy
	Custom    Value // a byte string, text string, integer or nil
}

// ComponentIndex is the argument of DirectiveSetComponentIndex: all
// components, or a list in the order given, or one.
type ComponentIndex struct {
	All  bool
	List []uint64 // not empty and without repetition, or nil
	One  uint64   // if !All and List is nil
}

// Resolve returns the indices that i selects among n components, in order.
// Error: ErrComponent if one is out of range.
func (i ComponentIndex) Resolve(n int) ([]int, error) {
	if i.All {
		all := make([]int, n)
		for k := range all {
			all[k] = k
		}
		return all, nil
	}
	list := i.List
	if list == nil {
		list = []uint64{i.One}
	}
	out := make([]int, len(list))
	for k, v := range list {
		if v >= uint64(n) {
			return nil, fmt.Errorf("%w: index %d of %d components", ErrComponent, v, n)
		}
		out[k] = int(v)
	}
	return out, nil
}

// Override is one entry of DirectiveOverrideMultiple: parameters for the component
// at Index. Entries ascend by Index.
type Override struct {
	Index      uint64
	Parameters *Parameters
}

// ParameterCopy is one entry of DirectiveCopyParams: the current component gets the
// parameters Keys of the component at Source. Entries ascend by Source; Keys are in any order,
// none twice.
type ParameterCopy struct {
	Source uint64
	Keys   []ParameterKey
}

// Parameters is what one directive sets; nil means not set. At least one is set.
//
// draft-ietf-suit-manifest-37, sections 8.4.8 and 11.5; update-management-14, section
// 4; firmware-encryption-25, section 5.
type Parameters struct {
	VendorID        *UUID          // 1, suit-parameter-vendor-identifier
	ClassID         *UUID          // 2, suit-parameter-class-identifier
	ImageDigest     *verify.Digest // 3, suit-parameter-image-digest
	UseBefore       *uint64        // 4, suit-parameter-use-before, seconds since 1970
	Slot            *uint64        // 5, suit-parameter-component-slot
	StrictOrder     *bool          // 12, suit-parameter-strict-order
	SoftFailure     *bool          // 13, suit-parameter-soft-failure
	ImageSize       *uint64        // 14, suit-parameter-image-size, at most 2^63-1 bytes
	Content         []byte         // 18, suit-parameter-content; empty but not nil is set
	EncryptionInfo  []byte         // 19, suit-parameter-encryption-info, an encoded COSE_Encrypt_Tagged
	URI             *string        // 21, suit-parameter-uri, at most MaxURILength bytes of printable ASCII
	SourceComponent *uint64        // 22, suit-parameter-source-component, an index
	InvokeArgs      []byte         // 23, suit-parameter-invoke-args
	DeviceID        *UUID          // 24, suit-parameter-device-identifier
	FetchArguments  []byte         // 25, suit-parameter-fetch-arguments, see ChunkInfo

	MinimumBattery *uint64            // 26, suit-parameter-minimum-battery, mWh
	UpdatePriority *int64             // 27, suit-parameter-update-priority, smaller is more urgent
	Version        *VersionMatch      // 28, suit-parameter-version
	WaitInfo       *WaitInfo          // 29, suit-parameter-wait-info
	Metadata       *ComponentMetadata // 30, suit-parameter-component-metadata

	// VendorPEN is the vendor identifier in its other form, instead of VendorID: a private
	// enterprise number, as the relative object identifier of RFC 9090 (tag 112).
	VendorPEN []byte

	// Custom are those of MaxCustom and below, the one nearest zero first.
	Custom []CustomParameter
}

// CustomParameter is a parameter that no specification has.
type CustomParameter struct {
	Key   ParameterKey // MaxCustom or below
	Value Value        // a byte string, text string, integer or boolean
}

// Value is the value of something custom: []byte, string, int64, bool or nil.
type Value any
