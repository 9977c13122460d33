// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/product"
	"github.com/firmament-dev/firmament/fetch/delta"
)

// trials is how often the boot loader tries a release before it goes back.
const trials = 3

// A story is one telling of the quickstart.
type story struct {
	out, progress io.Writer
	dir           string
	pair          pair
	product       *product.Product
	server        *badServer
	machine       machine
	n             int    // steps told
	running       uint64 // release that runs in the end
	summary       summary
}

// summary is what --json prints.
type summary struct {
	Result       string  `json:"result"`
	Old          string  `json:"old"`
	New          string  `json:"new"`
	Boots        string  `json:"boots"` // qemu or simulated
	Steps        []step  `json:"steps"`
	NotRefetched int64   `json:"bytes_not_fetched_twice"`
	Downloaded   int64   `json:"v2_bytes_downloaded"`
	Image        int64   `json:"v2_bytes"`
	Seconds      float64 `json:"seconds"`
}

type step struct {
	Name     string `json:"name"`
	Evidence string `json:"evidence"`
}

// say prints one step with its evidence.
func (s *story) say(name, format string, args ...any) {
	s.n++
	evidence := fmt.Sprintf(format, args...)
	s.summary.Steps = append(s.summary.Steps, step{name, evidence})
	fmt.Fprintf(s.out, "%2d  %-23s %s\n", s.n, name, wrap(evidence, 92, strings.Repeat(" ", 28)))
}

