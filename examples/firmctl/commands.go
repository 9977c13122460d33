// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
	"github.com/firmament-dev/firmament/examples/internal/product"
)

func initProduct(ctx context.Context, c *call) error {
	name := c.fs.String("name", "", "product name; the class identifier follows from it (default: the folder's name)")
	factory := c.fs.String("factory", "", "image that the device leaves the factory with; it becomes release 1")
	slotSize := c.fs.Int64("slot-size", 64<<20, "bytes of each slot of the device folder")
	chunkSize := c.fs.Int64("chunk-size", 256<<10, "bytes of each chunk: a power of two, 16 KiB to 4 MiB")
	if err := c.parse(); err != nil {
		return err
	}
	dir := c.args[0]
	if *slotSize < 4096 {
		return cli.Usagef("--slot-size %d is below 4096", *slotSize)
	}
	if n := *chunkSize; n < 16<<10 || n > 4<<20 || n&(n-1) != 0 {
		return cli.Usagef("--chunk-size %d is not a power of two from 16384 to 4194304", n)
	}
	out, err := makeProduct(ctx, dir, *factory, product.Options{Name: *name, SlotSize: *slotSize, ChunkSize: *chunkSize})
	if err != nil {
		return err
	}
	if *c.json {
		return cli.PrintJSON(c.stdout, out)
	}
	_, err = fmt.Fprintf(c.people, `made %[1]s
  keys/        keep these private; on real products they live in an HSM
  repository/  plain files for any web server
  device/      a first device: two slots, boot record, trusted root and author's key
next:
  firmctl release %[1]s my.bin --version 1.1
  firmctl serve %[1]s
  agent --dir %[1]s --once
`, dir)
	return err
}

// made is what init prints.
type made struct {
	Result  string           `json:"result"`
	Dir     string           `json:"dir"`
	Vendor  string           `json:"vendor_id"`
	Class   string           `json:"class_id"`
	Factory *product.Release `json:"factory,omitempty"`
}

func makeProduct(ctx context.Context, dir, factory string, o product.Options) (made, error) {
	if factory == "" {
		p, err := product.Init(ctx, dir, o)
		if err != nil {
			return made{}, err
		}
		return made{Result: "ok", Dir: dir, Vendor: p.Config.Vendor, Class: p.Config.Class}, nil
	}
	// Before the folder is made, so that a wrong name leaves nothing behind.
	f, size, err := cli.OpenFile(factory)
	if err != nil {
		return made{}, err
	}
	defer f.Close()
	if size > o.SlotSize || size == 0 {
		return made{}, cli.Usagef("%s has %d bytes, the slots %d", factory, size, o.SlotSize)
	}
	p, err := product.Init(ctx, dir, o)
	if err != nil {
		return made{}, err
	}
	out, err := p.Provision(ctx, f, size, "factory")
	if err != nil {
		return made{}, err
	}
	return made{"ok", dir, p.Config.Vendor, p.Config.Class, &out.Release}, nil
}

func release(ctx context.Context, c *call) error {
	version := c.fs.String("version", "", "version for people, such as 1.1 (required); devices compare the sequence number, which is the last one plus one")
	if err := c.parse(); err != nil {
		return err
	}
	if *version == "" {
		return cli.Usagef("--version is missing")
	}
	f, size, err := cli.OpenFile(c.args[1])
	if err != nil {
		return err
	}
	defer f.Close()
	if size == 0 {
		return cli.Usagef("%s is empty", c.args[1])
	}
	p, err := product.Open(ctx, c.args[0], nil)
	if err != nil {
		return err
	}
	out, err := p.Release(ctx, f, size, *version)
	if err != nil {
		return err
	}
	if *c.json {
		return cli.PrintJSON(c.stdout, struct {
			Result string `json:"result"`
			product.Release
			Target   string `json:"target"`
			Payload  string `json:"payload"`
			Chunks   int64  `json:"chunks"`
			Envelope int    `json:"envelope_bytes"`
		}{"ok", out.Release, out.Target, out.Payload, out.Chunks, len(out.Envelope)})
	}
	_, err = fmt.Fprintf(c.people, "release %d (%s): %d bytes, %s, %d chunks\n  manifest %s\n  target   %s\n",
		out.Sequence, out.Version, out.Size, out.Digest, out.Chunks, out.Manifest, out.Target)
	return err
}

func serve(ctx context.Context, c *call) error {
	addr := c.fs.String("listen", "127.0.0.1:8080", "address to listen on; the files need no secrecy, but the default is loopback only")
	if err := c.parse(); err != nil {
		return err
	}
	p, err := product.Open(ctx, c.args[0], nil)
	if err != nil {
		return err
	}
	h, err := product.Handler(p.RepositoryDir())
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String()
	if *c.json {
		if err := cli.PrintJSON(c.stdout, map[string]string{"result": "serving", "url": url}); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.people, "serving %s on %s, interrupt to stop\n", p.RepositoryDir(), url)
	return product.Serve(ctx, l, h)
}

func status(ctx context.Context, c *call) error {
	if err := c.parse(); err != nil {
		return err
	}
	p, err := product.Open(ctx, c.args[0], nil)
	if err != nil {
		return err
	}
	d, err := device.Describe(ctx, p.DeviceDir())
	if err != nil {
		return err
	}
	if *c.json {
		return cli.PrintJSON(c.stdout, struct {
			Result   string            `json:"result"`
			Releases []product.Release `json:"releases"`
			Device   device.Outcome    `json:"device"`
		}{"ok", p.Config.Releases, d})
	}
	for _, r := range p.Config.Releases {
		fmt.Fprintf(c.people, "release %d (%s) %s: %d bytes, %s\n", r.Sequence, r.Version, r.Time.Format("2006-01-02 15:04"), r.Size, r.Digest)
	}
	_, err = fmt.Fprintf(c.people, "device: slot %s runs, release %d is confirmed, state %s\n", d.Slot, d.Accepted, d.State)
	return err
}
