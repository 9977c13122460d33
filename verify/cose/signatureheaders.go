// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// readSignatureHeaders is readHeaders for the layers of a signature, without what must not spoil
// the signatures beside it. It holds the parameters of RFC 9052, table 3, to their types.
func readSignatureHeaders(protected, unprotected item) (headers, error) {
	h, err := readMaps(protected, unprotected)
	if err != nil {
		return h, err
	}
	for _, m := range []header{h.protected, h.unprotected} {
		for _, l := range m {
			n, _ := l.label.(int64)
			if kinds, ok := parameterKinds[n]; ok && !slices.Contains(kinds, l.value.kind()) {
				return h, fmt.Errorf("label %d: %v, expected one of %v: %w", n, l.value.kind(), kinds, verify.ErrMalformed)
			}
		}
	}
	for _, m := range []header{h.protected, h.unprotected} {
		for _, label := range []int64{labelContent, labelType} {
			value, _ := m.get(label)
			if err := checkMediaType(value); err != nil {
				return h, fmt.Errorf("label %d: %w", label, err)
			}
		}
	}
	for _, label := range countersignatures {
		if _, ok := h.protected.get(label); ok {
			return h, fmt.Errorf("countersignature (label %d) in the protected header: %w", label, verify.ErrMalformed)
		}
	}
	for _, label := range []int64{labelCountersignature, labelCountersignature2} {
		if v, ok := h.unprotected.get(label); ok {
			if err := checkCountersignatures(v); err != nil {
				return h, fmt.Errorf("countersignature (label %d): %w", label, err)
			}
		}
	}
	_, iv := h.value(labelIV)
	if _, partial := h.value(labelPartialIV); iv && partial {
		return h, fmt.Errorf("iv beside a partial iv: %w", verify.ErrMalformed)
	}
	if _, ok := h.unprotected.get(labelCritical); ok {
		return h, fmt.Errorf("critical headers named in the unprotected header: %w", verify.ErrMalformed)
	}
	return h, h.protected.checkCritical()
}

var (
	parameterKinds = map[int64][]cborstream.Kind{
		labelAlg:               {cborstream.Uint, cborstream.Nint, cborstream.Text},
		labelContent:           {cborstream.Uint, cborstream.Text},
		labelKID:               {cborstream.Bytes},
		labelIV:                {cborstream.Bytes},
		labelPartialIV:         {cborstream.Bytes},
		labelCountersignature:  {cborstream.Array},
		9:                      {cborstream.Bytes},
		labelCountersignature2: {cborstream.Array},
		12:                     {cborstream.Bytes},
		labelType:              {cborstream.Uint, cborstream.Text},
	}
	countersignatures = []int64{labelCountersignature, 9, labelCountersignature2, 12} // 9 and 12 are the abbreviated ones
)

// checkCritical checks that critical labels are named at all, and there.
func (h header) checkCritical() error {
	v, ok := h.get(labelCritical)
	if !ok {
		return nil
	}
	labels, err := list(v)
	if err != nil || len(labels) == 0 {
		return fmt.Errorf("critical headers: labels expected: %w", verify.ErrMalformed)
	}
	for _, l := range labels {
		label, err := readLabel(l)
		if err != nil {
			return err
		}
		if _, ok := h.get(label); !ok {
			return fmt.Errorf("critical header %v is missing: %w", label, verify.ErrMalformed)
		}
	}
	return nil
}

// checkMediaType checks the form of a content type that is text.
func checkMediaType(i item) error {
	if len(i) == 0 || i.kind() != cborstream.Text {
		return nil
	}
	text, err := newParser(i).Text()
	if err != nil {
		return err
	}
	if strings.Count(text, "/") != 1 || strings.HasPrefix(text, " ") || strings.HasSuffix(text, " ") {
		return fmt.Errorf("expected type/subtype: %w", verify.ErrMalformed)
	}
	return nil
}

// checkCountersignatures checks the form of one countersignature or an array of them. Nobody verifies them.
func checkCountersignatures(i item) error {
	items, err := list(i)
	if err != nil {
		return err
	}
	if len(items) == 3 && items[0].kind() == cborstream.Bytes {
		return new(signed).readLayer(items[0], items[1], items[2])
	}
	for _, one := range items {
		parts, err := tuple(one, 3)
		if err != nil {
			return err
		}
		if err := new(signed).readLayer(parts[0], parts[1], parts[2]); err != nil {
			return err
		}
	}
	return nil
}
