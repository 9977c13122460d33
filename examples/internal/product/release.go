// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package product

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// ErrUntrusted says that devices would refuse the release. Nothing was published.
var ErrUntrusted = errors.New("nothing was published, since devices would refuse it")

// Published is what Release did.
type Published struct {
	Release
	Target   string  // name in the TUF repository
	Payload  string  // path of the image below the repository folder
	Chunks   int64   // number of chunks
	Packed   *Packed // nil: that would not be smaller
	Deltas   []Delta
	Envelope []byte
}

// Release signs and publishes image, of size bytes, as the next release. Devices see the old release or the new one,
// whatever happens on the way; a sequence number is used once.
func (p *Product) Release(ctx context.Context, image io.ReadSeeker, size int64, version string) (Published, error) {
	vendor, class, component, err := p.IDs()
	if err != nil {
		return Published{}, err
	}
	return p.release(ctx, image, size, version, author.AB{VendorID: vendor, ClassID: class, Component: component})
}

// ReleaseFor is Release with a manifest for another class of devices, under this product's name: a mistake that devices
// must notice.
func (p *Product) ReleaseFor(ctx context.Context, class manifest.UUID, image io.ReadSeeker, size int64, version string) (Published, error) {
	vendor, _, component, err := p.IDs()
	if err != nil {
		return Published{}, err
	}
	return p.release(ctx, image, size, version, author.AB{VendorID: vendor, ClassID: class, Component: component})
}

func (p *Product) release(ctx context.Context, image io.ReadSeeker, size int64, version string, ab author.AB) (out Published, err error) {
	if size < 1 {
		return out, cli.Usagef("the image is empty")
	}
	digest, _, err := verify.SumReader(verify.SHA256, io.LimitReader(image, size))
	if err != nil {
		return out, err
	}
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return out, err
	}
	pages, root, err := chunk.Build(image, size, p.Config.ChunkSize)
	if err != nil {
		return out, err
	}
	out.Payload = "payloads/" + hex.EncodeToString(digest.Bytes())
	out.Chunks = (size + p.Config.ChunkSize - 1) / p.Config.ChunkSize
	ab.SequenceNumber = p.next()
	img := author.Image{
		URI:    out.Payload,
		Digest: digest,
		Size:   size,
		Chunks: &manifest.ChunkInfo{Root: root, Size: uint32(p.Config.ChunkSize)},
	}
	ab.Slots = [2]author.Image{img, img}
	env, err := ab.Build()
	if err != nil {
		return out, err
	}
	env.Manifest.Text.Texts = []manifest.Text{{Language: "en", Components: []manifest.ComponentText{
		{ID: ab.Component, Text: map[manifest.ComponentTextKey]string{manifest.TextComponentVersion: version}},
	}}}
	if out.Envelope, err = author.Sign(ctx, env, p.author); err != nil {
		return out, err
	}
	v, err := p.openAsDevice(out.Envelope)
	if err != nil {
		return out, err
	}
	out.Release = Release{
		Sequence: v.SequenceNumber(),
		Version:  version,
		Size:     size,
		Digest:   digest.String(),
		Manifest: v.Digest().String(),
		Time:     time.Now().UTC().Truncate(time.Second),

		Unfinished: true,
	}
	p.Config.Releases = append(p.Config.Releases, out.Release)
	if err := p.save(); err != nil {
		return out, err
	}
	if err := p.publish(ctx, &out, image, pages); err != nil {
		return out, err
	}
	out.Unfinished = false
	p.Config.Releases[len(p.Config.Releases)-1] = out.Release
	return out, p.save()
}

// openAsDevice reads an envelope with the keys and the policy that the first device was given: what it refuses is not published.
func (p *Product) openAsDevice(envelope []byte) (*manifest.Verified, error) {
	dir := p.DeviceDir()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return p.open(envelope)
	}
	c, err := device.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	keys, policy, err := c.Keys(dir)
	if err != nil {
		return nil, err
	}
	v, err := manifest.OpenBytes(envelope, keys, policy)
	if err != nil {
		return nil, fmt.Errorf("%w: %s signs, and %s wants %d of %s: %w",
			ErrUntrusted, keyFile(p.Dir, "author"), filepath.Join(dir, device.ConfigName), c.Threshold, strings.Join(c.Authors, ", "), err)
	}
	return v, nil
}

// open reads an envelope with the author's own key.
func (p *Product) open(envelope []byte) (*manifest.Verified, error) {
	keys, err := verify.NewKeySet(verify.Entry{Key: p.author.Public(), Groups: []string{"author"}})
	if err != nil {
		return nil, err
	}
	policy, err := verify.Threshold(1, "author")
	if err != nil {
		return nil, err
	}
	return manifest.OpenBytes(envelope, keys, policy)
}

// publish puts the payload, its chunk digests and what makes downloads smaller beside the metadata, then the envelope under its name.
func (p *Product) publish(ctx context.Context, out *Published, image io.ReadSeeker, pages []byte) error {
	vendor, class, _, err := p.IDs()
	if err != nil {
		return err
	}
	out.Target = firmament.TargetPath(vendor, class, p.Config.Channel)
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return err
	}
	name := filepath.Base(out.Payload)
	if err := p.Repo.PutPayload(ctx, name, io.LimitReader(image, out.Size)); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	if err := p.Repo.PutPayload(ctx, name+".chunks", bytes.NewReader(pages)); err != nil {
		return fmt.Errorf("chunk digests: %w", err)
	}
	offers, err := p.offer(ctx, out)
	if err != nil {
		return err
	}
	custom, err := offers.Custom(nil)
	if err != nil {
		return err
	}
	if err := p.Repo.Apply(ctx, repository.Change{
		Add:    map[string][]byte{out.Target: out.Envelope},
		Custom: map[string]json.RawMessage{out.Target: custom},
	}); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	// For devices that use SUIT without TUF.
	plain := filepath.Join(p.RepositoryDir(), "suit", filepath.FromSlash(out.Target))
	if err := os.MkdirAll(filepath.Dir(plain), 0o755); err != nil {
		return err
	}
	return replaceFile(plain, out.Envelope)
}
