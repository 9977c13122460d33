// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// ReasonOf returns the reason for an error of manifest.Open or of a Processor; ReasonOK for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ReasonOK
	}
	placed, running := errors.AsType[*processor.Error](err)
	directive := running && placed.Command != 0 && !placed.Command.IsCondition()
	if r, ok := lookup(manifestReasons, err); ok && !(r == ReasonConditionFailed && directive && !ofCondition(placed.Command)) {
		return r
	}
	refusal, ok := errors.AsType[*verify.PolicyError](err)
	if ok && (!directive || len(refusal.Evidence.Keys("")) == 0) { // else it is who may do what with a component
		return reasonOfBlocks(refusal.Evidence)
	}
	switch {
	case directive && errors.Is(err, verify.ErrKeyUnknown): // to decrypt with
		return ReasonOperationFailed
	case running && errors.Is(err, verify.ErrPolicy):
		return ReasonComponentUnauthorised
	}
	if r, ok := lookup(otherReasons, err); ok {
		return r
	}
	return ReasonOperationFailed
}

// ofCondition reports whether the directive code fails as a condition does: that none of its alternatives held, or that
// what it needs was not matched. Other directives hand on what a platform says.
func ofCondition(code manifest.Code) bool {
	return code == manifest.DirectiveTryEach || code == manifest.DirectiveInvoke || code <= manifest.MaxCustom
}

// reasonOfBlocks tells what was wrong with a manifest's authentication: that some of it verifies, or does not, or is by somebody
// who is not known, or else that nothing in it could be tried.
func reasonOfBlocks(e verify.Evidence) Reason {
	tried := func(s verify.Signature) bool {
		return s.Err == nil || errors.Is(s.Err, verify.ErrSignature) || errors.Is(s.Err, verify.ErrKeyUnknown) || errors.Is(s.Err, verify.ErrKeyRevoked)
	}
	unknown := func(s verify.Signature) bool { return errors.Is(s.Err, verify.ErrAlgorithm) }
	switch {
	case len(e.Signatures) == 0 || slices.ContainsFunc(e.Signatures, tried):
		return ReasonUnauthorised
	case slices.ContainsFunc(e.Signatures, unknown):
		return ReasonAlgUnsupported
	}
	return ReasonCOSEUnsupported
}

// reasons are looked up in order: narrow before wide.
type reasons []struct {
	err    error
	reason Reason
}

func lookup(in reasons, err error) (Reason, bool) {
	for _, k := range in {
		if errors.Is(err, k.err) {
			return k.reason, true
		}
	}
	return 0, false
}

// What a manifest asks for, whatever else is wrong.
var manifestReasons = reasons{
	{manifest.ErrCondition, ReasonConditionFailed},
	{manifest.ErrNotApplicable, ReasonConditionFailed},
	{processor.ErrSevered, ReasonSeveringUnsupported},
	{processor.ErrParameter, ReasonParameterUnsupported},
}

var otherReasons = reasons{
	{verify.ErrSignature, ReasonUnauthorised},
	{verify.ErrKeyUnknown, ReasonUnauthorised},
	{verify.ErrKeyRevoked, ReasonUnauthorised},
	{verify.ErrThreshold, ReasonUnauthorised},
	{verify.ErrPolicy, ReasonUnauthorised},
	{verify.ErrAlgorithm, ReasonAlgUnsupported},
	{manifest.ErrUnsupported, ReasonCommandUnsupported}, // also where it is a component that cannot do it
	{manifest.ErrComponent, ReasonComponentUnsupported},
	{manifest.ErrCommand, ReasonCommandUnsupported},
	{manifest.ErrMalformed, ReasonCBORParse},
	{manifest.ErrLimit, ReasonCBORParse},
}