// wrap breaks text between words into lines of at most width bytes, and puts indent before each line but the first. A longer word stays whole.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	at := 0
	for i, word := range strings.Split(text, " ") {
		switch {
		case i == 0:
		case at+1+len(word) > width:
			b.WriteString("\n" + indent)
			at = 0
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	return b.String()
}

// tell runs the steps in order. Each leaves the device as the next expects it.
func (s *story) tell(ctx context.Context) error {
	begin := time.Now()
	s.summary.Old, s.summary.New = s.pair.oldName, s.pair.newName
	fmt.Fprintf(s.out, "Firmament quickstart: %s (%d bytes) to %s (%d bytes), in chunks of %d KiB\n",
		s.pair.oldName, len(s.pair.old), s.pair.newName, len(s.pair.new), chunkSize>>10)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s.machine = newMachine(s.pair)
	if s.machine.qemu == "" {
		s.pair.oldBanner, s.pair.newBanner = "", "" // nobody says them
	}
	fmt.Fprintf(s.out, "%s\n\n", s.machine)
	served := make(chan error, 1)
	if err := s.setUp(ctx, served); err != nil {
		return err
	}
	for _, f := range []func(context.Context) error{
		s.provision, s.update, s.trial, s.badRelease,
		s.tampered, s.replayed, s.otherClass, s.expired, s.recovered,
	} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	stop()
	if err := <-served; err != nil {
		return err
	}
	s.summary.Result = "ok"
	s.summary.Seconds = time.Since(begin).Seconds()
	fmt.Fprintf(s.out, "\nAll %d steps held. The device runs release %d.\n", s.n, s.running)
	return nil
}

// setUp makes the product folder and starts the server.
func (s *story) setUp(ctx context.Context, served chan<- error) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	slotSize := int64(1 << 20)
	for _, img := range [][]byte{s.pair.old, s.pair.new} {
		for slotSize < int64(len(img)) {
			slotSize *= 2
		}
	}
	s.product, err = product.Init(ctx, filepath.Join(s.dir, "product"), product.Options{
		Name:       "quickstart",
		ChunkSize:  chunkSize,
		SlotSize:   slotSize,
		Server:     "http://" + l.Addr().String(),
		Checkpoint: chunkSize,
		External:   true,
		Health:     s.machine.health(),
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s.machine.dir = s.product.DeviceDir()
	s.summary.Boots = "simulated"
	if s.machine.qemu != "" {
		s.summary.Boots = qemu
	}
	files, err := product.Handler(s.product.RepositoryDir())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s.server = &badServer{}
	s.server.set(func(b *badServer) { b.handler = files })
	go func() { served <- product.Serve(ctx, l, s.server) }()
	s.say("keys and repository", "author P-256, TUF root, targets, snapshot, timestamp Ed25519; %s", s.product.Config.Class)
	return nil
}

// provision is the factory: release 1 lies in slot A and is confirmed.
func (s *story) provision(ctx context.Context) error {
	out, err := s.product.Provision(ctx, bytes.NewReader(s.pair.old), int64(len(s.pair.old)), "1")
	if err != nil {
		return err
	}
	b, err := s.machine.powerOn(ctx)
	if err != nil {
		return err
	}
	if err := b.check("A", s.pair.oldBanner); err != nil {
		return err
	}
	s.say("v1 provisioned", "slot A, release %d, %s; boots: %q", out.Sequence, out.Digest[:23], b.banner)
	return nil
}

// update publishes v2 and installs it over a connection that is cut, by a process that is killed. What is downloaded is the delta, if there is one: images of your own may
// have nothing in common.
func (s *story) update(ctx context.Context) error {
	if len(s.pair.new) < 3*delta.MinFrameSize {
		s.product.Deltas = 0 // too small to be cut twice
	}
	out, err := s.release(ctx, s.pair.new, "2")
	if err != nil {
		return err
	}
	s.product.Deltas = product.DefaultDeltas
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

// trouble chooses the delta, if there is one: its first frame is whole before the cut, its second before the kill. Package fetch/delta has the format.
func (s *story) trouble(out product.Published) (trouble, error) {
	t := trouble{file: out.Payload, what: "image", size: out.Size, cut: out.Size / 3, hang: out.Size * 2 / 3}
	t.written = t.hang/chunkSize*chunkSize - chunkSize
	if len(out.Deltas) == 0 {
		return t, nil
	}
	patch, err := os.ReadFile(filepath.Join(s.product.RepositoryDir(), filepath.FromSlash(out.Deltas[0].Patch)))
	if err != nil {
		return t, err
	}
	const header, entry, page, link = 128, 68, 64, 32
	frame := int64(binary.BigEndian.Uint32(patch[8:]))
	frames := (out.Size-1)/frame + 1
	length := func(n int64) int64 { return int64(binary.BigEndian.Uint32(patch[header+entry*n:])) }
	first := header + entry*frames + link*((frames-1)/page)
	t = trouble{file: out.Deltas[0].Patch, what: "delta", size: out.Deltas[0].Size, written: 2 * frame}
	t.cut = first + length(0) + length(1)/2
	t.hang = first + length(0) + length(1) + length(2)/2
	return t, nil
}

// offered says what a device can download instead of the image.
func offered(out product.Published) string {
	if len(out.Deltas) == 0 {
		return "no delta: the images have too little in common"
	}
	return fmt.Sprintf("a delta of %d bytes for devices that run release %d", out.Deltas[0].Size, out.Deltas[0].From)
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
	s.product.Deltas = 0 // this is about the image
	out, err := s.release(ctx, s.pair.old, "4")
	if err != nil {
		return err
	}
	s.product.Deltas = product.DefaultDeltas
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

func (s *story) release(ctx context.Context, image []byte, version string) (product.Published, error) {
	return s.product.Release(ctx, bytes.NewReader(image), int64(len(image)), version)
}

func (s *story) serve(dir string) error {
	h, err := product.Handler(dir)
	if err != nil {
		return err
	}
	s.server.set(func(b *badServer) { b.handler = h })
	return nil
}

// check says whether the boot came up as it should.
func (b boot) check(slot, banner string) error {
	if !b.up || b.slot != slot || banner != "" && !bytes.Contains([]byte(b.banner), []byte(banner)) {
		return fmt.Errorf("boot of slot %s, up %t, banner %q; want slot %s and %q: %w", b.slot, b.up, b.banner, slot, banner, errStep)
	}
	return nil
}
