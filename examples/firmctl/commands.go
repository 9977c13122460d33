// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
	"github.com/firmament-dev/firmament/examples/internal/product"
)

// maxSlot is the largest slot that init makes.
const maxSlot = 1 << 40

func initProduct(ctx context.Context, c *call) error {
	name := c.fs.String("name", "", "product name; the class identifier follows from it (default: the folder's name)")
	factory := c.fs.String("factory", "", "image that the device leaves the factory with; it becomes release 1")
	slotSize := c.fs.Int64("slot-size", 64<<20, "bytes of each slot of the device folder")
	chunkSize := c.fs.Int64("chunk-size", 256<<10, "bytes of each chunk: a power of two, 16 KiB to 4 MiB")
	if err := c.parse(); err != nil {
		return err
	}
	dir := c.args[0]
	if *name != "" && !product.ValidName(*name) {
		return cli.Usagef("--name is %.80q, want 1 to 64 letters, digits and . _ + -", *name)
	}
	if *slotSize < 4096 || *slotSize > maxSlot {
		return cli.Usagef("--slot-size is %d, want 4096 to %d", *slotSize, int64(maxSlot))
	}
	if n := *chunkSize; n < 16<<10 || n > 4<<20 || n&(n-1) != 0 {
		return cli.Usagef("--chunk-size is %d, want a power of two from 16384 to 4194304", n)
	}
	out, err := makeProduct(ctx, dir, *factory, product.Options{Name: *name, SlotSize: *slotSize, ChunkSize: *chunkSize})
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, out)
	}
	_, err = fmt.Fprintf(c.people, `made %[1]s
  keys/        keep these private; on real products they live in an HSM
  repository/  plain files for any web server
  device/      a first device: two slots, boot record, trusted root and author's key
next:
  %[2]s release %[1]s my.bin --version 1.1
  %[2]s serve %[1]s
and in another terminal, once to install, once more for the boot after it:
  %[3]s --dir %[1]s --once
`, dir, cli.Command("firmctl"), cli.Command("agent"))
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
	f, size, err := openImage(factory, o.SlotSize)
	if err != nil {
		return made{}, err
	}
	defer f.Close()
	p, err := product.Init(ctx, dir, o)
	if err != nil {
		return made{}, err
	}
	out, err := p.Provision(ctx, f, size, "factory")
	if err != nil {
		return made{}, errors.Join(err, p.Remove())
	}
	return made{"ok", dir, p.Config.Vendor, p.Config.Class, &out.Release}, nil
}

// openImage opens an image of 1 to limit bytes.
func openImage(name string, limit int64) (*os.File, int64, error) {
	f, size, err := cli.OpenFile(name, "an image")
	if err != nil {
		return nil, 0, err
	}
	if size == 0 {
		err = cli.Inputf("%s is empty, want an image", name)
	} else if size > limit {
		err = cli.Inputf("%s has %d bytes, the device's slots have %d: want a smaller image, or larger slots (firmctl init --slot-size)", name, size, limit)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

func release(ctx context.Context, c *call) error {
	version := c.fs.String("version", "", "version for people, such as 1.1 (required); devices compare the sequence number, which is the last one plus one")
	deltas := c.fs.Int("deltas", product.DefaultDeltas, "from how many of the last releases devices get a delta, 0 for none; of a large image each takes a while")
	pack := c.fs.Bool("pack", true, "publish the image packed (zstd) beside the image itself, for devices that no delta fits; --pack=false does not")
	if err := c.parse(); err != nil {
		return err
	}
	if *deltas < 0 || *deltas > 32 {
		return cli.Usagef("--deltas is %d, want 0 to 32", *deltas)
	}
	if *version == "" {
		return cli.Usagef("--version is missing, want one for people, such as 1.1")
	}
	if !product.ValidName(*version) {
		return cli.Usagef("--version is %.80q, want 1 to 64 letters, digits and . _ + - such as 1.1", *version)
	}
	p, err := product.Open(ctx, c.args[0], nil)
	if err != nil {
		return err
	}
	f, size, err := openImage(c.args[1], p.SlotSize())
	if err != nil {
		return err
	}
	defer f.Close()
	p.Deltas, p.Pack = *deltas, *pack
	out, err := p.Release(ctx, f, size, *version)
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, struct {
			Result string `json:"result"`
			product.Release
			Target   string          `json:"target"`
			Payload  string          `json:"payload"`
			Chunks   int64           `json:"chunks"`
			Envelope int             `json:"envelope_bytes"`
			Packed   *product.Packed `json:"packed,omitempty"`
			Deltas   []product.Delta `json:"deltas,omitempty"`
		}{"ok", out.Release, out.Target, out.Payload, out.Chunks, len(out.Envelope), out.Packed, out.Deltas})
	}
	fmt.Fprintf(c.people, "release %d (%s): %d bytes, %s, %s\n  manifest %s\n  target   %s\n",
		out.Sequence, out.Version, out.Size, out.Digest, cli.Count(out.Chunks, "chunk"), out.Manifest, out.Target)
	if out.Packed != nil {
		fmt.Fprintf(c.people, "  packed   %d bytes\n", out.Packed.Size)
	}
	for _, d := range out.Deltas {
		fmt.Fprintf(c.people, "  delta    %d bytes, for devices that run release %d (%s)\n", d.Size, d.From, d.Version)
	}
	return nil
}

