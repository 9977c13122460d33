// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// zeros streams one target of so many zero bytes and the rest from a repository.
type zeros struct {
	streaming
	size int64
}

func (z zeros) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if strings.HasSuffix(name, ".image") {
		return io.NopCloser(io.LimitReader(nothing{}, z.size)), nil
	}
	return z.streaming.Open(ctx, name)
}

type nothing struct{}

func (nothing) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// heapWatch is a writer that notes the largest heap that it sees.
type heapWatch struct {
	hash.Hash
	n, largest uint64
}

func (w *heapWatch) Write(p []byte) (int, error) {
	if w.n += uint64(len(p)); w.n%(4<<20) < uint64(len(p)) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.largest = max(w.largest, m.HeapAlloc)
	}
	return w.Hash.Write(p)
}

// A target of any size passes through a Download in constant memory.
//
// covers: B12
func TestDownloadMemory(t *testing.T) {
	const size = 64 << 20
	sum := verify.SHA256.New()
	if _, err := io.CopyN(sum, nothing{}, size); err != nil {
		t.Fatal(err)
	}
	repo := tuftest.New()
	repo.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleTargets {
			signed["targets"].(map[string]any)["fw/image"] = map[string]any{"length": size, "hashes": map[string]any{"sha256": hex.EncodeToString(sum.Sum(nil))}}
		}
	}
	repo.Publish()
	d := newDevice(t, repo)
	d.o.Remote = zeros{streaming{repo}, size}
	d.restart()
	d.refresh(nil)
	file, err := d.Target(t.Context(), "fw/image")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	w := &heapWatch{Hash: verify.SHA256.New()}
	if err := d.Download(t.Context(), file, w); err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(w.Sum(nil)) != hex.EncodeToString(sum.Sum(nil)) {
		t.Error("other bytes")
	}
	if grown := int64(w.largest) - int64(before.HeapAlloc); w.largest == 0 || grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	for _, wrong := range []int64{size - 1, size + 1} {
		d.o.Remote = zeros{streaming{repo}, wrong}
		d.restart()
		d.refresh(nil)
		if err := d.Download(t.Context(), file, &heapWatch{Hash: verify.SHA256.New()}); !errors.Is(err, tuf.ErrLength) {
			t.Errorf("%d bytes: %v, want ErrLength", wrong, err)
		}
	}
}

// Of several digests it is always the same one that a target is asked for by, and all have to hold.
//
// covers: B14
func TestTUF_21_SeveralDigests(t *testing.T) {
	repo := tuftest.New()
	wrong := false
	repo.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleTargets {
			for _, h := range []verify.Hash{verify.SHA384, verify.SHA512} {
				data := "one"
				if wrong {
					data = "two"
				}
				hashes := signed["targets"].(map[string]any)["fw/a.suit"].(map[string]any)["hashes"].(map[string]any)
				hashes[h.String()] = fmt.Sprintf("%x", verify.Sum(h, []byte(data)).Bytes())
				hashes["md5"] = "00"
			}
		}
	}
	repo.Publish()
	for range 40 {
		if data, err := newDevice(t, repo).Find(t.Context(), "fw/a.suit"); err != nil || string(data) != "one" {
			t.Fatalf("%q, %v", data, err)
		}
	}
	wrong = true
	repo.Publish()
	if _, err := newDevice(t, repo).Find(t.Context(), "fw/a.suit"); !errors.Is(err, tuf.ErrHash) {
		t.Errorf("one of three digests wrong: %v", err)
	}
}
