// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/product"
)

// badRelease publishes v3, correctly signed, with its first bytes destroyed.
func (s *story) badRelease(ctx context.Context) error {
	bad := bytes.Clone(s.pair.new)
	clear(bad[:4096])
	out, err := s.release(ctx, bad, "3")
	if err != nil {
		return err
	}
	a, err := s.agent(ctx)
	if err != nil {
		return err
	}
	if err := a.expect("staged"); err != nil {
		return err
	}
	var tried int
	for {
		b, err := s.machine.powerOn(ctx)
		if err != nil {
			return err
		}
		if b.up {
			if err := b.check("B", s.pair.newBanner); err != nil {
				return err
			}
			break
		}
		if tried++; tried > trials {
			return fmt.Errorf("the boot loader tried %d times: %w", tried, errStep)
		}
	}
	if a, err = s.agent(ctx); err != nil {
		return err
	}
	if err := a.expect("reverted"); err != nil {
		return err
	}
	s.say("v3 gone back by itself", "signed, but its first 4096 bytes are destroyed: %d trial boots stayed silent; slot %s runs release %d, v%d is %s and not tried again",
		tried, a.Slot, a.Accepted, out.Sequence, a.State)
	return nil
}

// tampered flips one bit of v4 on the server.
func (s *story) tampered(ctx context.Context) error {
	if err := os.CopyFS(s.beforeV4(), os.DirFS(s.product.RepositoryDir())); err != nil {
		return err
	}
	s.product.Deltas, s.product.Pack = 0, false // this is about the image
	out, err := s.release(ctx, s.pair.old, "4")
	if err != nil {
		return err
	}
	s.product.Deltas, s.product.Pack = product.DefaultDeltas, true
	slotA := filepath.Join(s.product.DeviceDir(), "slot-a.img")
	before, err := os.ReadFile(slotA)
	if err != nil {
		return err
	}
	bad := out.Chunks / 2
	s.server.set(func(b *badServer) { b.payload, b.flip = out.Payload, bad*chunkSize+5 })
	a, err := s.agent(ctx)
	if err != nil {
		return err
	}
	if err := a.expectRefusal("fetch.ErrDigest"); err != nil {
		return err
	}
	after, err := os.ReadFile(slotA)
	if err != nil {
		return err
	}
	good := int(bad * chunkSize)
	if !bytes.Equal(after[:good], s.pair.old[:good]) || !bytes.Equal(after[good:], before[good:]) {
		return fmt.Errorf("slot A does not hold the good chunks and nothing else: %w", errStep)
	}
	s.say("refused: tampered", "%s at chunk %d of %d; %d good chunks in the slot, the bad one and all after it never reached it", a.Error, bad, out.Chunks, bad)
	s.server.set(func(b *badServer) {})
	return nil
}

// replayed serves the repository as it was before v4.
func (s *story) replayed(ctx context.Context) error {
	if err := s.serve(s.beforeV4()); err != nil {
		return err
	}
	a, err := s.agent(ctx)
	if err != nil {
		return err
	}
	if err := a.expectRefusal("tuf.ErrRollback"); err != nil {
		return err
	}
	s.say("refused: replayed", "%s: %s", a.Error, s.brief(a.Cause))
	return s.serve(s.product.RepositoryDir())
}

func (s *story) beforeV4() string { return filepath.Join(s.dir, "before-v4") }

// otherClass publishes a manifest for other hardware under this device's name.
func (s *story) otherClass(ctx context.Context) error {
	vendor, _, _, err := s.product.IDs()
	if err != nil {
		return err
	}
	if _, err := s.product.ReleaseFor(ctx, vendor, bytes.NewReader(s.pair.new), int64(len(s.pair.new)), "for others"); err != nil {
		return err
	}
	a, err := s.agent(ctx)
	if err != nil {
		return err
	}
	if err := a.expectRefusal("manifest.ErrNotApplicable"); err != nil {
		return err
	}
	s.say("refused: other class", "%s: %s", a.Error, a.Cause)
	return nil
}

// expired serves a timestamp that was signed too long ago.
func (s *story) expired(ctx context.Context) error {
	past, err := product.Open(ctx, s.product.Dir, func() time.Time { return time.Now().AddDate(-1, 0, 0) })
	if err != nil {
		return err
	}
	if err := past.Repo.Publish(ctx, nil); err != nil {
		return err
	}
	a, err := s.agent(ctx)
	if err != nil {
		return err
	}
	if err := a.expectRefusal("tuf.ErrFreeze"); err != nil {
		return err
	}
	s.say("refused: expired", "%s: %s", a.Error, s.brief(a.Cause))
	return nil
}

// brief leaves out which target it is about: there is only one.
func (s *story) brief(cause string) string {
	_, rest, ok := strings.Cut(cause, "/"+s.product.Config.Channel+".suit: ")
	if !ok {
		return cause
	}
	return rest
}

// recovered shows that none of this did lasting harm: the next good release goes through, though its delta is tampered with. Its last chunk is all that the device does not
// have.
func (s *story) recovered(ctx context.Context) error {
	var err error
	if s.product, err = product.Open(ctx, s.product.Dir, time.Now); err != nil {
		return err
	}
	s.product.Pack = false // so that chunks are the next way, whatever the images are
	out, err := s.release(ctx, append(bytes.Clone(s.pair.new), "fixed"...), "fixed")
	if err != nil {
		return err
	}
	if len(out.Deltas) == 0 {
		return fmt.Errorf("release %d has no delta: %w", out.Sequence, errStep)
	}
	s.server.set(func(b *badServer) { b.payload, b.flip = out.Deltas[0].Patch, 140 }) // in its table
	a, err := s.agent(ctx)
	if err != nil {
		return err
	}
	if err := a.expect("staged"); err != nil {
		return err
	}
	if a.Way != "chunks" || a.Network >= out.Size {
		return fmt.Errorf("came by %s with %d bytes, want chunks: %w", a.Way, a.Network, errStep)
	}
	s.say("tampered delta", "refused at its table's digest; what the device has of the image was used instead: %s", cost(a.Network, out.Size))
	b, err := s.machine.powerOn(ctx)
	if err != nil {
		return err
	}
	if err := b.check("A", s.pair.newBanner); err != nil {
		return err
	}
	if a, err = s.agent(ctx); err != nil {
		return err
	}
	if err := a.expect("accepted"); err != nil {
		return err
	}
	if a.Accepted != out.Sequence {
		return fmt.Errorf("device runs release %d, want %d: %w", a.Accepted, out.Sequence, errStep)
	}
	s.running = a.Accepted
	s.say("none did lasting harm", "release %d installed, booted from slot %s (%q) and accepted; nothing was repaired by hand", a.Accepted, a.Slot, b.banner)
	return nil
}
