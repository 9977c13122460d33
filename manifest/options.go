// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
)

// Options say what Open, Inspect and Encode accept beyond the strict rules. The zero
// Options are strict.
type Options struct {
	// Compat has the relaxations, joined with |.
	Compat Compat

	// Registry has the custom commands and parameters. All others are refused.
	Registry Registry

	// MaxSize bounds an envelope with everything in it, in bytes: an envelope is held in memory, at times twice, so raising it is for who
	// has that memory, for the sake of integrated payloads. At most MaxMaxSize; zero means MaxEnvelopeSize. Dependencies that are
	// fetched and members that were severed stay below MaxEnvelopeSize.
	MaxSize int64
}

// maxSize returns the bound of an envelope.
func (o *Options) maxSize() int64 {
	if o.MaxSize <= 0 {
		return MaxEnvelopeSize
	}
	return min(o.MaxSize, MaxMaxSize)
}

// limits are those of a parser of envelopes.
func (o *Options) limits() cborstream.Limits {
	return cborstream.Limits{Size: int(o.maxSize()), Depth: MaxDepth, Items: maxItems}
}

// keep returns o for something that has been read with it and will be read with it again.
func (o *Options) keep() *Options {
	if o.Compat == 0 && o.Registry.Commands == nil && o.Registry.Parameters == nil && o.MaxSize == 0 {
		return &strict
	}
	own := o.clone()
	return &own
}

var strict Options // not changed

// clone returns o with lists of its own.
func (o Options) clone() Options {
	o.Registry.Commands = slices.Clone(o.Registry.Commands)
	o.Registry.Parameters = slices.Clone(o.Registry.Parameters)
	return o
}

// Compat is a set of relaxations, each for what some tooling really emits. None of them
// weakens authentication.
type Compat uint32

// The relaxations.
const (
	// CompatUntagged: an envelope without tag 107. SUIT allows that only where the
	// context says what the bytes are; generators do it anyway.
	CompatUntagged Compat = 1 << iota

	// CompatUncheckedDependency: process-dependency without dependency-integrity before
	// it, as in example 1 of trust-domains-12 and in the validate sequence of its template for encrypted manifests. The processor then makes that check by itself:
	// nothing unauthenticated runs.
	CompatUncheckedDependency

	// CompatSeveredCandidateVerification: candidate-verification as a digest, with the
	// sequence in the envelope. The CDDL of trust-domains-12 has a place for it in the
	// envelope, but no digest for it in the manifest.
	CompatSeveredCandidateVerification
)

// Has reports whether c has all of other.
func (c Compat) Has(other Compat) bool { return c&other == other }

// Registry lists the numbers that a deployment has given a meaning, all MaxCustom or
// below; others in it have no effect.
type Registry struct {
	Commands   []CustomCommand
	Parameters []ParameterKey
}

// CustomCommand is a command that no specification has.
type CustomCommand struct {
	Code Code

	// Condition: it has no side effect, and its failure may be softened. The shared
	// sequence has no custom commands either way.
	Condition bool
}

// Command returns the entry of code.
func (r Registry) Command(code Code) (CustomCommand, bool) {
	for _, c := range r.Commands {
		if c.Code == code && code <= MaxCustom {
			return c, true
		}
	}
	return CustomCommand{}, false
}

func (r Registry) hasParameter(key ParameterKey) bool {
	for _, k := range r.Parameters {
		if k == key && key <= MaxCustom {
			return true
		}
	}
	return false
}
