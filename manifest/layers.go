// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// layers is an envelope taken apart, with nothing read inside the manifest and
// the severable members: those wait until the manifest is authenticated.
type layers struct {
	signed   []byte        // content of the first byte string: the encoded SUIT_Digest
	digest   verify.Digest // the same, decoded
	blocks   [][]byte      // the authentication blocks
	manifest member
	members  [len(severables)]member // severable ones that the envelope has
	payloads []Payload
	untagged bool
}

// severables are the keys of severable members, which stand in the envelope under the
// same key as in the manifest, in key order.
var severables = [...]int64{
	manifestCoSWID,
	int64(SectionDependencyResolution),
	int64(SectionPayloadFetch),
	int64(SectionCandidateVerification), // see CompatSeveredCandidateVerification
	int64(SectionInstall),
	manifestText,
}

// severable returns the place of key in severables, -1 if it has none.
func severableIndex(key int64) int {
	for i, k := range severables {
		if k == key {
			return i
		}
	}
	return -1
}

// member is one byte string of the envelope.
type member struct {
	encoded []byte // with its head: what digests cover; nil if absent
	content cborstream.Part
}

// envelopeLimits are those of a parser of envelopes.
var envelopeLimits = cborstream.Limits{Size: MaxEnvelopeSize, Depth: MaxDepth, Items: maxItems}

// matches compares the member with its digest.
func (m *member) matches(want verify.Digest) error {
	if got := verify.Sum(want.Hash(), m.encoded); got != want {
		return fmt.Errorf("%w: expected %v, seen %v", ErrDigest, want, got)
	}
	return nil
}

// takeApart reads the outer layer of p's data, and keeps references to it.
func (l *layers) takeApart(p *cborstream.Parser, o *Options) error {
	if err := l.takeTag(p, o); err != nil {
		return fmt.Errorf("envelope tag: %w", err)
	}
	n, err := p.Map()
	if err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	for range n {
		if err := l.takeMember(p, o); err != nil {
			return err
		}
	}
	if err := p.Done(); err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	if l.signed == nil || l.manifest.encoded == nil {
		return fmt.Errorf("envelope: %w", p.Refuse(0, ErrMalformed, "no authentication wrapper or no manifest"))
	}
	return l.manifest.matches(l.digest)
}

func (l *layers) takeTag(p *cborstream.Parser, o *Options) error {
	if o.Compat.Has(CompatUntagged) {
		kind, err := p.Peek()
		if l.untagged = err == nil && kind == cborstream.Map; err != nil || l.untagged {
			return err
		}
	}
	tag, err := p.Tag()
	if err == nil && tag != tagEnvelope {
		err = p.Refuse(0, ErrMalformed, "expected tag %d, seen %d", tagEnvelope, tag)
	}
	return err
}

func (l *layers) takeMember(p *cborstream.Parser, o *Options) error {
	at := p.Offset()
	kind, err := p.Peek()
	if err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	if kind == cborstream.Text {
		return l.takePayload(p)
	}
	key, err := p.Int()
	if err != nil {
		return fmt.Errorf("envelope key: %w", err)
	}
	place := severableIndex(key)
	if key == int64(SectionCandidateVerification) && !o.Compat.Has(CompatSeveredCandidateVerification) {
		place = -1
	}
	if place < 0 && key != envelopeAuthentication && key != envelopeManifest {
		return fmt.Errorf("envelope: %w", p.Refuse(at, ErrUnsupported, "member %d", key))
	}
	start := p.Offset()
	content, err := p.Part()
	if err != nil {
		return fmt.Errorf("envelope member %d: %w", key, err)
	}
	m := &l.manifest
	switch {
	case key == envelopeAuthentication:
		return l.takeAuthentication(p, content)
	case place >= 0:
		m = &l.members[place]
	}
	m.encoded, m.content = p.Content()[start:p.Offset()], content
	return nil
}

// takeAuthentication reads SUIT_Authentication: the digest, then the blocks,
// each a tagged COSE object in a byte string, kept as they are.
func (l *layers) takeAuthentication(p *cborstream.Parser, content cborstream.Part) error {
	outer := p.Enter(content)
	n, err := p.Array()
	if err != nil {
		return fmt.Errorf("authentication wrapper: %w", err)
	}
	if n < 1 || n > 1+MaxAuthentications {
		class := ErrLimit
		if n < 1 {
			class = ErrMalformed
		}
		return fmt.Errorf("authentication wrapper: %w", p.Refuse(0, class, "expected a digest and at most %d blocks, seen %d items", MaxAuthentications, n))
	}
	l.digest, l.signed, err = wrappedDigest(p)
	if err != nil {
		return fmt.Errorf("authentication wrapper: %w", err)
	}
	for range n - 1 {
		block, err := p.Bytes()
		if err != nil {
			return fmt.Errorf("authentication wrapper: %w", err)
		}
		l.blocks = append(l.blocks, block)
	}
	if err := p.Leave(outer); err != nil {
		return fmt.Errorf("authentication wrapper: %w", err)
	}
	return nil
}

func (l *layers) takePayload(p *cborstream.Parser) error {
	at := p.Offset()
	key, err := decodeURI(p)
	if err != nil {
		return fmt.Errorf("integrated payload: %w", err)
	}
	data, err := p.Bytes()
	if err != nil {
		return fmt.Errorf("integrated payload: %w", err)
	}
	if len(l.payloads) == MaxPayloads {
		return fmt.Errorf("envelope: %w", p.Refuse(at, ErrLimit, "more than %d integrated payloads", MaxPayloads))
	}
	l.payloads = append(l.payloads, Payload{Key: key, Data: data})
	return nil
}
