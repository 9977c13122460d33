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
	raw            []byte // the envelope
	digest         digest // of the manifest, as the envelope states it
	authentication []byte // content of the authentication wrapper
	manifest       member
	members        [len(severables)]member // severable ones that the envelope has
	hasMembers     bool                    // there are such
	payloads       []Payload
	untagged       bool
	authentic      bool // the envelope has been read before: its digests are right
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

// severableIndex returns the place of key in severables, -1 if it has none.
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
	present   bool
	authentic bool  // has the digest that the manifest has of it
	start     int32 // of its head, which digests cover
	content   cborstream.Part
}

// encoded returns the byte string with its head, nil if it is absent.
func (l *layers) encoded(m *member) []byte {
	if !m.present {
		return nil
	}
	return l.raw[m.start:m.content.End()]
}

// matches compares a member with its digest.
func (l *layers) matches(m *member, want digest) error {
	if l.authentic {
		return nil
	}
	if seen := verify.Sum(want.hash, l.encoded(m)); !seen.Is(want.hash, want.sum) {
		return fmt.Errorf("%w: expected %v, seen %v", ErrDigest, want.value(), seen)
	}
	return nil
}

// blocks returns the authentication blocks, and what they are about: the encoded SUIT_Digest.
func (l *layers) blocks() (signed []byte, blocks [][]byte) {
	p := cborstream.New(l.authentication, cborstream.Limits{Size: len(l.authentication), Depth: MaxDepth, Items: maxItems}) // has been read before
	n, _ := p.Array()
	signed, _ = p.Bytes()
	for range n - 1 {
		block, _ := p.Bytes()
		blocks = append(blocks, block)
	}
	p.End()
	return signed, blocks
}

// takeApart reads the outer layer of p's data, and keeps references to it.
func (l *layers) takeApart(p *cborstream.Parser, allowed Compat) error {
	l.raw = p.Content()
	if err := l.takeTag(p, allowed); err != nil {
		return fmt.Errorf("envelope tag: %w", err)
	}
	members, err := p.Map()
	if err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	for {
		small, ok := members.NextSmall(p)
		key := int64(small)
		if !ok {
			if !members.Next(p) {
				break
			}
			if p.Is(cborstream.Text) {
				if err := l.takePayload(p); err != nil {
					return err
				}
				continue
			}
			if key, err = p.Int(); err != nil {
				return fmt.Errorf("envelope key: %w", err)
			}
		}
		if err := l.takeMember(p, members.Key(p), key, allowed); err != nil {
			return err
		}
	}
	if !l.untagged {
		p.End()
	}
	if err := p.Done(); err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	if l.authentication == nil || !l.manifest.present {
		return fmt.Errorf("envelope: %w", p.Refuse(0, ErrMalformed, "no authentication wrapper or no manifest"))
	}
	return l.matches(&l.manifest, l.digest)
}

func (l *layers) takeTag(p *cborstream.Parser, allowed Compat) error {
	if l.untagged = allowed.Has(CompatUntagged) && p.Is(cborstream.Map); l.untagged {
		return nil
	}
	tag, err := p.Tag()
	if err == nil && tag != tagEnvelope {
		err = p.Refuse(0, ErrMalformed, "expected tag %d, seen %d", tagEnvelope, tag)
	}
	return err
}

// takeMember reads the value of a member whose key is at at.
func (l *layers) takeMember(p *cborstream.Parser, at int, key int64, allowed Compat) error {
	m := &l.manifest
	if key != envelopeAuthentication && key != envelopeManifest {
		place := severableIndex(key)
		if place < 0 || (key == int64(SectionCandidateVerification) && !allowed.Has(CompatSeveredCandidateVerification)) {
			return fmt.Errorf("envelope: %w", p.Refuse(at, ErrUnsupported, "member %d", key))
		}
		m = &l.members[place]
		l.hasMembers = true
	}
	if key == envelopeAuthentication {
		return l.takeAuthentication(p)
	}
	start := p.Offset()
	content, err := p.Part()
	if err != nil {
		return fmt.Errorf("envelope member %d: %w", key, err)
	}
	*m = member{present: true, start: int32(start), content: content}
	return nil
}

// takeAuthentication reads SUIT_Authentication: the digest, then the blocks,
// each a tagged COSE object in a byte string, kept as they are.
func (l *layers) takeAuthentication(p *cborstream.Parser) error {
	outer, err := p.Enter()
	if err != nil {
		return fmt.Errorf("envelope member %d: %w", envelopeAuthentication, err)
	}
	l.authentication = p.Content()
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
	if l.digest, err = wrappedDigest(p); err != nil {
		return fmt.Errorf("authentication wrapper: %w", err)
	}
	for range n - 1 {
		at := p.Offset()
		block, err := p.Bytes()
		if err == nil && !l.authentic && !isBlock(block) {
			err = p.Refuse(at, ErrMalformed, "not a tagged COSE signature or MAC")
		}
		if err != nil {
			return fmt.Errorf("authentication wrapper: %w", err)
		}
	}
	p.End()
	if err := p.Leave(outer); err != nil {
		return fmt.Errorf("authentication wrapper: %w", err)
	}
	return nil
}

// isBlock reports whether b can be a SUIT_Authentication_Block: one CBOR item with the tag of COSE_Mac0, COSE_Sign1, COSE_Mac or COSE_Sign. What
// is in it is for package verify/cose.
func isBlock(b []byte) bool {
	if isUsualBlock(b) {
		return true
	}
	known := len(b) > 1 && (b[0] == 0xd1 || b[0] == 0xd2 || b[0] == 0xd8 && (b[1] == 0x61 || b[1] == 0x62))
	return known && wellFormed(b, false) == nil
}

// isUsualBlock is isBlock for what most of them are, at once: d2 84, a short protected header, a0 f6, 58 and the length of a signature,
// with nothing behind it.
func isUsualBlock(b []byte) bool {
	if len(b) < 3 || b[0] != 0xd2 || b[1] != 0x84 || b[2]-0x40 >= firstLongArg {
		return false
	}
	rest := b[3:]
	n := int(b[2] - 0x40)
	return len(rest) >= n+4 && rest[n] == 0xa0 && rest[n+1] == 0xf6 && rest[n+2] == 0x58 && int(rest[n+3]) == len(rest)-n-4
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
	l.payloads = append(l.payloads, Payload{Key: string(key), Data: data})
	return nil
}
