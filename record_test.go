// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"bytes"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
)

// FuzzRecord: any bytes are refused, or are what the parsed record encodes to; and no record puts the journal's state out of its
// bounds.
func FuzzRecord(f *testing.F) {
	for _, r := range []*record{
		{Kind: kindBegin, Sequence: 1 << 63, Manifest: "sha256:00"},
		{Kind: kindInstall, State: install.Updated, Size: 1 << 62, Digest: "x"},
		{Kind: kindInstall, State: install.Candidate, Download: Download{fetch.WayDelta, 1, 1 << 62, "why"}},
		{Kind: kindStep, Step: []byte{1, 2, 3}},
		{Kind: kindGiveUp, Reason: "why", ID: 7},
		{Kind: 70, raw: []byte{0xa2, 0x01, 0x18, 70, 0x18, 99, 0x82, 0xf5, 0x60}},
	} {
		f.Add(r.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		if got := r.append(nil); !bytes.Equal(got, b) {
			t.Fatalf("encodes to %x, was %x", got, b)
		}
		var s journalState
		for range 100 {
			if err := s.apply(r); err != nil {
				return
			}
		}
		if len(s.reports) > maxReports || len(s.givenUp) > maxGivenUp || len(s.later) > maxLater {
			t.Fatalf("%d reports, %d given up, %d of later versions", len(s.reports), len(s.givenUp), len(s.later))
		}
	})
}
