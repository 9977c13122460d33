// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"io"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Platform is the device as manifests see it: a set of components. What else
// the device as a whole can do is found by type assertion: Clock, Battery,
// Authorizer, Waiter. A manifest that needs more is refused with manifest.ErrUnsupported before the first effect.
type Platform interface {
	// Component returns the component that id names. It must not have effects and
	// is called once for each identifier. For a component that does not exist,
	// or that manifests may not touch, the error is manifest.ErrComponent.
	Component(id manifest.ComponentID) (Component, error)
}

// Component is one component of a Platform. What it can do is found by type
// assertion: Fetcher, EncryptedFetcher, Reader, Writer, MetadataApplier, Swapper, Linker, Matcher,
// Versioner, Slotter, Invoker, Commander. A manifest with a command that it cannot do is refused with
// manifest.ErrUnsupported, which is manifest.ErrComponent here, too, before the first effect.
//
// Under strict-order false a processor calls the methods of different
// components from several goroutines; those of one component it calls from one at a time.
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
	Size      int64               // suit-parameter-image-size, in bytes; at least 1; -1 for any up to Limit, of a Dependency or under CompatNoSize
	Limit     int64               // bytes that there may be at most, where Size is -1
	Digest    verify.Digest       // suit-parameter-image-digest; zero only under CompatNoDigest
	Chunks    *manifest.ChunkInfo // from suit-parameter-fetch-arguments; nil if there are none
	Sequence  uint64              // the manifest's sequence number
	Manifest  verify.Digest       // the manifest's digest

	// Integrated is the payload that the envelope itself carries under URI; nil if it
	// carries none. The processor has compared it with Size and Digest.
	Integrated []byte

	// Dependency says that an envelope is fetched: Digest is that of the manifest inside, and Size -1 save for an Integrated one, as the
	// envelope may have got signatures or lost members since the author has seen it (trust-domains-12, section 5.2.2). It need not
	// be verified before it is stored: the processor reads it back and opens it.
	Dependency bool

	// Metadata is suit-parameter-component-metadata, nil if absent; only for a MetadataApplier.
	Metadata *manifest.ComponentMetadata
}

// EncryptedFetcher is a Fetcher whose payload may be encrypted.
type EncryptedFetcher interface {
	// FetchEncrypted is Fetch of a ciphertext, of which the component stores the
	// plaintext that decrypt returns. Size, Limit and Digest are the plaintext's. The plaintext
	// is authentic when its reader has returned io.EOF, not before: on any other
	// error nothing of it may stay usable. Of a Dependency, decrypt has read and opened all of the envelope when it returns.
	FetchEncrypted(ctx context.Context, r FetchRequest, decrypt func(ciphertext io.Reader) (io.Reader, error)) error
}

// Reader is a component whose content can be read, and which knows where it ends: the source of a copy, what
// check-content compares, the envelope of a dependency, or what is compared with a digest, or fetched, without an image size.
type Reader interface {
	// Open returns the content and its size in bytes: that of what was stored, not of the medium, which may be
	// larger. A component that cannot tell is no Reader. It has no effects. Without any content the error
	// is manifest.ErrComponent.
	Open(ctx context.Context) (content io.ReadCloser, size int64, err error)
}

// Writer is a component that content can be written into.
type Writer interface {
	// Write stores what it reads from r.Content up to io.EOF, whole or not at all; on any other
	// error nothing of it may stay usable. When it returns nil, the content is durable.
	Write(ctx context.Context, r WriteRequest) error
}

// WriteRequest is a directive-write or directive-copy. The processor compares
// what is read with Size and Digest: Content ends in an error if it does not have them.
type WriteRequest struct {
	Component manifest.ComponentID
	Content   io.Reader
	Size      int64         // -1 if not known
	Digest    verify.Digest // of the content; zero if the manifest gives none, as of a dependency's envelope, which is opened before it is written
	Sequence  uint64        // the manifest's sequence number
	Manifest  verify.Digest // the manifest's digest
	Metadata  *manifest.ComponentMetadata
}

// Swapper is a component whose content can be exchanged with another's.
type Swapper interface {
	// Swap exchanges the contents. A power cut at any point must leave a state from which Swap
	// with the same ID completes the exchange, and once it is complete, Swap with
	// that ID does nothing: it never swaps back. So the last ID has to be kept with the contents, and
	// only the last.
	//
	// If the next that is asked of either component is anything else, Swap with another ID included, the
	// run was begun anew: an exchange that was interrupted is then completed first, or taken back, so that both contents are
	// whole. An exchange under another ID is made even if it was made under the last one, too. Nobody can tell by what the
	// components hold whether it is still to come: the image that one of them is to have may be there because of the exchange, or because
	// the manifest has just put it there to be exchanged.
	Swap(ctx context.Context, r SwapRequest) error
}

// SwapRequest is a directive-swap.
type SwapRequest struct {
	Component, Source manifest.ComponentID
	With              Component // the source

	// ID names this exchange: it is the same for as long as the journal leads to it, and another when the manifest is run
	// again, because its run was finished, the journal was voided, or there is none. At most 1 KiB.
	ID       string
	Manifest verify.Digest
}

// Linker is a component that keeps, over restarts, which manifests use it, by their digests. Who enters a
// manifest there is the platform's business: the component itself when it is fetched into or written for that manifest, or
// the caller once the manifest is accepted.
//
// draft-ietf-suit-trust-domains-12, section 5.6.5.
type Linker interface {
	// References returns how many manifests other than user use the component, and whether user does. It has no effects.
	// While others do, the processor refuses to change the component for user. What only user itself uses may be written
	// again: it is the same content, as after a power cut between the write and the journal's step.
	References(ctx context.Context, user verify.Digest) (others uint64, used bool, err error)

	// Unlink has user not use the component any more. It is called only if user does. Durable when it returns nil; from then on
	// References says so, which is how a run that is resumed learns of it. The envelope of a dependency that nobody uses stays readable until the
	// run is finished: one that is resumed opens it again.
	Unlink(ctx context.Context, user verify.Digest) error
}

// Matcher is a component whose content can be compared with a digest.
type Matcher interface {
	// Match reads the first size bytes from the medium and compares their digest
	// with want. A mismatch, or content that is not size bytes long where the
	// component knows its length, is manifest.ErrDigest, best in a *Mismatch. Any other error says that there is no
	// answer, and aborts. It has no effects. Where the manifest gives no image size, size is all that the component
	// holds, as its Reader has it.
	Match(ctx context.Context, want verify.Digest, size int64) error
}

// Versioner is a component that knows its version.
type Versioner interface {
	// Version returns it in the form of suit-parameter-version. It has no effects.
	Version(ctx context.Context) ([]int64, error)
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
