// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"

	"github.com/firmament-dev/firmament/tuf"
)

// Export says what goes into a bundle.
type Export struct {
	Targets []string // target paths, such as those of envelopes

	// Payloads are files of the Remote beside its metadata, such as "payloads/1.2.img". They are copied as they are, unverified: what a
	// device takes of them is for the manifests to say. The Remote must be a Streamer.
	Payloads   []string
	MaxPayload int64 // bytes of each, 4 GiB if 0
}

// A BundleWriter takes the files of a bundle one after the other: a *zip.Writer, or a bundle.Dir. Create begins the next file; the
// one before is complete.
type BundleWriter interface {
	Create(name string) (io.Writer, error)
}

// Export refreshes the metadata and writes a bundle for devices that have no way to the Remote: every root since the provisioned one, the
// current timestamp, snapshot and targets, the metadata of the delegated roles that lead to the targets, the targets, and the payloads. All metadata is
// verified again in the form in which it is written. The timestamp comes last, so a bundle that broke off is none. It serves until the first of
// its metadata expires.
//
// Errors: as Refresh, Target and Download; those of w. After an error what was written is to be thrown away.
func (c *Client) Export(ctx context.Context, w BundleWriter, e Export) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refresh(ctx); err != nil {
		return err
	}
	timestamp, err := c.exportMetadata(w)
	if err != nil {
		return err
	}
	written := make(map[string]bool)
	for _, name := range e.Targets {
		if err := c.exportTarget(ctx, w, name, written); err != nil {
			return err
		}
	}
	for _, name := range e.Payloads {
		if err := c.exportPayload(ctx, w, name, e.MaxPayload); err != nil {
			return err
		}
	}
	return writeFile(w, "metadata/"+tuf.RoleTimestamp.Filename(), timestamp)
}

func writeFile(w BundleWriter, name string, data []byte) error {
	f, err := w.Create(name)
	if err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		return fmt.Errorf("bundle: %s: %w", name, err)
	}
	return nil
}

// exportMetadata writes everything but the timestamp, which it returns. It follows the bytes through a Set of their own.
func (c *Client) exportMetadata(w BundleWriter) (timestamp []byte, err error) {
	set := *c.first
	root := c.o.Root
	for {
		if err := writeFile(w, fmt.Sprintf("metadata/%d.%s", set.Root().Version(), tuf.RoleRoot.Filename()), root); err != nil {
			return nil, err
		}
		if set.Root().Version() >= c.set.Root().Version() {
			break
		}
		name := fmt.Sprintf("%d.%s", set.Root().Version()+1, tuf.RoleRoot.Filename())
		root = c.cache.read(name, tuf.RoleRoot)
		if err := set.UpdateRoot(root); err != nil {
			return nil, cacheError(name, err)
		}
	}
	timestamp = c.cache.read(tuf.RoleTimestamp.Filename(), tuf.RoleTimestamp)
	if _, err := set.UpdateTimestamp(timestamp, c.at); err != nil {
		return nil, cacheError("timestamp", err)
	}
	snapshot := c.cache.read(tuf.RoleSnapshot.Filename(), tuf.RoleSnapshot)
	if err := set.UpdateSnapshot(snapshot, c.at); err != nil {
		return nil, cacheError("snapshot", err)
	}
	if err := writeFile(w, c.remoteName(string(tuf.RoleSnapshot), set.Timestamp().Snapshot()), snapshot); err != nil {
		return nil, err
	}
	targets := c.cache.body(tuf.RoleTargets.Filename())
	if targets == nil {
		return nil, cacheError("targets", fs.ErrNotExist)
	}
	if err := set.UpdateTargetsFile(targets, targets.size, c.at); err != nil {
		return nil, cacheError("targets", err)
	}
	listed, _ := set.Snapshot().Meta(tuf.RoleTargets.Filename())
	return timestamp, writeBody(w, c.remoteName(string(tuf.RoleTargets), listed), targets)
}

func writeBody(w BundleWriter, name string, b *body) error {
	f, err := w.Create(name)
	if err == nil {
		_, err = io.Copy(f, io.NewSectionReader(b, 0, b.size))
	}
	if err != nil {
		return fmt.Errorf("bundle: %s: %w", name, err)
	}
	return nil
}

// exportTarget writes a target and the delegated metadata on the way to it.
func (c *Client) exportTarget(ctx context.Context, w BundleWriter, name string, written map[string]bool) error {
	if err := tuf.CheckPath(name); err != nil {
		return err
	}
	limits := tuf.SearchLimits{Roles: c.o.Limits.Delegations, Depth: c.o.Limits.Depth}
	file, err := c.set.Targets().Search(name, limits, func(d tuf.Delegation) (*tuf.Targets, error) {
		t, err := c.delegated(ctx, d)
		if err != nil {
			return nil, err
		}
		listed, err := c.set.DelegatedMeta(d.Name())
		if err != nil {
			return nil, err
		}
		as := c.remoteName(url.PathEscape(d.Name()), listed)
		if written[as] {
			return t, nil
		}
		written[as] = true
		b := c.cache.body(delegatedFile(d.Name()))
		if b == nil {
			return nil, cacheError(as, fs.ErrNotExist)
		}
		if t, err = c.set.OpenDelegatedFile(d, b, b.size, c.at); err != nil {
			return nil, cacheError(as, err)
		}
		return t, writeBody(w, as, b)
	})
	if err != nil {
		return err
	}
	as, err := file.Filename(c.set.Root().ConsistentSnapshot())
	if err != nil || written["targets/"+as] {
		return err
	}
	written["targets/"+as] = true
	f, err := w.Create("targets/" + as)
	if err != nil {
		return fmt.Errorf("bundle: %s: %w", as, err)
	}
	return c.copyTarget(ctx, file, f)
}

func (c *Client) exportPayload(ctx context.Context, w BundleWriter, name string, max int64) error {
	if err := tuf.CheckPath(name); err != nil {
		return err
	}
	if max == 0 {
		max = 4 << 30
	}
	failed := fmt.Errorf("payload %q: %w: no remote that streams", name, tuf.ErrTransport)
	for _, m := range c.order() {
		s, ok := m.Remote.(Streamer)
		if !ok {
			continue
		}
		body, err := s.Open(ctx, name)
		if err != nil {
			failed = transportError(ctx, name, max, err)
			continue
		}
		f, err := w.Create(name)
		if err == nil {
			var n int64
			if n, err = io.Copy(f, io.LimitReader(remoteReader{ctx, name, max, body}, max+1)); err == nil && n > max {
				err = fmt.Errorf("%w: more than %d bytes", tuf.ErrLength, max)
			}
		}
		if err = errors.Join(err, body.Close()); err != nil {
			return fmt.Errorf("payload %q: %w", name, err)
		}
		return nil
	}
	return failed
}
