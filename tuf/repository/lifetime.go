// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// lifetime is until when a version of a delegated role is good. Err says why clients cannot use that version.
type lifetime struct {
	version int64
	expires time.Time
	err     error
}

// Where there are many delegated roles, what was read of them is kept in the file expiries: version and end of validity, in seconds since 1970, by role,
// under a digest of the keys that the delegation demands. A version of a role never changes, so this never is out of date; a file that is damaged, or
// that nobody could write, costs time only. It decides nothing but what is looked at: what is signed anew is verified first.
const (
	expiriesName  = "expiries"
	minExpiries   = 16 // roles for which it is worth a file
	maxExpiryFile = 64 << 20
)

type expiries map[string]map[tuf.Role][2]int64

func (s store) expiries(ctx context.Context) (known expiries, tag Tag) {
	data, tag, err := s.Get(ctx, expiriesName, maxExpiryFile)
	if err != nil || json.Unmarshal(data, &known) != nil {
		known = nil
	}
	return known, tag
}

// keep writes what was read. Whether that succeeds makes no difference to anybody but the next who asks.
func (e expiries) keep(ctx context.Context, s store, old Tag) {
	if data, err := json.Marshal(e); err == nil {
		_ = s.Put(ctx, expiriesName, bytes.NewReader(data), old)
	}
}

// lifetimes calls f for each delegated role that the snapshot lists and somebody delegates to, by name. It reads the roles that nobody has read yet.
func (p *published) lifetimes(ctx context.Context, f func(role tuf.Role, l lifetime, way tuf.Delegation) error) error {
	list := p.delegated()
	var known expiries
	var tag Tag
	if len(list) >= minExpiries {
		known, tag = p.s.expiries(ctx)
	}
	seen, fresh := expiries{}, 0
	for _, role := range list {
		way, _, err := p.delegator(ctx, string(role))
		if err != nil {
			continue // nobody looks at it any more
		}
		listed, err := p.set.DelegatedMeta(string(role))
		if err != nil {
			return err
		}
		l, by := lifetime{version: listed.Version}, keysDigest(way)
		if is, ok := known[by][role]; ok && is[0] == listed.Version {
			l.expires = time.Unix(is[1], 0).UTC()
		} else if t, err := p.openAs(ctx, way); err != nil {
			l.err = err
		} else {
			l.expires = t.Expires()
			fresh++
		}
		if l.err == nil {
			if seen[by] == nil {
				seen[by] = map[tuf.Role][2]int64{}
			}
			seen[by][role] = [2]int64{l.version, l.expires.Unix()}
		}
		if err := f(role, l, way); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if len(list) >= minExpiries && fresh > 0 {
		seen.keep(ctx, p.s, tag)
	}
	return nil
}

// keysDigest stands for what a delegation demands of signatures.
func keysDigest(d tuf.Delegation) string {
	keys, threshold := d.Keys()
	var ids [][]byte
	for _, key := range keys {
		ids = append(ids, key.ID().Bytes())
	}
	slices.SortFunc(ids, bytes.Compare)
	sum := sha256.Sum256(append(bytes.Join(ids, nil), byte(threshold), byte(threshold>>8)))
	return hex.EncodeToString(sum[:])
}
