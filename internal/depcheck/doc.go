// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package depcheck holds the arrows between Firmament's packages as a test; there is nothing to import.
//
// The rules, each with the name under which the test reports it ("imports" is direct, "links" is
// with everything imported in turn, tests excepted):
//
//	verify        verify imports none of ours but verify/... and internal/...
//	trees         manifest, tuf, fetch and install import their own tree, verify and internal, not each other
//	parents       a sub-package may import its parent, never the reverse
//	internal      internal imports none of ours but internal and verify
//	root          nothing imports the root; the root links no tuf/... and no go-tuf
//	gotuf         only tuf/repository imports go-tuf
//	author        nothing on the device's side links manifest/author or tuf/repository
//	device        the device's side links no os/exec, database/sql or testing; nothing imports log or cgo
//	dependencies  the device's side links no module but those listed in rules_test.go
//	testonly      nothing but test support links test keys, vectors or test support
//	examples      the library imports no example; examples import nothing internal of the library, as a
//	              user's code cannot; agent links nothing of the author's side
//	suitonly      the agent built with -tags suitonly links no tuf/... and no go-tuf
//
// Every package of the module that is not manifest/author, tuf/repository or below them is on
// the device's side. The rules hold for linux, windows and darwin.
package depcheck
