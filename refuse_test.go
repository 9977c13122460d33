// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// recorder is an installer that writes down every byte that reaches it.
type recorder struct {
	*slot.Installer
	got map[int64][]byte // by offset
}

func (r *recorder) Begin(ctx context.Context, img install.Image) (install.Writer, error) {
	w, err := r.Installer.Begin(ctx, img)
	if err != nil {
		return nil, err
	}
	return recordingWriter{w, r}, nil
}

type recordingWriter struct {
	install.Writer
	r *recorder
}

func (w recordingWriter) Write(p []byte) (int, error) {
	w.r.got[w.Offset()] = append(w.r.got[w.Offset()], p...)
	return w.Writer.Write(p)
}

func (w recordingWriter) Resume(offset int64) error { return w.Writer.(install.Resumer).Resume(offset) }

// newDevice provisions a device with r and returns its storage.
func newDevice(t *testing.T, w *world, r release) *simfs.Sim {
	t.Helper()
	sim := simfs.NewSim(simfs.Options{})
	if err := w.provision(t.Context(), sim, 16*chunkSize, r); err != nil {
		t.Fatal(err)
	}
	return sim
}

// update is one boot of the agent that looks for an update and applies it.
func (w *world) update(ctx context.Context, sim *simfs.Sim) error {
	d, err := w.powerOn(sim)
	if err != nil {
		return err
	}
	return errors.Join(d.install(ctx), d.updater.Close())
}

// TestM3_NoUnverifiedByte tampers with the first, a middle and the last chunk, from the start and after a resume: the
// installer sees the good chunks before it, each of them right, and nothing else.
//
// covers: NET-06 NET-16
func TestM3_NoUnverifiedByte(t *testing.T) {
	const chunks = 9
	v2 := newRelease(2, image(2, chunks*chunkSize-300))
	for _, bad := range []int{0, chunks / 2, chunks - 1} {
		for _, resumeAt := range []int{0, 3, chunks - 1} {
			if resumeAt > bad {
				continue
			}
			t.Run(fmt.Sprintf("chunk %d, cut before chunk %d", bad, resumeAt), func(t *testing.T) {
				testNoUnverifiedByte(t, v2, bad, resumeAt)
			})
		}
	}
}

func testNoUnverifiedByte(t *testing.T, v2 release, bad, resumeAt int) {
	s, err := newShop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.publish(t.Context(), v2)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64][]byte{}
	w := &world{server: &server{files: f}, root: f["metadata/1.root.json"], now: func() time.Time { return start },
		wrap: func(i install.Installer) install.Installer { return &recorder{i.(*slot.Installer), got} }}
	sim := newDevice(t, w, newRelease(1, image(1, 3*chunkSize)))

	if resumeAt > 0 {
		// The connection breaks there for now; then the agent starts again.
		w.server.cut = map[string]int{v2.payload(): resumeAt * chunkSize}
		if err := w.update(t.Context(), sim); !errors.Is(err, fetch.ErrTransport) || bytesOf(got) != resumeAt*chunkSize {
			t.Fatalf("%d bytes arrived, %v; want %d chunks", bytesOf(got), err, resumeAt)
		}
		w.server.cut = nil
		clear(got)
	}
	w.server.tamper = func(name string, b []byte) []byte {
		if name == v2.payload() {
			b[bad*chunkSize+1] ^= 0x20
		}
		return b
	}
	if err := w.update(t.Context(), sim); !errors.Is(err, fetch.ErrDigest) {
		t.Fatalf("got %v, want %v", err, fetch.ErrDigest)
	}
	for off, p := range got {
		if end := off + int64(len(p)); end > int64(bad*chunkSize) {
			t.Errorf("bytes %d to %d reached the installer, chunk %d was bad", off, end, bad)
		} else if !bytes.Equal(p, v2.image[off:end]) {
			t.Errorf("bytes %d to %d reached the installer and are wrong", off, end)
		}
	}
	if want := bad - resumeAt; bytesOf(got) != want*chunkSize {
		t.Errorf("%d bytes reached the installer after the resume, want %d chunks", bytesOf(got), want)
	}

	// The attack stops: the next cycle succeeds with nobody's help (S5).
	w.server.tamper = nil
	if err := w.update(t.Context(), sim); err != nil {
		t.Fatal(err)
	}
	d, err := w.powerOn(sim)
	if err != nil {
		t.Fatal(err)
	}
	defer d.updater.Close()
	if st, err := d.updater.Resume(t.Context()); err != nil || st.State != install.Trial {
		t.Fatalf("state %v, %v; want Trial", st.State, err)
	}
}

func bytesOf(got map[int64][]byte) (n int) {
	for _, p := range got {
		n += len(p)
	}
	return n
}

// snapshot is what a refusal must leave alone.
type snapshot struct {
	slotA    string
	boot     install.Boot
	images   [2]install.Image
	accepted firmament.Release
	counter  uint64
}

