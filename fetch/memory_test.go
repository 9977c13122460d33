// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"context"
	"io"
	"runtime"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

// cycle is a payload of any size without a place in memory: byte i is i times 151, by chunks.
type cycle struct{ at, size int64 }

func (c *cycle) Read(p []byte) (int, error) {
	if c.at == c.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.size-c.at)]
	for i := range p {
		p[i] = byte((c.at + int64(i)) >> 4 * 151)
	}
	c.at += int64(len(p))
	return len(p), nil
}

func (c *cycle) Close() error { return nil }

// cycles serves a cycle and its page file.
type cycles struct {
	size  int64
	pages *server
}

func (s cycles) Open(ctx context.Context, u string, offset int64, validator string) (*fetch.Stream, error) {
	return s.OpenRange(ctx, u, offset, 0, validator)
}

func (s cycles) OpenRange(ctx context.Context, u string, offset, length int64, validator string) (*fetch.Stream, error) {
	if u != uri {
		return s.pages.OpenRange(ctx, u, offset, length, validator)
	}
	return &fetch.Stream{Body: &cycle{offset, s.size}, Offset: offset, Size: s.size, Validator: `"c"`}, nil
}

// drain is a Sink that keeps nothing.
type drain int64

func (d *drain) Offset() int64               { return int64(*d) }
func (d *drain) Write(p []byte) (int, error) { *d += drain(len(p)); return len(p), nil }
func (d *drain) Sync() error                 { return nil }

// TestMemoryDoesNotGrowWithThePayload counts all that is ever allocated, which bounds what is held.
func TestMemoryDoesNotGrowWithThePayload(t *testing.T) {
	allocated := func(size int64) uint64 {
		pages, root, err := chunk.Build(&cycle{size: size}, size, step)
		if err != nil {
			t.Fatal(err)
		}
		src := cycles{size, newServer(release{pages: pages, res: fetch.Resource{URI: uri}})}
		f := newFetcher(t, fetch.Options{Source: src})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = f.Fetch(t.Context(), fetch.Resource{
			URI: uri, Size: size, Digest: verify.Sum(verify.SHA256, nil), Chunks: &fetch.Chunks{Root: root, Size: step},
		}, new(drain))
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := allocated(1<<20), allocated(33<<20)
	t.Logf("%d bytes allocated for 1 MiB, %d for 33 MiB in chunks of 16 KiB", small, large)
	// 32 MiB are 2048 chunks: less than 64 bytes of garbage for each.
	if large > small+2048*64 {
		t.Errorf("%d bytes allocated for 1 MiB, %d for 33 MiB", small, large)
	}
}
