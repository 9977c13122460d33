// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package processor is the Manifest Processor of SUIT: it decides whether a
// verified manifest is for this device, and runs its command sequences on a
// Platform (draft-ietf-suit-manifest-37, sections 6 and 8.4), with those of the manifests
// it depends on (draft-ietf-suit-trust-domains-12), the conditions and directives of
// draft-ietf-suit-update-management-14, and payloads that are encrypted
// (draft-ietf-suit-firmware-encryption-25).
//
// It accepts only *manifest.Verified, so nothing unsigned can be run. Work is
// done in three steps, each of which refuses before the next one can change
// anything:
//
//  1. New checks what concerns every section: the sequence number against the
//     floor, that every component exists and, by evaluating the shared sequence,
//     that vendor and class are this device's.
//  2. Check evaluates the sections that are to be run with every directive that
//     has an effect left out: capabilities, parameters, identities, indices
//     and budgets. An identity that is demanded only after a fetch is found
//     here, before the fetch.
//     Conditions on content that the manifest itself stores are answered by what it says about
//     that. Where nothing can be known before (the version of what is stored, a digest of another algorithm than
//     the one it was fetched by, content without a digest, or made by a custom command; an authorization), they are
//     taken to hold. What comes if they do not is evaluated, too, first for each of them and then for all combinations, as far as
//     Limits.Commands go: of alternatives that depend on such answers all must be possible, and a manifest may be refused although it could be run.
//  3. Run does step 2 again and then runs the sections, the shared sequence
//     before each.
//
// # Where the standard leaves a choice
//
//   - Component index true or a list: each command is applied to one component
//     after the other; try-each and run-sequence run whole for each. A component
//     index set inside them ends with them.
//   - Parameters belong to a component and live for one Run. What an alternative
//     of a try-each has set before it failed stays set.
//   - A failed condition ends its sequence. In an alternative of try-each it
//     leads to the next alternative, unless soft-failure was set to false. A
//     run-sequence hands it on as a failed condition, unless soft-failure was
//     set to true: then it ends the run-sequence only. A try-each without a
//     successful alternative is a failed directive, and a failed directive
//     always aborts. So does a platform error in a condition, as it is no answer.
//   - Under strict-order false, one command that applies to several components works on them in
//     parallel, and so do run-sequences that follow each other; all else runs in
//     order. A component that is both target and source, as a swap makes both of its components for all other commands, or that two of those
//     that run together use and one of them changes, its content or its parameters, is refused, in the first step already.
//   - Strict-order belongs to the sequence that sets it, and to the alternatives of its try-each. Where nothing is said about that, the shared sequence
//     passes it on to no section: each begins with true, and so does a run-sequence. In order is always allowed.
//   - Set-parameters of strict-order or soft-failure does nothing, as both always have a value.
//   - A source-component index is one of the manifest that has set it.
//   - With encryption-info, image-digest and image-size of the component are the plaintext's.
//   - Override-multiple is done once, also under a component index of true or a list.
//
// # Dependencies
//
// Dependency-integrity opens a dependency with its own keys and policy
// (Dependencies), compares its sequence number with the floor of the
// component that it is kept in, and checks whatever New and Check check of the root, save that a dependency need not ask for vendor
// and class: the manifest that names it by its digest has. Its commands are judged by the
// Access that its own signers have. Components with the same identifier are the same in all
// manifests, and so are their parameters. What a dependency has is processed in
// every section in which it has something, or the section fails: by each manifest that has it as a dependency, opened or not, if
// it is there by the end of the section. Integrity holds in the manifest that has asked, until the
// procedure ends: validate, load and invoke are one of their own. For as long as a Run takes, what was opened stays where it is, as a run
// that is resumed opens it again: it is refused to write over it, and a fetch of the same, which another manifest may well ask for, does nothing.
// A failed dependency-integrity aborts, also in a try-each.
//
// What the image-digest of a dependency names is the manifest, in whatever envelope: one with other signatures than the author's, or with
// severed members, is the same dependency. So its image-size says nothing, and is ignored: an envelope is at most
// manifest.MaxEnvelopeSize. Written, copied or fetched with encryption-info, it is opened before the component gets any of it.
//
// # Stricter than the standard
//
//   - Vendor and class must have been checked by the shared sequence (the
//     standard says SHOULD).
//   - After an effect (a fetch, an invocation) inside an alternative or a
//     run-sequence, a failed condition in it is not soft: no alternative ever
//     sees what another has changed.
//   - After a fetch into a component, a failed image-match of it is not soft. In
//     the sections validate, load and invoke, a softened failure must be made
//     good by a later image-match of that component, or the section fails.
//   - Invoke demands an image-match of that component, with the digest then in
//     force, earlier in the same Run; one that only the journal remembers is made again.
//   - Fetch demands both image-digest and image-size, of a dependency the digest only; copy demands the digest of its
//     component, or an image-match of its source (not of a dependency's envelope, of which only the manifest is compared). Without
//     image-size, image-match is of all that the component holds, as its Reader tells: no component that cannot tell has one. What
//     is copied from a source that was matched is compared with that match as it is read, and what lies behind is left out.
//   - Nothing is written into a component whose Linker says that another manifest uses it. What a manifest itself uses it may
//     write again, as it does when it is resumed.
//   - Fetch goes where CheckURI lets it: not to files, to the device itself, or with credentials.
//   - A sequence number far above the floor needs a signature of the recovery group.
//
// Compat relaxes the first, and what is said about invoke, digests, sizes and dependencies that are there, for manifests like the drafts' examples.
//
// # Resuming
//
// With a Journal, a Run of payload-fetch and install can be cut at any point and
// repeated. Before an effect, the choices and answers that led there and that it begins are made
// durable; after it, that it is done. A later Run follows the same path. It does not repeat effects that are done, and
// does again what has only begun; a swap that had begun is finished before anything else. Where the content of a
// component has since been changed by what comes later, conditions are answered from the journal, and an authorization always is. The last
// effect on a component is compared with its digest again, if the component can, and made again if it does not match.
// A journal that no longer fits, because the slot to write has changed or another manifest has had an effect, is void, and the
// run begins anew: a swap that was done is then made a second time, as what the components hold does not tell whether it was. A
// manifest to which that would do harm asks first: a try-each of an image-match of what the swap is to bring, and the swap.
// The sections validate, load and invoke are never abridged.
package processor
