// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package product

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/verify"
)

const (
	// DefaultDeltas is from how many of the last releases a new one gets a delta.
	DefaultDeltas = 3
	// maxDeltaImage is the largest image that gets deltas: making one sorts the old image in memory.
	maxDeltaImage = 256 << 20
)

// A Delta is a patch that was published with a release.
type Delta struct {
	From    uint64 `json:"from"` // sequence number
	Version string `json:"version"`
	Size    int64  `json:"size"`
	Patch   string `json:"patch"` // path below the repository folder
}

// offer makes what devices can use instead of the whole payload, puts it beside the payload, and returns how it is to be listed: the chunk index, and a delta from each
// of the last releases whose image is still there, if it is smaller than nine tenths of the image.
func (p *Product) offer(ctx context.Context, out *Published, image io.ReadSeeker) (*plan.Offers, error) {
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	x, err := chunk.BuildIndex(io.LimitReader(image, out.Size))
	if err != nil {
		return nil, err
	}
	digest, err := verify.ParseDigest(out.Digest)
	if err != nil {
		return nil, err
	}
	offered := plan.Payload{Digest: digest, Size: out.Size}
	var index bytes.Buffer
	if _, err := x.WriteTo(&index); err != nil {
		return nil, err
	}
	offered.Index = &plan.Index{URI: out.Payload + ".caibx", Size: int64(index.Len()), Digest: verify.Sum(verify.SHA256, index.Bytes())}
	olds := p.bases(out)
	var target []byte
	if len(olds) > 0 {
		if target, err = readAll(image, out.Size); err != nil {
			return nil, err
		}
	}
	for _, r := range olds {
		d, missing, err := p.delta(ctx, out, r, target, x)
		if err != nil {
			return nil, fmt.Errorf("delta from release %d: %w", r.Sequence, err)
		}
		if missing < out.Size {
			offered.Index.From = append(offered.Index.From, plan.Missing{From: d.From, Bytes: missing})
		}
		if d.Size < out.Size/10*9 {
			offered.Deltas = append(offered.Deltas, d)
			out.Deltas = append(out.Deltas, Delta{r.Sequence, r.Version, d.Size, d.URI})
		}
	}
	if err := p.Repo.PutPayload(ctx, filepath.Base(offered.Index.URI), bytes.NewReader(index.Bytes())); err != nil {
		return nil, fmt.Errorf("chunk index: %w", err)
	}
	return &plan.Offers{Payloads: []plan.Payload{offered}}, nil
}

// bases are the last releases with another image than out's, newest first.
func (p *Product) bases(out *Published) []Release {
	var bases []Release
	seen := map[string]bool{out.Digest: true}
	for i := len(p.Config.Releases) - 1; i >= 0 && len(bases) < p.Deltas; i-- {
		r := p.Config.Releases[i]
		if st, err := os.Stat(p.payloadFile(r)); seen[r.Digest] || err != nil || st.Size() != r.Size || r.Size > maxDeltaImage || out.Size > maxDeltaImage {
			continue
		}
		seen[r.Digest] = true
		bases = append(bases, r)
	}
	return bases
}

func (p *Product) payloadFile(r Release) string {
	digest, err := verify.ParseDigest(r.Digest)
	if err != nil {
		return "" // nothing is there
	}
	return filepath.Join(p.RepositoryDir(), "payloads", hex.EncodeToString(digest.Bytes()))
}

// delta makes and publishes the patch from r's image. Its name is its digest: the same patch made again is the same file.
func (p *Product) delta(ctx context.Context, out *Published, r Release, target []byte, x *chunk.Index) (d plan.Delta, missing int64, err error) {
	old, err := os.ReadFile(p.payloadFile(r))
	if err != nil {
		return d, 0, err
	}
	seed, err := chunk.BuildIndex(bytes.NewReader(old))
	if err != nil {
		return d, 0, err
	}
	missing = chunk.NewReuse(nil, out.Payload, x, chunk.Seed{Image: bytes.NewReader(old), Index: seed}).Missing()
	var patch patchFile
	// Small frames: of a small image a cut costs less, and the patch is hardly larger.
	frame := int64(delta.DefaultFrameSize)
	if len(target) < 16*delta.DefaultFrameSize {
		frame = delta.MinFrameSize
	}
	info, err := delta.Make(ctx, old, target, &patch, delta.Options{FrameSize: frame})
	if err != nil {
		return d, 0, err
	}
	d = plan.Delta{
		From: plan.Old{Digest: verify.Sum(verify.SHA256, old), Size: int64(len(old))},
		URI:  "payloads/" + hex.EncodeToString(info.Digest.Bytes()) + ".delta", Size: info.Size, Digest: info.Digest, Memory: info.Memory,
	}
	if d.Size >= out.Size/10*9 {
		return d, missing, nil // not worth a file
	}
	return d, missing, p.Repo.PutPayload(ctx, filepath.Base(d.URI), bytes.NewReader(patch.data))
}

func readAll(image io.ReadSeeker, size int64) ([]byte, error) {
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	b := make([]byte, size)
	_, err := io.ReadFull(image, b)
	return b, err
}

// patchFile is an io.WriterAt in memory.
type patchFile struct{ data []byte }

func (f *patchFile) WriteAt(p []byte, at int64) (int, error) {
	if n := int(at) + len(p); n > len(f.data) {
		f.data = append(f.data, make([]byte, n-len(f.data))...)
	}
	return copy(f.data[at:], p), nil
}
