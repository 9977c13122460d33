// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
)

// bootName is the boot record's name in a device folder.
const bootName = "boot"

// makeDevice makes the device folder: identifiers, trusted root, the author's public key, two empty slots, and a boot record
// that knows of nothing but slot A.
func (p *Product) makeDevice(o Options) error {
	dir := p.DeviceDir()
	vendor, _, _, err := p.IDs()
	if err != nil {
		return err
	}
	c := device.Config{
		Server:     o.Server,
		Channel:    p.Config.Channel,
		Vendor:     p.Config.Vendor,
		Class:      p.Config.Class,
		Device:     author.ClassID(vendor, p.Config.Name+"/device-1").String(),
		Component:  p.Config.Component,
		Slots:      [2]string{"slot-a.img", "slot-b.img"},
		Boot:       bootName,
		Simulated:  !o.External,
		Root:       "root.json",
		Authors:    []string{"author.pub.pem"},
		Threshold:  1,
		Checkpoint: o.Checkpoint,
		Health:     o.Health,
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	pub, err := p.author.Public().MarshalPEM()
	if err != nil {
		return err
	}
	root, err := cli.ReadFile(filepath.Join(p.RepositoryDir(), "metadata", "1.root.json"), maxConfig, "TUF root metadata")
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{device.ConfigName: append(b, '\n'), c.Root: root, c.Authors[0]: pub} {
		if err := replaceFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	for _, name := range c.Slots {
		if err := makeSlot(filepath.Join(dir, name), o.SlotSize); err != nil {
			return err
		}
	}
	s, err := install.OpenDir(dir)
	if err != nil {
		return err
	}
	_, err = slot.CreateBootRecord(s, bootName, 0, install.Image{})
	return err
}

// makeSlot makes a sparse file.
func makeSlot(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// Provision is what a factory does: image is published as the first release, written into slot A of the device folder, and
// recorded as confirmed.
func (p *Product) Provision(ctx context.Context, image io.ReadSeeker, size int64, version string) (Published, error) {
	if len(p.Config.Releases) > 0 {
		return Published{}, cli.Usagef("%s has releases already: only the first can be the factory's", p.Dir)
	}
	dir := p.DeviceDir()
	c, err := device.ReadConfig(dir)
	if err != nil {
		return Published{}, err
	}
	a := filepath.Join(dir, c.Slots[0])
	if st, err := os.Stat(a); err != nil {
		return Published{}, err
	} else if size > st.Size() {
		return Published{}, cli.Usagef("the image has %d bytes, the slot %d", size, st.Size())
	}
	out, err := p.Release(ctx, image, size, version)
	if err != nil {
		return out, err
	}
	digest, err := verify.ParseDigest(out.Digest)
	if err != nil {
		return out, err
	}
	if err := writeSlot(a, image, size); err != nil {
		return out, err
	}
	return out, p.confirm(ctx, dir, out, install.Image{Size: size, Digest: digest})
}

// confirm writes the factory's boot record, and tells the Updater which release the device left with.
func (p *Product) confirm(ctx context.Context, dir string, out Published, img install.Image) (err error) {
	s, err := install.OpenDir(dir)
	if err != nil {
		return err
	}
	for _, name := range []string{bootName + ".0", bootName + ".1"} {
		if err := s.Remove(name); err != nil {
			return err
		}
	}
	if _, err := slot.CreateBootRecord(s, bootName, 0, img); err != nil {
		return err
	}
	v, err := p.open(out.Envelope)
	if err != nil {
		return err
	}
	d, err := device.Open(dir, device.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Updater.Provision(v); err != nil {
		return err
	}
	if err := d.Counter.Raise(ctx, out.Sequence); err != nil {
		return fmt.Errorf("counter: %w", err)
	}
	return nil
}

func writeSlot(name string, image io.ReadSeeker, size int64) error {
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.LimitReader(image, size))
	return errors.Join(err, f.Sync(), f.Close())
}
