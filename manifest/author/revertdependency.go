// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"fmt"
	"maps"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// checkDependencies refuses to revert to a dependency that the release has replaced where it is kept: devices that have
// confirmed the release have its sequence number as their floor there.
func checkDependencies(old, bad *manifest.Manifest) error {
	was, is := dependencyDigests(old), dependencyDigests(bad)
	for id, digests := range was {
		if now, ok := is[id]; ok && !maps.Equal(digests, now) {
			return fmt.Errorf("%w: dependency %v is another one in the release, and devices do not go back to what is older: sign it anew, with a higher number, in a release of its own",
				manifest.ErrSequence, id)
		}
	}
	return nil
}

// dependencyDigests returns the digests that m gives its dependencies, by identifier.
func dependencyDigests(m *manifest.Manifest) map[string]map[verify.Digest]bool {
	found := map[string]map[verify.Digest]bool{}
	note := func(index int, p *manifest.Parameters) {
		if _, ok := m.Dependency(index); !ok || p == nil || p.ImageDigest == nil {
			return
		}
		id, _ := m.Identifier(index)
		if found[id.String()] == nil {
			found[id.String()] = map[verify.Digest]bool{}
		}
		found[id.String()][*p.ImageDigest] = true
	}
	var walk func(seq manifest.Sequence, current []int)
	walk = func(seq manifest.Sequence, current []int) {
		for i := range seq {
			cmd := &seq[i]
			if cmd.Index != nil {
				current, _ = m.Resolve(*cmd.Index) // the encoder has checked it
			}
			for _, o := range cmd.Overrides {
				note(int(o.Index), o.Parameters)
				current = []int{int(o.Index)}
			}
			for _, index := range current {
				note(index, cmd.Parameters)
			}
			for _, nested := range cmd.Sequences {
				walk(nested, current)
			}
		}
	}
	for _, s := range []manifest.Section{manifest.SectionShared, manifest.SectionDependencyResolution, manifest.SectionPayloadFetch, manifest.SectionCandidateVerification,
		manifest.SectionInstall, manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke, manifest.SectionUninstall} {
		seq, _ := m.Section(s)
		var current []int
		if all := m.Indices(); len(all) == 1 {
			current = all
		}
		walk(seq, current)
	}
	return found
}
