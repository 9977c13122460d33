// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package product

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/verify"
)

// DefaultDeltas is from how many of the last releases a new one gets a delta.
const DefaultDeltas = 3

// A Delta is a patch that was published with a release.
type Delta struct {
	From    uint64 `json:"from"` // sequence number
	Version string `json:"version"`
	Size    int64  `json:"size"`
	Patch   string `json:"patch"` // path below the repository folder
}

// Packed is the payload as it was published packed.
type Packed struct {
	Size int64  `json:"size"`
	File string `json:"file"` // path below the repository folder
}

// offer makes what devices can use instead of the whole payload, which is published already, puts it beside the payload, and returns how it is to be listed: the chunk index, the
// packed payload, and a delta from each of the last releases whose image is still there; of the last two what is smaller than nine tenths of the image.
func (p *Product) offer(ctx context.Context, out *Published) (*plan.Offers, error) {
	image, err := p.openPayload(out.Release)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	x, err := chunk.BuildIndex(image.reader())
	if err != nil {
		return nil, err
	}
	var index bytes.Buffer
	if _, err := x.WriteTo(&index); err != nil {
		return nil, err
	}
	offered := plan.Payload{Digest: image.digest, Size: out.Size,
		Index: &plan.Index{URI: out.Payload + ".caibx", Size: int64(index.Len()), Digest: verify.Sum(verify.SHA256, index.Bytes())}}
	if err := p.Repo.PutPayload(ctx, filepath.Base(offered.Index.URI), bytes.NewReader(index.Bytes())); err != nil {
		return nil, fmt.Errorf("chunk index: %w", err)
	}
	if err := p.offerPacked(ctx, out, image, &offered); err != nil {
		return nil, fmt.Errorf("packed: %w", err)
	}
	for _, r := range p.bases(out) {
		if err := p.offerFrom(ctx, out, r, image, x, &offered); err != nil {
			return nil, fmt.Errorf("delta from release %d: %w", r.Sequence, err)
		}
	}
	return &plan.Offers{Payloads: []plan.Payload{offered}}, nil
}

// bases are the last releases with another image than out's that is still there, newest first.
func (p *Product) bases(out *Published) []Release {
	var bases []Release
	seen := map[string]bool{out.Digest: true}
	for i := len(p.Config.Releases) - 1; i >= 0 && len(bases) < p.Deltas; i-- {
		r := p.Config.Releases[i]
		if seen[r.Digest] {
			continue
		}
		if f, err := p.openPayload(r); err == nil {
			f.Close()
			seen[r.Digest] = true
			bases = append(bases, r)
		}
	}
	return bases
}

// offerFrom adds what is offered to devices that run r.
func (p *Product) offerFrom(ctx context.Context, out *Published, r Release, image *payload, x *chunk.Index, offered *plan.Payload) (err error) {
	old, err := p.openPayload(r)
	if err != nil {
		return err
	}
	defer old.Close()
	from := plan.Old{Digest: old.digest, Size: r.Size}
	seed, err := chunk.BuildIndex(old.reader())
	if err != nil {
		return err
	}
	if missing := chunk.NewReuse(nil, out.Payload, x, chunk.Seed{Image: old, Index: seed}).Missing(); missing < out.Size {
		offered.Index.From = append(offered.Index.From, plan.Missing{From: from, Bytes: missing})
	}
	info, uri, err := p.putPatch(ctx, old.reader(), image.reader(), ".delta")
	if err != nil || uri == "" {
		return err
	}
	offered.Deltas = append(offered.Deltas, plan.Delta{From: from, URI: uri, Size: info.Size, Digest: info.Digest, Memory: info.Memory})
	out.Deltas = append(out.Deltas, Delta{r.Sequence, r.Version, info.Size, uri})
	return nil
}

// offerPacked adds the payload packed: a patch from the empty image.
func (p *Product) offerPacked(ctx context.Context, out *Published, image *payload, offered *plan.Payload) error {
	if !p.Pack {
		return nil
	}
	info, uri, err := p.putPatch(ctx, bytes.NewReader(nil), image.reader(), ".packed")
	if err != nil || uri == "" {
		return err
	}
	empty := plan.Old{Digest: verify.Sum(verify.SHA256, nil)}
	offered.Deltas = append(offered.Deltas, plan.Delta{From: empty, URI: uri, Size: info.Size, Digest: info.Digest, Memory: info.Memory})
	out.Packed = &Packed{info.Size, uri}
	return nil
}

// putPatch makes the patch from old to image and puts it beside the payloads. Its name is its digest: the same patch made again is the same file. uri is
// "" if it is not worth it.
func (p *Product) putPatch(ctx context.Context, old, image delta.Image, suffix string) (info delta.Info, uri string, err error) {
	patch, err := os.CreateTemp(p.Dir, ".patch-*")
	if err != nil {
		return info, "", err
	}
	defer func() { err = errors.Join(err, patch.Close(), os.Remove(patch.Name())) }()
	// Small frames: of a small image a cut costs less, and the patch is hardly larger.
	frame := int64(delta.DefaultFrameSize)
	if image.Size() < 16*frame {
		frame = delta.MinFrameSize
	}
	info, err = delta.Make(ctx, old, image, patch, delta.Options{FrameSize: frame})
	if err != nil || info.Size >= image.Size()/10*9 {
		return info, "", err
	}
	name := hex.EncodeToString(info.Digest.Bytes()) + suffix
	return info, "payloads/" + name, p.Repo.PutPayload(ctx, name, io.NewSectionReader(patch, 0, info.Size))
}

// A payload is the published image of a release.
type payload struct {
	*os.File
	size   int64
	digest verify.Digest
}

func (f *payload) reader() *io.SectionReader { return io.NewSectionReader(f, 0, f.size) }

func (p *Product) openPayload(r Release) (*payload, error) {
	digest, err := verify.ParseDigest(r.Digest)
	if err != nil {
		return nil, cli.Damagedf("%s: digest of release %d: %w", configName, r.Sequence, err)
	}
	f, size, err := cli.OpenFile(filepath.Join(p.RepositoryDir(), "payloads", hex.EncodeToString(digest.Bytes())), "a published image")
	if err != nil {
		return nil, err
	}
	if size != r.Size {
		return nil, errors.Join(cli.Damagedf("%s has %d bytes, want the %d of release %d", f.Name(), size, r.Size, r.Sequence), f.Close())
	}
	return &payload{f, size, digest}, nil
}
