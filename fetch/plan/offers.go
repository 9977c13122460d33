// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/verify"
)

// Limits of offers. The package comment has the others.
const (
	MaxOffers    = 64 << 10 // bytes of the custom object
	MaxIndexSize = 64 << 20 // bytes of an index; a Planner's own limit is lower

	maxPayloads = 16
	maxListed   = 32
	maxURI      = 1024
	maxSize     = 1 << 40
)

// ErrOffers says that a custom object is not one that this version reads.
var ErrOffers = errors.New("plan: unreadable offers")

// Offers is what a custom object lists.
type Offers struct{ Payloads []Payload }

// A Payload is what can be used instead of one payload.
type Payload struct {
	Digest verify.Digest
	Size   int64
	Deltas []Delta
	Index  *Index // nil: none
}

// Old names an image that devices may have.
type Old struct {
	Digest verify.Digest // SHA-256
	Size   int64
}

// A Delta is a patch of package fetch/delta.
type Delta struct {
	From   Old
	URI    string
	Size   int64         // of the patch
	Digest verify.Digest // delta.Info.Digest
	Memory int64         // delta.Info.Memory
}

// An Index is a content-defined index of package fetch/chunk.
type Index struct {
	URI    string
	Size   int64
	Digest verify.Digest
	From   []Missing
}

// Missing says how many bytes of the payload an old image has not.
type Missing struct {
	From  Old
	Bytes int64
}

// Find returns the entry for a payload, nil if there is none.
func (o *Offers) Find(digest verify.Digest, size int64) *Payload {
	for i := range o.Payloads {
		if p := &o.Payloads[i]; p.Digest == digest && p.Size == size {
			return p
		}
	}
	return nil
}

const member = "firmament-fetch"

// Parse reads a custom object, as the package comment has it. One without offers, and nil, is empty Offers; anything else is ErrOffers.
func Parse(custom []byte) (*Offers, error) {
	if len(custom) == 0 {
		return &Offers{}, nil
	}
	if len(custom) > MaxOffers {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(custom), MaxOffers, ErrOffers)
	}
	all, err := parseObject(custom)
	if err != nil {
		return nil, fmt.Errorf("custom: %w", err)
	}
	v, ok := all[member]
	if !ok {
		return &Offers{}, nil
	}
	r := &reader{}
	o := r.offers(v)
	if r.err != nil {
		return nil, fmt.Errorf("%s: %w", member, r.err)
	}
	return o, nil
}

// Custom returns custom, a JSON object or nil, with o as its offers in place of those that it had. ErrOffers if the result could not be read.
func (o *Offers) Custom(custom []byte) ([]byte, error) {
	all := map[string]json.RawMessage{}
	if len(custom) > 0 {
		if _, err := parseObject(custom); err != nil {
			return nil, fmt.Errorf("custom: %w", err)
		}
		if err := json.Unmarshal(custom, &all); err != nil {
			return nil, fmt.Errorf("custom: %w: %v", ErrOffers, err)
		}
	}
	mine, err := json.Marshal(o.tree())
	if err != nil {
		return nil, err
	}
	all[member] = mine
	out, err := json.Marshal(all)
	if err != nil {
		return nil, err
	}
	if _, err := Parse(out); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(out), nil
}

// tree is o as encoding/json writes it.
func (o *Offers) tree() any {
	payloads := []any{}
	for _, p := range o.Payloads {
		m := map[string]any{"digest": p.Digest.String(), "size": p.Size}
		if len(p.Deltas) > 0 {
			var deltas []any
			for _, d := range p.Deltas {
				deltas = append(deltas, map[string]any{"from": d.From.tree(), "uri": d.URI, "size": d.Size, "digest": d.Digest.String(), "memory": d.Memory})
			}
			m["deltas"] = deltas
		}
		if x := p.Index; x != nil {
			index := map[string]any{"uri": x.URI, "size": x.Size, "digest": x.Digest.String()}
			if len(x.From) > 0 {
				var from []any
				for _, f := range x.From {
					from = append(from, map[string]any{"image": f.From.tree(), "missing": f.Bytes})
				}
				index["from"] = from
			}
			m["index"] = index
		}
		payloads = append(payloads, m)
	}
	return map[string]any{"version": 1, "payloads": payloads}
}

func (o Old) tree() any { return map[string]any{"digest": o.Digest.String(), "size": o.Size} }