func (w *world) snapshot(t *testing.T, sim *simfs.Sim) snapshot {
	t.Helper()
	d, err := w.powerOn(sim)
	if err != nil {
		t.Fatal(err)
	}
	defer d.updater.Close()
	var s snapshot
	a := make([]byte, 16*chunkSize)
	if _, err := d.slots[0].ReadAt(a, 0); err != nil {
		t.Fatal(err)
	}
	s.slotA = string(a)
	if s.boot, err = d.boot.Boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range s.images {
		if s.images[i], err = d.boot.Image(i); err != nil {
			t.Fatal(err)
		}
	}
	st, err := d.updater.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.accepted = st.Accepted
	if s.counter, err = d.counter.Value(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestM4_Refusals attacks a device that has seen release 2 in the repository and runs release 1. Each refusal has its own
// sentinel and leaves the running slot, the boot record, the accepted release and the counter alone; when the attack
// stops, the device updates.
//
// covers: TUF-01, TUF-02, TUF-03, TUF-06, TUF-10, CMD-07, CMD-08, COS-03, REG-04
func TestM4_Refusals(t *testing.T) {
	attacks := []struct {
		name string
		want error
		make func(ctx context.Context, s *shop, before files) (files, error)
	}{
		{"tampered payload", fetch.ErrDigest, func(ctx context.Context, s *shop, _ files) (files, error) {
			r := newRelease(3, image(3, 6*chunkSize))
			f, err := s.publish(ctx, r)
			if err == nil {
				f[r.payload()] = bytes.Clone(f[r.payload()])
				f[r.payload()][4*chunkSize] ^= 1
			}
			return f, err
		}},
		{"replayed older repository", tuf.ErrRollback, func(_ context.Context, _ *shop, before files) (files, error) {
			return before, nil
		}},
		{"another device class", manifest.ErrNotApplicable, func(ctx context.Context, s *shop, _ files) (files, error) {
			r := newRelease(3, image(3, 6*chunkSize))
			r.class = vendorID
			return s.publish(ctx, r)
		}},
		{"expired timestamp", tuf.ErrFreeze, func(ctx context.Context, s *shop, _ files) (files, error) {
			s.now = start.AddDate(-1, 0, 0)
			return s.publish(ctx, newRelease(3, image(3, 6*chunkSize)))
		}},
		{"lower sequence number", manifest.ErrSequence, func(ctx context.Context, s *shop, _ files) (files, error) {
			return s.publish(ctx, newRelease(0, image(3, 6*chunkSize)))
		}},
		{"unknown author", verify.ErrSignature, func(ctx context.Context, s *shop, _ files) (files, error) {
			r := newRelease(3, image(3, 6*chunkSize))
			r.signer = testkeys.Ed25519(99)
			return s.publish(ctx, r)
		}},
		{"swapped envelope", tuf.ErrHash, func(ctx context.Context, s *shop, _ files) (files, error) {
			f, err := s.publish(ctx, newRelease(3, image(3, 6*chunkSize)))
			if err != nil {
				return nil, err
			}
			for name := range f {
				if strings.HasSuffix(name, ".suit") {
					f[name] = bytes.Clone(f[name])
					f[name][len(f[name])-1] ^= 1
				}
			}
			return f, nil
		}},
	}
	seen := map[error]string{}
	for _, a := range attacks {
		if other := seen[a.want]; other != "" {
			t.Errorf("%s and %s have the same sentinel", a.name, other)
		}
		seen[a.want] = a.name
		t.Run(a.name, func(t *testing.T) {
			ctx := t.Context()
			s, err := newShop(ctx)
			if err != nil {
				t.Fatal(err)
			}
			before, err := s.publish(ctx, newRelease(1, image(1, 3*chunkSize)))
			if err != nil {
				t.Fatal(err)
			}
			f, err := s.publish(ctx, newRelease(1, image(1, 3*chunkSize)))
			if err != nil {
				t.Fatal(err)
			}
			w := &world{server: &server{files: f}, root: f["metadata/1.root.json"], now: func() time.Time { return start }}
			sim := newDevice(t, w, newRelease(1, image(1, 3*chunkSize)))
			if err := w.update(ctx, sim); err != nil {
				t.Fatalf("before the attack: %v", err)
			}

			want := w.snapshot(t, sim)
			if w.server.files, err = a.make(ctx, s, maps.Clone(before)); err != nil {
				t.Fatal(err)
			}
			err = w.update(ctx, sim)
			if !errors.Is(err, a.want) {
				t.Fatalf("got %v, want %v", err, a.want)
			}
			for other := range seen {
				if other != a.want && errors.Is(err, other) {
					t.Errorf("%v is %v as well", err, other)
				}
			}
			if got := w.snapshot(t, sim); got != want {
				t.Errorf("the refusal changed the device: boot %+v, was %+v; accepted %d, counter %d", got.boot, want.boot, got.accepted.Sequence, got.counter)
			}

			s.now = start
			if w.server.files, err = s.publish(ctx, newRelease(9, image(9, 4*chunkSize))); err != nil {
				t.Fatal(err)
			}
			if err := w.update(ctx, sim); err != nil {
				t.Fatalf("after the attack: %v", err)
			}
		})
	}
}
