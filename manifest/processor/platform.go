// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Platform is the device as manifests see it: a set of components.
type Platform interface {
	// Component returns the component that id names. It must not have effects and
	// is called once for each component by New. For a component that does not exist,
	// or that manifests may not touch, the error is manifest.ErrComponent.
	Component(id manifest.ComponentID) (Component, error)
}

// Component is one component of a Platform. What it can do is found by type
// assertion: Fetcher, Matcher, Slotter, Invoker. A manifest that needs more is
// refused with manifest.ErrComponent before the first effect.
//
// A processor calls the methods of all its components from one goroutine.
type Component any

// Fetcher is a component that a payload can be fetched into.
type Fetcher interface {
	// Fetch obtains the payload and stores it, whole or not at all as far as a
	// later Match or boot can tell. It must not release bytes that do not have the
	// digest. When it returns nil, the content is durable. It is called again with the
	// same request after a power cut and should then go on where it was.
	Fetch(ctx context.Context, r FetchRequest) error
}

// FetchRequest is a directive-fetch with the parameters of its component. All
// of it was signed by the author, save Integrated.
type FetchRequest struct {
	Component manifest.ComponentID
	URI       string
	Size      int64               // suit-parameter-image-size, in bytes; at least 1
	Digest    verify.Digest       // suit-parameter-image-digest, never zero
	Chunks    *manifest.ChunkInfo // from suit-parameter-fetch-arguments; nil if there are none
	Sequence  uint64              // the manifest's sequence number
	Manifest  verify.Digest       // the manifest's digest

	// Integrated is the payload that the envelope itself carries under URI; nil if it
	// carries none. The processor has compared it with Size and Digest.
	Integrated []byte
}

// Matcher is a component whose content can be compared with a digest.
type Matcher interface {
	// Match reads the first size bytes from the medium and compares their digest
	// with want. A mismatch, or content that is not size bytes long where the
	// component knows its length, is manifest.ErrDigest. Any other error says that there is no
	// answer, and aborts. It has no effects.
	Match(ctx context.Context, want verify.Digest, size int64) error
}

// Slotter is a component with several slots.
type Slotter interface {
	// Slot returns the index of the slot that an installation would write. It has no
	// effects and gives one answer for the duration of a Run.
	Slot(ctx context.Context) (uint64, error)
}

// Invoker is a component that execution can be handed to.
type Invoker interface {
	// Invoke transfers execution, with the manifest's invoke arguments, which
	// are opaque bytes to the processor and nil if there are none. It may never return.
	Invoke(ctx context.Context, args []byte) error
}

// Identity is what the device is. Vendor and class are required; a zero DeviceID
// means that the device has none, and a manifest that asks for one is not for it.
type Identity struct {
	VendorID, ClassID, DeviceID manifest.UUID
}
