// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// SearchLimits bounds one search through delegations, so that no signer of a delegated role can make a client work without end.
// 0 is the default.
type SearchLimits struct {
	Roles int // delegated roles visited, 32
	Depth int // delegations between the top-level targets role and the one visited, 16
}

func (l SearchLimits) complete() SearchLimits {
	if l.Roles == 0 {
		l.Roles = 32
	}
	if l.Depth == 0 {
		l.Depth = 16
	}
	return l
}

// visit is a delegation that a search has still to follow.
type visit struct {
	Delegation
	depth int
}

// Search looks for a target path in t and then, depth first and in the order of the lists, in the roles that t delegates it to. It
// asks open for the metadata of each, which must be verified as that very delegation demands (Set.OpenDelegated): another
// delegator may trust the same role with other keys. A role is visited once. A terminating delegation ends the
// search after its own descendants.
//
// Errors: ErrTargetUnknown, ErrDelegation if a limit is reached, and the error of open, which ends the search: what cannot be
// read could have listed the target.
//
// TUF 1.0.34, section 5.6.7.
func (t *Targets) Search(target string, limits SearchLimits, open func(Delegation) (*Targets, error)) (TargetFile, error) {
	limits = limits.complete()
	file, err := t.Target(target)
	if err == nil || !errors.Is(err, ErrTargetUnknown) {
		return file, err
	}
	todo := push(nil, t, target, 1)
	visited := make(map[string]bool)
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if visited[next.name] {
			continue
		}
		if len(visited) == limits.Roles || next.depth > limits.Depth {
			return TargetFile{}, fmt.Errorf("target %.200q: %w: not found in %d roles, %d deep", target, ErrDelegation, len(visited), next.depth-1)
		}
		visited[next.name] = true
		role, err := open(next.Delegation)
		if err != nil {
			return TargetFile{}, fmt.Errorf("target %.200q: %w", target, err)
		}
		if file, err := role.Target(target); err == nil || !errors.Is(err, ErrTargetUnknown) {
			return file, err
		}
		todo = push(todo, role, target, next.depth+1)
	}
	return TargetFile{}, err
}

// push puts the delegations of t for target on the stack, the first one on top; a terminating one hides whatever comes after it.
func push(todo []visit, t *Targets, target string, depth int) []visit {
	list := t.delegations.matching(target)
	if i := slices.IndexFunc(list, Delegation.Terminating); i >= 0 {
		list, todo = list[:i+1], todo[:0]
	}
	for _, d := range slices.Backward(list) {
		todo = append(todo, visit{d, depth})
	}
	return todo
}

// Open verifies metadata of the role with the keys of d alone: signatures and form, neither expiry nor what a snapshot lists. It is for
// whoever is to list it; a client uses Set.OpenDelegated. Errors: ErrMalformed, ErrThreshold.
func (d Delegation) Open(data []byte) (*Targets, error) {
	if d.signers == nil {
		return nil, errOrder
	}
	return openTargets(d.signers, Role(d.name), bytes.NewReader(data), int64(len(data)), MetaFile{}, true)
}

// DelegatedMeta is what the current snapshot lists for a delegated role.
//
// Errors: ErrDelegation if it lists nothing: such a role is not to be trusted, nor looked for.
func (s *Set) DelegatedMeta(role string) (MetaFile, error) {
	if err := CheckRoleName(role); err != nil {
		return MetaFile{}, err
	}
	if !s.SnapshotCurrent() {
		return MetaFile{}, errOrder
	}
	listed, ok := s.snapshot.meta[role+".json"]
	if !ok {
		return MetaFile{}, &RoleError{Role: Role(role), Err: fmt.Errorf("%w: the snapshot does not list the role", ErrDelegation)}
	}
	return listed, nil
}

// OpenDelegated verifies metadata of a delegated role as the current snapshot lists it and as d demands, with every check that the
// top-level targets metadata undergoes. What it returns keeps data; the Set keeps nothing.
//
// Errors: ErrDelegation, ErrMixAndMatch, ErrMalformed, ErrThreshold, ErrFreeze.
func (s *Set) OpenDelegated(d Delegation, data []byte, at time.Time) (*Targets, error) {
	return s.OpenDelegatedFile(d, bytes.NewReader(data), int64(len(data)), at)
}

// OpenDelegatedFile is OpenDelegated for a file that is not held in memory; see UpdateTargetsFile.
func (s *Set) OpenDelegatedFile(d Delegation, r io.ReaderAt, size int64, at time.Time) (*Targets, error) {
	listed, err := s.DelegatedMeta(d.name)
	if err != nil {
		return nil, err
	}
	t, err := openTargets(d.signers.under(s.root.policy, Role(d.name)), Role(d.name), r, size, listed, true)
	if err != nil {
		return nil, err
	}
	if err := t.CheckFresh(at); err != nil {
		return nil, fail(Role(d.name), t.version, err)
	}
	return t, nil
}
