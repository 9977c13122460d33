// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Conditions of this package. The rest are sentinels of package manifest:
// ErrSequence, ErrNotApplicable, ErrCondition, ErrComponent, ErrCommand,
// ErrBudget, ErrDigest, ErrUnsupported.
var (
	// ErrParameter: a directive lacks a parameter or has one that it cannot use.
	// It wraps manifest.ErrCommand.
	ErrParameter = fmt.Errorf("parameter missing or unusable: %w", manifest.ErrCommand)

	// ErrSevered: a section that is to be run was severed from the manifest and is
	// not here. It wraps manifest.ErrDigest, as only its digest is known.
	ErrSevered = fmt.Errorf("section severed: %w", manifest.ErrDigest)

	// ErrCycle: a dependency that is one of the manifests above it, or is kept where one of them
	// is. It wraps manifest.ErrBudget.
	ErrCycle = fmt.Errorf("dependency cycle: %w", manifest.ErrBudget)

	// ErrAbsent: the manifest has no validate, invoke or uninstall section, so asking for it
	// cannot succeed. The other sections, if absent, are nothing to do.
	ErrAbsent = errors.New("processor: section absent")

	// ErrJournal: the journal could not be read or written. What has been done is
	// as after a power cut at this point.
	ErrJournal = errors.New("processor: journal")

	// ErrOptions: the caller's options or sections make no sense.
	ErrOptions = errors.New("processor: options")
)

// Error is a refusal or failure with its place in the manifest.
//
// draft-ietf-suit-report names a command by section and byte offset; offsets
// of nested commands are not specified there, so Offset is that of the outermost command
// and Path has the rest.
type Error struct {
	Section   manifest.Section     // the section that was run or checked
	Shared    bool                 // in the shared sequence, run ahead of Section
	Manifest  []int                // from the root to the dependency, by component index; nil: the root
	Kept      manifest.ComponentID // where the dependency's envelope is; nil: the root
	Path      []int                // in the sequence of that manifest; see Step
	Component int                  // its index, -1 if the command has no component yet
	ID        manifest.ComponentID // nil if Component is -1
	Command   manifest.Code        // 0 if the failure is not a command's
	Err       error

	// soft: a failed condition, which an enclosing sequence may soften.
	soft bool
}

// Offset is the place of the outermost command, in bytes from the start of the
// byte string that holds the sequence; -1 if the failure is not a command's.
func (e *Error) Offset() int {
	if len(e.Path) == 0 {
		return -1
	}
	return e.Path[0]
}

// Error returns the place and the cause.
func (e *Error) Error() string {
	text := e.Section.String()
	if e.Shared && e.Section != manifest.SectionShared {
		text = "shared-sequence before " + text
	}
	if len(e.Manifest) > 0 {
		text = fmt.Sprintf("dependency %v: %s", e.Manifest, text)
	}
	if e.Command != 0 {
		text += fmt.Sprintf(": byte %d: %v", e.Offset(), e.Command)
	}
	if e.Component >= 0 {
		text += fmt.Sprintf(" on component %d (%v)", e.Component, e.ID)
	}
	return text + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Seen returns what the condition that has failed has found instead, as Event.Seen; nil if that is not known.
func (e *Error) Seen() *manifest.Parameters { return seen(e.Err) }

// Mismatch is an image that does not have the digest it should. It wraps manifest.ErrDigest.
type Mismatch struct {
	Want, Seen verify.Digest
	Size       int64 // of what was seen, in bytes; -1 if not known
}

// Error returns both digests.
func (e *Mismatch) Error() string {
	if e.Size < 0 {
		return fmt.Sprintf("%v: expected %v, seen %v", manifest.ErrDigest, e.Want, e.Seen)
	}
	return fmt.Sprintf("%v: expected %v, seen %v of %d bytes", manifest.ErrDigest, e.Want, e.Seen, e.Size)
}

// Unwrap returns manifest.ErrDigest.
func (e *Mismatch) Unwrap() error { return manifest.ErrDigest }

// measurement is a failed condition with what was found instead.
type measurement struct {
	text string
	seen manifest.Parameters
}

func measured(seen manifest.Parameters, format string, args ...any) error {
	return &measurement{fmt.Sprintf(format, args...), seen}
}

func (e *measurement) Error() string { return fmt.Sprintf("%v: %s", manifest.ErrCondition, e.text) }

func (e *measurement) Unwrap() error { return manifest.ErrCondition }

// seen returns what a failed condition has found instead, nil if that is not known.
func seen(err error) *manifest.Parameters {
	if e, ok := errors.AsType[*measurement](err); ok {
		return &e.seen
	}
	if e, ok := errors.AsType[*Mismatch](err); ok && !e.Seen.IsZero() {
		return &manifest.Parameters{ImageDigest: &e.Seen}
	}
	return nil
}

// found returns what a condition that has held has found: what it should.
func found(code manifest.Code, p *manifest.Parameters) *manifest.Parameters {
	switch code {
	case manifest.ConditionVendorID:
		return &manifest.Parameters{VendorID: p.VendorID, VendorPEN: p.VendorPEN}
	case manifest.ConditionClassID:
		return &manifest.Parameters{ClassID: p.ClassID}
	case manifest.ConditionDeviceID:
		return &manifest.Parameters{DeviceID: p.DeviceID}
	case manifest.ConditionImageMatch:
		return &manifest.Parameters{ImageDigest: p.ImageDigest, ImageSize: p.ImageSize}
	case manifest.ConditionComponentSlot:
		return &manifest.Parameters{Slot: p.Slot}
	}
	return nil
}
