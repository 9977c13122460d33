// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/tuf"
)

// An index lets a start go without verifying a file of targets metadata that an earlier one verified (tuf.Targets.Index). It lies beside the
// file, behind a MAC over its own name and content: whoever can write the cache, but does not have the key, can take it away
// and no more. It is written after the file and holds the digests of the file's blocks, so one that a power cut left without its
// file, or beside another, fits nothing and is passed over.

const (
	indexSuffix = ".index"
	macSize     = 32
)

func indexName(name string) string { return strings.TrimSuffix(name, ".json") + indexSuffix }

// sealed is what the MAC is over. Should the layout of an index ever change, so must the label, because the device may fall back to an older program.
func sealed(name string, index []byte) []byte {
	return append(fmt.Appendf(nil, "firmament tuf client index\x00%s\x00", name), index...)
}

// writeIndex keeps the index of a file that was just verified. That it cannot be kept costs time at the next start and is no error.
func (c *Client) writeIndex(ctx context.Context, name string, t *tuf.Targets) {
	if c.o.Seal == nil || t == nil {
		return
	}
	index := t.Index()
	if index == nil || len(index) > maxIndex {
		return
	}
	message := sealed(name, index)
	mac, err := c.o.Seal.MAC(ctx, message)
	if err != nil || len(mac) != macSize {
		return
	}
	_ = durable.WriteFile(c.cache.fsys, indexName(name), append(mac, index...))
}

// maxIndex bounds an index that is read: some 0.5 % of the file, and its delegations.
const maxIndex = 16 << 20

// index returns the index of a file, nil if there is none that was written with the device's key.
func (c *Client) index(ctx context.Context, name string) []byte {
	if c.o.Seal == nil {
		return nil
	}
	data, err := durable.ReadFile(c.cache.fsys, indexName(name), maxIndex+macSize)
	if err != nil || len(data) < macSize {
		return nil
	}
	mac, err := c.o.Seal.MAC(ctx, sealed(name, data[macSize:]))
	if err != nil || !hmac.Equal(mac, data[:macSize]) {
		return nil
	}
	return data[macSize:]
}

// dropIndexes makes the next start verify every file.
func (c *cache) dropIndexes() error {
	names, err := c.fsys.ReadDir(".")
	for _, name := range names {
		if strings.HasSuffix(name, indexSuffix) {
			err = errors.Join(err, c.fsys.Remove(name))
		}
	}
	if err != nil {
		return cacheError("remove indexes", err)
	}
	return nil
}

// restoreTargets puts back the top-level targets metadata, by its index or by verifying it.
func (c *Client) restoreTargets(ctx context.Context) {
	name := tuf.RoleTargets.Filename()
	b := c.cache.body(name)
	if b == nil {
		return
	}
	if index := c.index(ctx, name); index != nil {
		trial := *c.set
		if trial.RestoreTargetsIndex(b, b.size, index) == nil && (b.data == nil || trial.Targets().CheckFile() == nil) {
			*c.set = trial
			return
		}
	}
	if c.set.RestoreTargetsFile(b, b.size) == nil {
		c.writeIndex(ctx, name, c.set.Targets())
	}
}

// openDelegated returns the metadata of a role from a cached file, by its index or by verifying it as d demands.
func (c *Client) openDelegated(ctx context.Context, d tuf.Delegation, b *body, at time.Time) (*tuf.Targets, error) {
	if index := c.index(ctx, b.name); index != nil {
		t, err := c.set.OpenDelegatedIndex(d, b, b.size, index, at)
		if err == nil && (b.data == nil || t.CheckFile() == nil) {
			return t, nil
		}
	}
	t, err := c.set.OpenDelegatedFile(d, b, b.size, at)
	if err == nil {
		c.writeIndex(ctx, b.name, t)
	}
	return t, err
}
