// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"

	"github.com/firmament-dev/firmament/manifest"
)

// MetadataApplier is a Fetcher or Writer that gives what it stores suit-parameter-component-metadata, such as permissions or the type of the file,
// or makes a symbolic link of it. For any other, a manifest that sets the parameter is refused as ErrParameter before the first effect.
//
// draft-ietf-suit-update-management-14, section 4.6.
type MetadataApplier interface {
	// CanApply returns nil if the component can have all of md: what it stores then, it stores with that or not at all. It is asked before the
	// first effect and has none itself. What a link leads to is the content, which is not known by then: where it must not lead, Write and
	// Fetch refuse.
	CanApply(md manifest.ComponentMetadata) error
}

// metadata returns the component-metadata of component c, nil for none.
//
// draft-ietf-suit-manifest-37, section 6.1.
func (m *machine) metadata(c int) (*manifest.ComponentMetadata, error) {
	md := m.at(c).params.Metadata
	if md == nil {
		return nil, nil
	}
	err := manifest.ErrUnsupported
	if applier, ok := m.component(c).(MetadataApplier); ok {
		err = applier.CanApply(*md)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: component metadata: %w", ErrParameter, err)
	}
	return md, nil
}
