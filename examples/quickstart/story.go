// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/product"
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
