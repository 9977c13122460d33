// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"
	"math"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// StepKind says what a Step records.
type StepKind uint8

// The kinds of steps.
const (
	StepBegin   StepKind = 1 // earlier steps of the manifest are void
	StepDone    StepKind = 2 // the effect is complete
	StepChoice  StepKind = 3 // the try-each came to alternative Value, counted from 0
	StepMatch   StepKind = 4 // the condition on the content, or an authorization, held (1) or failed (0)
	StepStarted StepKind = 5 // the effect has begun; Value is random for a swap, see SwapRequest, and 1 for an unlink that uninstalls
)

// Values of StepMatch.
const (
	notHeld = 0
	held    = 1
)

func outcome(ok bool) int {
	if ok {
		return held
	}
	return notHeld
}

// Step is one durable fact about a run.
//
// Path is the place of a command: its byte offset in the sequence that holds it
// and the index of the component it is applied to. If the sequence is nested, that is
// preceded, from the outside in, by the offset of the try-each or
// run-sequence, the component it is run for, and the number of the sequence in it. A dependency's
// sequences are nested in the process-dependency: its shared sequence is number 0, its section 1.
// For StepBegin all but Manifest and Kind are zero.
type Step struct {
	Manifest verify.Digest
	Section  manifest.Section // that was run
	Shared   bool             // in the shared sequence, ahead of Section
	Path     []int
	Kind     StepKind
	Value    int
}

func (s *Step) key() string { return fmt.Sprint(s.Section, s.Shared, s.Path) }

const (
	stepVersion = 1
	stepMembers = 8

	maxStepPath = 3*cborstream.MaxDepth + 2
	maxStepSize = 512
)

// MarshalBinary returns the one encoding of s, deterministic CBOR of at most 512 bytes:
//
//	[1, hash algorithm, digest: bstr, section, shared: bool, [* path: uint], kind, value: uint]
//
// Error: ErrJournal for a step that no run makes.
func (s Step) MarshalBinary() ([]byte, error) {
	bad := func(v int) bool { return v < 0 || v > math.MaxInt32 }
	if s.Manifest.IsZero() || s.Kind < StepBegin || s.Kind > StepStarted ||
		bad(s.Value) || len(s.Path) > maxStepPath || slices.ContainsFunc(s.Path, bad) {
		return nil, fmt.Errorf("%w: step out of range", ErrJournal)
	}
	b := cborstream.AppendArray(nil, stepMembers)
	b = cborstream.AppendUint(b, stepVersion)
	b = cborstream.AppendInt(b, int64(s.Manifest.Hash()))
	b = cborstream.AppendBytes(b, s.Manifest.Bytes())
	b = cborstream.AppendInt(b, int64(s.Section))
	b = cborstream.AppendBool(b, s.Shared)
	b = cborstream.AppendArray(b, len(s.Path))
	for _, v := range s.Path {
		b = cborstream.AppendUint(b, uint64(v))
	}
	b = cborstream.AppendUint(b, uint64(s.Kind))
	return cborstream.AppendUint(b, uint64(s.Value)), nil
}

// UnmarshalBinary reads what MarshalBinary wrote and nothing else. The error is
// ErrJournal around the cause.
func (s *Step) UnmarshalBinary(data []byte) error {
	p := cborstream.New(data, cborstream.Limits{Size: maxStepSize, Depth: 2, Items: stepMembers + 2 + maxStepPath})
	read, err := readStep(p)
	if err == nil {
		err = p.Done()
	}
	if err != nil {
		return fmt.Errorf("%w: step: %w", ErrJournal, err)
	}
	*s = read
	return nil
}

func readStep(p *cborstream.Parser) (s Step, err error) {
	n, err := p.Array()
	if err != nil {
		return s, err
	}
	version, err := p.Uint()
	if err != nil {
		return s, err
	}
	if n != stepMembers || version != stepVersion {
		return s, p.Refuse(0, manifest.ErrUnsupported, "step version %d with %d members", version, n)
	}
	if s.Manifest, err = readDigest(p); err != nil {
		return s, err
	}
	section, err := p.Int()
	if err != nil {
		return s, err
	}
	s.Section = manifest.Section(section)
	if s.Shared, err = p.Bool(); err != nil {
		return s, err
	}
	if n, err = p.Array(); err != nil {
		return s, err
	}
	for range n {
		v, err := readInt(p)
		if err != nil {
			return s, err
		}
		s.Path = append(s.Path, v)
	}
	p.End()
	kind, err := readInt(p)
	if err != nil {
		return s, err
	}
	if kind < int(StepBegin) || kind > int(StepStarted) {
		return s, p.Refuse(0, manifest.ErrUnsupported, "step kind %d", kind)
	}
	s.Kind = StepKind(kind)
	s.Value, err = readInt(p)
	p.End()
	return s, err
}

func readDigest(p *cborstream.Parser) (verify.Digest, error) {
	h, err := p.Int()
	if err != nil {
		return zeroDigest, err
	}
	sum, err := p.Bytes()
	if err != nil {
		return zeroDigest, err
	}
	if h != int64(verify.Hash(h)) {
		return zeroDigest, verify.ErrAlgorithm
	}
	return verify.NewDigest(verify.Hash(h), sum)
}

// readInt reads an unsigned integer that fits in 31 bits, as every offset,
// index and count of a manifest does.
func readInt(p *cborstream.Parser) (int, error) {
	at := p.Offset()
	v, err := p.Uint()
	if err == nil && v > math.MaxInt32 {
		err = p.Refuse(at, manifest.ErrLimit, "%d does not fit in 31 bits", v)
	}
	return int(v), err
}
