// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Limits of what this package reads. Exceeding one is manifest.ErrLimit.
const (
	MaxSize    = 1 << 20 // a report, in bytes
	MaxRecords = 16 << 10
	MaxNonce   = 256
	MaxPath    = 128 // numbers in a path, and in a manifest id
)

// Report is SUIT_Report.
//
// draft-ietf-suit-report-20, section 4.
type Report struct {
	URI    string        // the manifest's reference-uri, "" if it has none
	Digest verify.Digest // of the root manifest

	// Nonce is what the receiver has asked for, against replay: see CheckNonce; nil if the channel does that.
	Nonce []byte

	Records      []Entry
	Result       Result
	Capabilities *Capabilities // nil if not asked for
}

// Entry is a Record or Claims: exactly one is not nil.
type Entry struct {
	Record *Record
	Claims *Claims
}

// Record is SUIT_Record: one command on one component, and what it has measured.
//
// draft-ietf-suit-report-20, section 3.
type Record struct {
	Manifest   []int // from the root to the dependency, by component index; nil: the root
	Section    manifest.Section
	Offset     int // of the outermost command, in bytes into the section
	Component  int
	Properties manifest.Parameters // the actual values, not the expected ones
	Path       []int               // goes on from Offset, see the package comment; nil at the top
	Success    bool
}

// Claims are system-property-claims: what was measured of a component.
type Claims struct {
	Component  manifest.ComponentID
	Properties manifest.Parameters
}

// Result is how it ended: success if Record is nil.
type Result struct {
	Code   int64 // of the device's own, for debugging
	Record *Record
	Reason Reason

	// Foreseen: the run did not end at the command of Record, but after that of the last of Records, and without
	// any, before the first. A Processor finds most of what it refuses before it changes anything.
	Foreseen bool
}

// OK reports whether the procedure was completed.
func (r *Result) OK() bool { return r.Record == nil }

// Reason is SUIT_Report_Reasons.
type Reason int64

// The reasons, in the order of the IANA table.
const (
	ReasonOK                    Reason = 0  // suit-report-reason-ok
	ReasonCBORParse             Reason = 1  // suit-report-reason-cbor-parse
	ReasonCOSEUnsupported       Reason = 2  // suit-report-reason-cose-unsupported
	ReasonAlgUnsupported        Reason = 3  // suit-report-reason-alg-unsupported
	ReasonUnauthorised          Reason = 4  // suit-report-reason-unauthorised
	ReasonCommandUnsupported    Reason = 5  // suit-report-reason-command-unsupported
	ReasonComponentUnsupported  Reason = 6  // suit-report-reason-component-unsupported
	ReasonComponentUnauthorised Reason = 7  // suit-report-reason-component-unauthorised
	ReasonParameterUnsupported  Reason = 8  // suit-report-reason-parameter-unsupported
	ReasonSeveringUnsupported   Reason = 9  // suit-report-reason-severing-unsupported
	ReasonConditionFailed       Reason = 10 // suit-report-reason-condition-failed
	ReasonOperationFailed       Reason = 11 // suit-report-reason-operation-failed
	ReasonInvokePending         Reason = 12 // suit-report-reason-invoke-pending
)

var reasonNames = [...]string{"ok", "cbor-parse", "cose-unsupported", "alg-unsupported", "unauthorised",
	"command-unsupported", "component-unsupported", "component-unauthorised", "parameter-unsupported",
	"severing-unsupported", "condition-failed", "operation-failed", "invoke-pending"}

// String returns the specification's name without its "suit-report-reason-" prefix.
func (r Reason) String() string {
	if r.known() {
		return reasonNames[r]
	}
	return "reason(" + strconv.FormatInt(int64(r), 10) + ")"
}

func (r Reason) known() bool { return r >= 0 && int(r) < len(reasonNames) }

// ErrMismatch: the report is not one about the manifest, or says what cannot have happened: who
// has made it is not to be trusted.
var ErrMismatch = errors.New("report and manifest do not match")

// ErrNonce: the report is not the answer to what its receiver has asked for, but perhaps to an earlier question.
var ErrNonce = errors.New("report has another nonce")

// CheckNonce compares the nonce with the one that the receiver has asked for, of at least one byte. Error: ErrNonce.
func (r *Report) CheckNonce(want []byte) error {
	if len(want) == 0 || !bytes.Equal(r.Nonce, want) {
		return fmt.Errorf("%w: expected %x, seen %x", ErrNonce, want, r.Nonce)
	}
	return nil
}

// Capabilities is SUIT_Capability_Report: what a Manifest Processor can do. The lists are of code
// points and written in the order given; the first four are required. Capabilities of extensions
// that have no field here are not read.
//
// draft-ietf-suit-report-20, section 6.
type Capabilities struct {
	Components    []ComponentCapability   // 1
	Commands      []manifest.Code         // 2
	Parameters    []manifest.ParameterKey // 3
	Algorithms    []int64                 // 4
	Envelope      []int64                 // 5
	Manifest      []int64                 // 6
	Common        []int64                 // 7
	Text          []int64                 // 8
	ComponentText []int64                 // 9
	Dependencies  []int64                 // 10
}

// ComponentCapability is a component or, with Below, all components whose identifiers begin so.
type ComponentCapability struct {
	ID    manifest.ComponentID
	Below bool
}
