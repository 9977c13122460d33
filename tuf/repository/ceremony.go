// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// A ceremony signs metadata with keys that are not at hand: Stage or StageRoot prepares the next version of one role,
// SigningPayload is what the owners of the keys sign elsewhere, each in their own time, Attach takes a signature back, Missing says
// whose are still wanted, and Complete publishes. Until then the metadata lies in staged/, which no client looks at.

// ErrStale means that staged metadata was overtaken by what was published meanwhile: stage it again.
var ErrStale = errors.New("staged metadata is stale")

// StageRoot prepares the next root. Of a role that is absent from a map that part stays. It replaces a root that is staged already.
//
// A key of an offline role is replaced in steps, so that what is published stays valid: list the new key beside the old one, sign the role's
// metadata with the new one, drop the old key.
func (r *Repository) StageRoot(ctx context.Context, keys map[tuf.Role][]tuf.Key, thresholds map[tuf.Role]int) error {
	return r.edit(ctx, "stage root", func(e *edit) error {
		root, err := e.unsignedRoot(keys, thresholds)
		if err != nil {
			return err
		}
		return stage(ctx, r.s, tuf.RoleRoot, root, false)
	})
}

// Stage prepares the next metadata of one role of targets, and puts the target files in place. It replaces what is staged for the role. New
// delegated roles get no metadata with it: Accept brings that.
func (r *Repository) Stage(ctx context.Context, c Change) error {
	if c.Role == "" {
		c.Role = tuf.RoleTargets
	}
	return r.edit(ctx, "stage "+string(c.Role), func(e *edit) error {
		m, err := e.load(ctx, c.Role)
		if err != nil {
			return err
		}
		if err := e.change(m, c); err != nil {
			return err
		}
		if _, err := e.delegate(m, c); err != nil {
			return err
		}
		if m.Signed.Version, err = e.d.following(c.Role); err != nil {
			return err
		}
		m.Signed.Expires = e.o.expires(c.Role)
		if len(e.files) == 0 {
			return stage(ctx, r.s, c.Role, m, false)
		}
		// The files come after what lists them, as in draft.write, and until they are there nothing is staged.
		if err := stage(ctx, r.s, c.Role, m, true); err != nil {
			return err
		}
		if err := e.writeFiles(ctx); err != nil {
			return err
		}
		return stage(ctx, r.s, c.Role, m, false)
	})
}

func stage[T metadata.Roles](ctx context.Context, s store, role tuf.Role, m *metadata.Metadata[T], pending bool) error {
	text, err := json.Marshal(m.Signed)
	if err != nil {
		return fmt.Errorf("encode metadata: %v", err)
	}
	_, tag, err := s.Get(ctx, stagedPath(role), MaxMetadata)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return staged{Signed: text, Signatures: []stagedSignature{}, Pending: pending, tag: tag}.write(ctx, s, role)
}

// staged is a metadata file with the signatures that it has so far.
type staged struct {
	Signed     json.RawMessage   `json:"signed"`
	Signatures []stagedSignature `json:"signatures"`
	Pending    bool              `json:"pending,omitempty"` // the target files are not there yet

	tag Tag // of the file it was read from
}

type stagedSignature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

func stagedPath(role tuf.Role) string { return "staged/" + role.Filename() }

func (s staged) write(ctx context.Context, to store, role tuf.Role) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode metadata: %v", err)
	}
	return to.Put(ctx, stagedPath(role), bytes.NewReader(data), s.tag)
}

func (s store) staged(ctx context.Context, role tuf.Role) (m staged, err error) {
	if err := checkRole(role); err != nil {
		return m, err
	}
	data, tag, err := s.Get(ctx, stagedPath(role), MaxMetadata)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("staged %s: %w: %v", role, tuf.ErrMalformed, err)
	}
	if m.Pending {
		return m, fmt.Errorf("staged %s was cut off, stage it again: %w", role, fs.ErrNotExist)
	}
	m.tag = tag
	return m, nil
}

// SigningPayload returns the bytes that are to be signed for a staged role: its canonical form. Errors: fs.ErrNotExist if nothing is staged.
func (r *Repository) SigningPayload(ctx context.Context, role tuf.Role) ([]byte, error) {
	s, err := r.s.staged(ctx, role)
	if err != nil {
		return nil, err
	}
	return tuf.Canonical(s.Signed)
}

// Sign attaches the signatures of the signers at hand to a staged role. It is no error if there are none. Errors: as Attach.
func (r *Repository) Sign(ctx context.Context, role tuf.Role) error {
	payload, err := r.SigningPayload(ctx, role)
	if err != nil {
		return err
	}
	missing, err := r.Missing(ctx, role)
	if err != nil {
		return err
	}
	for _, s := range r.options().signersOf(role) {
		if !slices.ContainsFunc(missing, func(m Missing) bool { return slices.Contains(m.Keys, keyOf(s)) }) {
			continue
		}
		signature, err := s.Sign(ctx, payload)
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		if err := r.Attach(ctx, role, signature); err != nil {
			return err
		}
	}
	return nil
}

// Attach adds a signature over SigningPayload, in the form that the key's Verify takes. Whose it is is found out. The same one again is no error.
// Errors: verify.ErrSignature if it is of no key that can sign for the role; fs.ErrNotExist if nothing is staged.
func (r *Repository) Attach(ctx context.Context, role tuf.Role, signature []byte) error {
	return r.edit(ctx, "attach", func(e *edit) error {
		s, err := r.s.staged(ctx, role)
		if err != nil {
			return err
		}
		payload, err := tuf.Canonical(s.Signed)
		if err != nil {
			return err
		}
		sets, err := e.signatories(ctx, role, s)
		if err != nil {
			return err
		}
		for _, set := range sets {
			for _, key := range set.keys {
				if key.Verify(payload, signature) != nil {
					continue
				}
				_, id, err := idOf(set.listed, key)
				if err != nil {
					return err
				}
				if !s.has(id) {
					s.Signatures = append(s.Signatures, stagedSignature{id, hex.EncodeToString(signature)})
				}
				return s.write(ctx, r.s, role) // if it is there already, whoever attached it may not have made it durable
			}
		}
		return fmt.Errorf("%s: %w by any of its keys", role, verify.ErrSignature)
	})
}

