// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/product"
	"github.com/firmament-dev/firmament/fetch/delta"
)

// update publishes v2 and installs it over a connection that is cut, by a process that is killed. What is downloaded is the delta, or the packed image: images of your own may
// have nothing in common, and be packed already.
func (s *story) update(ctx context.Context) error {
	if len(s.pair.new) < 3*delta.MinFrameSize {
		s.product.Deltas, s.product.Pack = 0, false // too small to be cut twice
	}
	out, err := s.release(ctx, s.pair.new, "2")
	if err != nil {
		return err
	}
	s.product.Deltas, s.product.Pack = product.DefaultDeltas, true
	s.say("v2 published", "release %d: envelope of %d bytes, %d chunks signed; %s", out.Sequence, len(out.Envelope), out.Chunks, offered(out))
	t, err := s.trouble(out)
	if err != nil {
		return err
	}
	s.server.set(func(b *badServer) { b.payload, b.cut, b.hang = t.file, t.cut, t.hang })
	p, err := s.start(ctx)
	if err != nil {
		return err
	}
	exited := make(chan answer, 1)
	failed := make(chan error, 1)
	go func() {
		a, err := p.wait()
		exited <- a
		failed <- err
	}()
	select {
	case <-s.server.hung:
	case a := <-exited:
		return fmt.Errorf("agent ended before it could be killed: %s: %w", a.Cause, errStep)
	case <-time.After(time.Minute):
		return errors.Join(fmt.Errorf("agent did not come to %d bytes within a minute: %w", t.hang, errStep), p.cmd.Process.Kill())
	}
	if err := s.waitForSlot(ctx, t.written); err != nil {
		return errors.Join(err, p.cmd.Process.Kill())
	}
	// Killed as power would: no handler runs. What is on the disk is all there is.
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	<-exited
	<-failed
	first := s.server.sentSoFar()
	again := first - t.hang // what the second connection sent of what the first had sent
	s.say("download cut", "at %d of %d bytes of the %s; resumed in the same process, %d bytes not fetched twice", t.cut, t.size, t.what, t.cut-again)
	s.server.set(func(b *badServer) { b.payload = t.file })
	a, err := s.agent(ctx)
	if err != nil {
		return err
	}
	if err := a.expect("staged"); err != nil {
		return err
	}
	second := s.server.sentSoFar()
	kept := t.size - second
	if kept <= 0 || t.cut-again <= 0 {
		return fmt.Errorf("nothing was kept: %d and %d bytes sent for %d: %w", first, second, t.size, errStep)
	}
	s.summary.NotRefetched = kept + t.cut - again
	s.say("killed with SIGKILL", "at %d of %d bytes of the %s; a new process went on, %d bytes not fetched twice", t.hang, t.size, t.what, kept)
	s.summary.Downloaded, s.summary.Image = first+second, out.Size
	s.say("installed", "%s, cuts included; slot B holds %s, read back from the file; state %s, not confirmed", cost(first+second, out.Size), out.Digest[:23], a.State)
	return nil
}

// trouble is where the download of a release is to be cut, and then to hang.
type trouble struct {
	file, what      string
	size, cut, hang int64
	written         int64 // what the slot holds when it hangs, at least: the server is ahead of the agent by what the sockets hold
}

// trouble chooses what the agent will choose. Of a delta and of a packed image the first frame is whole before the cut, the second before the kill. Package fetch/delta has the
// format of both.
func (s *story) trouble(out product.Published) (trouble, error) {
	t := trouble{file: out.Payload, what: "image", size: out.Size, cut: out.Size / 3, hang: out.Size * 2 / 3}
	t.written = t.hang/chunkSize*chunkSize - chunkSize
	if out.Packed != nil {
		t.file, t.what, t.size = out.Packed.File, "packed image", out.Packed.Size
	}
	if len(out.Deltas) > 0 && out.Deltas[0].Size < t.size {
		t.file, t.what, t.size = out.Deltas[0].Patch, "delta", out.Deltas[0].Size
	}
	if t.file == out.Payload {
		return t, nil
	}
	patch, err := os.ReadFile(filepath.Join(s.product.RepositoryDir(), filepath.FromSlash(t.file)))
	if err != nil {
		return t, err
	}
	const header, entry, page, link = 128, 68, 64, 32
	frame := int64(binary.BigEndian.Uint32(patch[8:]))
	frames := (out.Size-1)/frame + 1
	length := func(n int64) int64 { return int64(binary.BigEndian.Uint32(patch[header+entry*n:])) }
	first := header + entry*frames + link*((frames-1)/page)
	t.written = 2 * frame
	t.cut = first + length(0) + length(1)/2
	t.hang = first + length(0) + length(1) + length(2)/2
	return t, nil
}

// offered says what a device can download instead of the image.
func offered(out product.Published) string {
	text := "no delta: the images have too little in common"
	if len(out.Deltas) > 0 {
		text = fmt.Sprintf("a delta of %d bytes for devices that run release %d", out.Deltas[0].Size, out.Deltas[0].From)
	}
	if out.Packed != nil {
		text += fmt.Sprintf("; packed, the image has %d bytes", out.Packed.Size)
	}
	return text
}

// cost says what a download took, cuts included.
func cost(network, size int64) string {
	if network < size {
		return fmt.Sprintf("downloaded %d KB instead of %d", (network+999)/1000, (size+999)/1000)
	}
	return fmt.Sprintf("downloaded %d KB", (network+999)/1000)
}

// waitForSlot waits until slot B holds the first n bytes of the new image.
func (s *story) waitForSlot(ctx context.Context, n int64) error {
	name := filepath.Join(s.product.DeviceDir(), "slot-b.img")
	for range 1000 {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		got := make([]byte, n)
		_, err = f.ReadAt(got, 0)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if bytes.Equal(got, s.pair.new[:n]) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("slot B does not hold %d bytes of the new image after 10 seconds: %w", n, errStep)
}

// trial boots v2 and accepts it.
func (s *story) trial(ctx context.Context) error {
	b, err := s.machine.powerOn(ctx)
	if err != nil {
		return err
	}
	if err := b.check("B", s.pair.newBanner); err != nil {
		return err
	}
	s.say("trial boot", "slot B says %q", b.banner)
	a, err := s.agent(ctx)
	if err != nil {
		return err
	}
	if err := a.expect("accepted"); err != nil {
		return err
	}
	s.say("health", "%s", a.Health)
	s.say("accepted", "slot %s confirmed, release %d, anti-rollback counter %d, state %s", a.Slot, a.Accepted, a.Counter, a.State)
	return nil
}
