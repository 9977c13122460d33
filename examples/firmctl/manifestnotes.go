// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/manifest"
)

// notes says of an envelope of size bytes what an author may not have meant, though it can be so.
func notes(e *manifest.Envelope, size int) (out []string) {
	if size > manifest.MaxEnvelopeSize {
		out = append(out, fmt.Sprintf("larger than %d bytes: only devices that were built to hold more (manifest.Options.MaxSize) read it", manifest.MaxEnvelopeSize))
	}
	var uris []string
	for _, s := range append([]manifest.Section{manifest.SectionShared}, sectionNames...) {
		if e.Manifest.Severed(s) {
			return out // what it names is not known
		}
		seq, _ := e.Manifest.Section(s)
		uris = appendURIs(uris, seq)
	}
	slices.Sort(uris)
	for _, uri := range slices.Compact(uris) {
		if strings.HasPrefix(uri, "#") && !slices.ContainsFunc(e.Payloads, func(p manifest.Payload) bool { return p.Key == uri }) {
			out = append(out, fmt.Sprintf("the uri %q is to be found in the envelope, which has no such payload: to run this is refused", uri))
		}
	}
	for _, p := range e.Payloads {
		if !slices.Contains(uris, p.Key) {
			out = append(out, fmt.Sprintf("the payload %q is no uri's: nothing fetches it", p.Key))
		}
	}
	return out
}

func appendURIs(uris []string, seq manifest.Sequence) []string {
	add := func(p *manifest.Parameters) {
		if p != nil && p.URI != nil {
			uris = append(uris, *p.URI)
		}
	}
	for _, c := range seq {
		add(c.Parameters)
		for _, o := range c.Overrides {
			add(o.Parameters)
		}
		for _, nested := range c.Sequences {
			uris = appendURIs(uris, nested)
		}
	}
	return uris
}