func refresh(ctx context.Context, c *call) error {
	if err := c.parse(); err != nil {
		return err
	}
	p, err := product.Open(ctx, c.args[0], nil)
	if err != nil {
		return err
	}
	roles, err := p.Repo.Refresh(ctx)
	if err != nil {
		return err
	}
	signed := []string{}
	for _, role := range roles {
		signed = append(signed, string(role))
	}
	expiries, err := p.Repo.Expiries(ctx)
	if err != nil {
		return err
	}
	if c.json {
		expires := map[string]time.Time{}
		for _, e := range expiries {
			expires[string(e.Role)] = e.Expires
		}
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "signed": signed, "expires": expires})
	}
	if len(signed) == 0 {
		signed = append(signed, "nothing, since nothing is due yet")
	}
	fmt.Fprintf(c.people, "signed: %s; until when devices believe what there is:\n", strings.Join(signed, ", "))
	for _, e := range expiries {
		fmt.Fprintf(c.people, "  %-9s version %d, %s\n", e.Role, e.Version, e.Expires.Format("2006-01-02 15:04"))
	}
	return nil
}

func serve(ctx context.Context, c *call) error {
	addr := c.fs.String("listen", "127.0.0.1:8080", "address to listen on; the files need no secrecy, but the default is loopback only")
	quiet := c.fs.Bool("quiet", false, "do not print a line for each request")
	if err := c.parse(); err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(*addr); err != nil || port == "" {
		return cli.Usagef("--listen is %q, want HOST:PORT such as 127.0.0.1:8080, port 0 for any", *addr)
	}
	p, err := product.OpenPublic(c.args[0])
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
	if c.json {
		if err := cli.PrintJSON(c.stdout, map[string]string{"result": "serving", "url": url}); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.people, "serving %s on %s, interrupt to stop\n", p.RepositoryDir(), url)
	if d, err := device.ReadConfig(p.DeviceDir()); err == nil && d.Server != url {
		fmt.Fprintf(c.people, "the first device asks %s; if that does not lead here: %s --dir %s --once --server %s\n",
			d.Server, cli.Command("agent"), c.args[0], url)
	}
	if !*quiet {
		h = product.Logged(h, c.people, time.Now)
	}
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
	if c.json {
		return cli.PrintJSON(c.stdout, struct {
			Result   string            `json:"result"`
			Releases []product.Release `json:"releases"`
			Device   device.Outcome    `json:"device"`
		}{"ok", p.Config.Releases, d})
	}
	for _, r := range p.Config.Releases {
		note := ""
		if r.Unfinished {
			note = ", not published: that was cut off"
		}
		fmt.Fprintf(c.people, "release %d (%s) %s: %d bytes, %s%s\n", r.Sequence, r.Version, r.Time.Format("2006-01-02 15:04"), r.Size, r.Digest, note)
	}
	_, err = fmt.Fprintf(c.people, "device: slot %s runs, %s, state %s\n", d.Slot, d.AcceptedText(), d.State)
	return err
}