func (s staged) has(keyID string) bool {
	return slices.ContainsFunc(s.Signatures, func(sig stagedSignature) bool { return sig.KeyID == keyID })
}

// Missing says that more signatures are wanted: Need of those that By lists, Have are there, and Keys have not signed.
type Missing struct {
	By         string
	Have, Need int
	Keys       []tuf.Key
}

// Missing returns what a staged role lacks, nothing if it can be completed. A root needs its own threshold and that of the root before it.
// Errors: fs.ErrNotExist if nothing is staged.
func (r *Repository) Missing(ctx context.Context, role tuf.Role) (list []Missing, err error) {
	err = r.edit(ctx, "missing", func(e *edit) error {
		s, err := r.s.staged(ctx, role)
		if err == nil {
			list, err = e.missing(ctx, role, s)
		}
		return err
	})
	return list, err
}

func (e *edit) missing(ctx context.Context, role tuf.Role, s staged) (list []Missing, err error) {
	sets, err := e.signatories(ctx, role, s)
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		m := Missing{By: set.by, Need: set.threshold}
		for _, key := range set.keys {
			if _, id, err := idOf(set.listed, key); err == nil && s.has(id) {
				m.Have++
			} else {
				m.Keys = append(m.Keys, key)
			}
		}
		if m.Have < m.Need {
			list = append(list, m)
		}
	}
	return list, nil
}

// signatories are the keys that can sign for a role, under which ids, and how many must.
type signatories struct {
	by        string
	keys      []tuf.Key
	listed    map[string]*metadata.Key
	threshold int
}

func (e *edit) signatories(ctx context.Context, role tuf.Role, s staged) ([]signatories, error) {
	held := e.p.client()
	root := held.Root()
	now := signatories{fmt.Sprintf("root %d", root.Version()), root.Keys(role), e.p.root.Signed.Keys, root.Threshold(role)}
	switch {
	case role == tuf.RoleRoot:
		next, err := tuf.InspectRoot(s.Signed)
		if err != nil {
			return nil, err
		}
		var m metadata.RootType
		if err := json.Unmarshal(s.Signed, &m); err != nil {
			return nil, fmt.Errorf("read staged root: %v", err)
		}
		return []signatories{now, {fmt.Sprintf("root %d", next.Version()), next.Keys(role), m.Keys, next.Threshold(role)}}, nil
	case slices.Contains(roles, role):
		return []signatories{now}, nil
	}
	d, from, err := e.p.delegator(ctx, string(role))
	if err != nil {
		return nil, err
	}
	list, err := e.d.listingBy(ctx, role, from)
	if err != nil {
		return nil, err
	}
	keys, threshold := d.Keys()
	return []signatories{{"the delegation", keys, list.keys, threshold}}, nil
}

// Complete publishes a staged role that has all its signatures. Snapshot and timestamp are signed by the signers at hand.
//
// A new root that changes keys of roles whose signers are at hand needs those of the old keys and of the new ones in Options: what they sign
// anew is then good for both roots, and is written before the root.
//
// Errors: ErrIncomplete if signatures or signers are missing; ErrStale; fs.ErrNotExist if nothing is staged; those of Publish.
// Power cut: clients see the old state or the new one; call Complete again, ErrStale then says that it was done.
func (r *Repository) Complete(ctx context.Context, role tuf.Role) error {
	return r.edit(ctx, "complete "+string(role), func(e *edit) error {
		s, err := r.s.staged(ctx, role)
		if err != nil {
			return err
		}
		missing, err := e.missing(ctx, role, s)
		if err != nil {
			return err
		}
		for _, m := range missing {
			return fmt.Errorf("%w: %s: %d of the keys of %s signed, %d needed", ErrIncomplete, role, m.Have, m.By, m.Need)
		}
		data, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode metadata: %v", err)
		}
		if role == tuf.RoleRoot {
			err = e.completeRoot(ctx, data)
		} else {
			err = e.completeTargets(ctx, role, data)
		}
		if err != nil {
			return err
		}
		return r.s.Delete(ctx, stagedPath(role))
	})
}

func (e *edit) completeRoot(ctx context.Context, data []byte) error {
	after := e.p.client()
	if err := after.UpdateRoot(data); errors.Is(err, tuf.ErrRollback) {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	return e.install(ctx, data, e.o.topSigners())
}

func (e *edit) completeTargets(ctx context.Context, role tuf.Role, data []byte) error {
	m, err := parse(metadata.Targets(), data)
	if err != nil {
		return fmt.Errorf("read staged %s: %w", role, err)
	}
	version := m.Signed.Version
	if last := e.d.last[role]; version <= last {
		old, err := e.p.s.read(ctx, role, version)
		if err != nil || string(old) != string(data) { // equal bytes are what a cut left of this very call
			return fmt.Errorf("%w: version %d is there, %d was staged", ErrStale, last, version)
		}
	}
	e.d.next[role] = version
	if role == tuf.RoleTargets {
		e.d.given, e.d.targets = role, m
		e.d.add(role, data)
		e.d.snapshot.Signed.Meta[role.Filename()] = metaFile(version, data)
	} else {
		e.d.list(role, data)
	}
	return e.finish(ctx)
}
