// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// kin are two releases of which the second can be made out of the first: it has a two changed bytes and two and a half chunks of its own.
func kin() (v1, v2 release) {
	v1 = newRelease(1, noisy(1, 9*chunkSize+100))
	img := bytes.Clone(v1.image)
	img[100]++
	img[70_000]++
	return v1, newRelease(2, append(img[:3*chunkSize], append(noisy(2, 5*chunkSize/2), img[3*chunkSize:]...)...))
}

// noisy is n bytes that nothing can be made out of but themselves.
func noisy(seed byte, n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		sum := sha256.Sum256([]byte{seed, byte(i), byte(i >> 8)})
		b = append(b, sum[:]...)
	}
	return b[:n]
}

// newKin is a world with a shop that offers release 2, and a delta from release 1.
func newKin(ctx context.Context) (w *world, v1, v2 release, err error) {
	s, err := newShop(ctx)
	if err != nil {
		return nil, v1, v2, err
	}
	v1, v2 = kin()
	f, err := s.publishOver(ctx, v2, v1)
	if err != nil {
		return nil, v1, v2, err
	}
	return &world{server: &server{files: f}, root: f["metadata/1.root.json"], now: func() time.Time { return start }, plan: plan.Planner{}}, v1, v2, nil
}

// newPacked is a world with a shop that offers release 2 packed, and nothing that release 1 is of use for.
func newPacked(ctx context.Context) (w *world, v1, v2 release, err error) {
	s, err := newShop(ctx)
	if err != nil {
		return nil, v1, v2, err
	}
	v1, v2 = loose()
	f, err := s.publishOver(ctx, v2, nothing)
	if err != nil {
		return nil, v1, v2, err
	}
	return &world{server: &server{files: f}, root: f["metadata/1.root.json"], now: func() time.Time { return start }, plan: plan.Planner{}}, v1, v2, nil
}

// nothing is the release that packed payloads are patches from.
var nothing = release{}

// loose are two releases that have nothing in common. Half of the second goes away when it is packed.
func loose() (v1, v2 release) {
	v1, v2 = newRelease(1, noisy(1, 9*chunkSize+100)), newRelease(2, noisy(7, 11*chunkSize+500))
	for i := range v2.image {
		if i/5000%2 == 1 {
			v2.image[i] = byte(i >> 10)
		}
	}
	return v1, v2
}

// A packed payload comes to a device that has nothing to make the image out of.
func TestPacked(t *testing.T) {
	ctx := t.Context()
	w, v1, v2, err := newPacked(ctx)
	must(t, err)
	d, err := w.powerOn(newDevice(t, w, v1))
	must(t, err)
	defer d.updater.Close()
	must(t, d.install(ctx))
	want := firmament.Download{Way: fetch.WayPacked,
		Network: int64(len(w.server.files[v2.payload()+".from0"]) + len(w.server.files[v2.payload()+".chunks"]))}
	st, err := d.updater.Status(ctx)
	if err != nil || st.State != install.Staged || st.Download != want || w.server.sent.Load() != want.Network || want.Network > v2.img().Size*2/3 {
		t.Errorf("%+v, %v, the server sent %d; want %+v", st, err, w.server.sent.Load(), want)
	}
	b := make([]byte, len(v2.image))
	if _, err := d.slots[1].ReadAt(b, 0); err != nil || !bytes.Equal(b, v2.image) {
		t.Errorf("slot B does not hold release 2, %v", err)
	}
}

// A delta takes its own bytes and the chunk digests, and what it did is in the event, in the status across reboots, and in the report.
func TestDelta(t *testing.T) {
	ctx := t.Context()
	w, v1, v2, err := newKin(ctx)
	must(t, err)
	sim := newDevice(t, w, v1)
	d, err := w.powerOn(sim)
	must(t, err)
	must(t, d.install(ctx))
	want := firmament.Download{Way: fetch.WayDelta, Reused: v2.img().Size,
		Network: int64(len(w.server.files[v2.payload()+".from1"]) + len(w.server.files[v2.payload()+".chunks"]))}
	if sent := w.server.sent.Load(); sent != want.Network || sent > v2.img().Size/2 {
		t.Errorf("the server sent %d bytes, want %d, for an image of %d", sent, want.Network, v2.img().Size)
	}
	var fetched, fetching int
	for _, e := range d.events {
		switch e.Kind {
		case firmament.EventFetched:
			if fetched++; e.Download != want || len(e.Fallbacks) > 0 || e.Release.Sequence != 2 {
				t.Errorf("event %+v, want %+v", e, want)
			}
		case firmament.EventFetching:
			if fetching++; e.Progress.Done == e.Progress.Total && (e.Progress.Way != fetch.WayDelta || e.Progress.Network != want.Network) {
				t.Errorf("progress %+v", e.Progress)
			}
		}
	}
	if fetched != 1 || fetching < 3 || firmament.EventFetched.String() != "fetched" {
		t.Errorf("%d events of the download, %d of its progress", fetched, fetching)
	}
	check := func(when string) {
		t.Helper()
		if st, err := d.updater.Status(ctx); err != nil || st.Download != want || st.Current.Sequence != 2 {
			t.Errorf("%s: %+v, %v; want %+v", when, st, err, want)
		}
	}
	check("staged")
	must(t, d.updater.Close())
	d, err = w.powerOn(sim)
	must(t, err)
	_, err = d.updater.Resume(ctx)
	must(t, err)
	check("on trial")
	must(t, d.updater.Accept(ctx))
	check("confirmed")
	if r := d.updater.Reports(); len(r) != 1 || r[0].Download != want {
		t.Errorf("reports %+v, want %+v", r, want)
	}
	must(t, d.updater.Close())
	d, err = w.powerOn(sim)
	must(t, err)
	defer d.updater.Close()
	check("after a reboot")
	if r := d.updater.Reports(); len(r) != 1 || r[0].Download != want {
		t.Errorf("reports %+v after a reboot, want %+v", r, want)
	}
	b := make([]byte, len(v2.image))
	if _, err := d.slots[1].ReadAt(b, 0); err != nil || !bytes.Equal(b, v2.image) {
		t.Errorf("slot B does not hold release 2, %v", err)
	}
}

// What the report says outlasts the journal's compaction, and does not pass to another release's report.
func TestDownloadIsOfItsRelease(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.boot()
	must(t, b.d.updater.Reject(t.Context(), "no"))
	b.boot()
	b.tooBig(3) // begins, which compacts, and writes nothing
	wantError(t, b.install(), install.ErrBounds)
	b.boot()
	full := firmament.Download{Way: fetch.WayFull, Network: 4*chunkSize + fetch.PageSize}
	if r := b.d.updater.Reports(); len(r) != 1 || r[0].Download != full || r[0].Release.Sequence != 2 {
		t.Errorf("reports %+v, want %+v", r, full)
	}
	if st, err := b.d.updater.Status(t.Context()); err != nil || st.Download != full || st.Current.Sequence != 2 {
		t.Errorf("%+v, %v", st, err)
	}
	b.publish(4)
	b.server.tamper = func(name string, p []byte) []byte {
		if name == "payloads/v4" {
			p[3*chunkSize] ^= 1
		}
		return p
	}
	wantError(t, b.install(), fetch.ErrDigest)
	if st, err := b.d.updater.Status(t.Context()); err != nil || st.Download != (firmament.Download{}) || st.State != install.Writing {
		t.Errorf("%+v, %v; nothing has arrived yet", st, err)
	}
	// In the end it says what all calls of this process took, the chunks of the first ones included.
	b.server.tamper = nil
	sent := b.server.sent.Load()
	must(t, b.install())
	st, err := b.d.updater.Status(t.Context())
	must(t, err)
	if last := b.server.sent.Load() - sent; st.Download.Network <= last || st.Download.Network < full.Network {
		t.Errorf("%+v, and the last call alone took %d", st.Download, last)
	}
	// What one release took in vain is not the next one's.
	b.publish(5)
	b.server.cut = map[string]int{"payloads/v5": 2 * chunkSize}
	wantError(t, b.install(), fetch.ErrTransport)
	b.publish(6)
	must(t, b.install())
	if st, err := b.d.updater.Status(t.Context()); err != nil || st.Download != full || st.Current.Sequence != 6 {
		t.Errorf("%+v, %v; want %+v", st, err, full)
	}
}

// TestM3_LyingDelta: a server that lies about a delta. Every byte that reaches the installer is the signed one, and the image comes by another way.
//
// covers: NET-12
func TestM3_LyingDelta(t *testing.T) {
	v1, v2 := kin()
	wrongImage := bytes.Clone(v2.image)
	wrongImage[len(wrongImage)/2] ^= 1
	otherBase := bytes.Clone(v1.image)
	otherBase[50] ^= 1
	lies(t, v1, v2, v1, []lie{
		{"no patch", func(_ *testing.T, _ *world, _ *shop, f files) files { delete(f, v2.payload()+".from1"); return f }, fetch.ErrRefused, fetch.WayChunks},
		{"tampered patch", func(_ *testing.T, w *world, _ *shop, f files) files {
			w.server.tamper = func(name string, b []byte) []byte {
				if name == v2.payload()+".from1" {
					b[len(b)-10] ^= 1
				}
				return b
			}
			return f
		}, fetch.ErrDigest, fetch.WayChunks},
		{"tampered patch, index and payload", func(_ *testing.T, w *world, _ *shop, f files) files {
			w.server.tamper = func(name string, b []byte) []byte {
				if name == v2.payload()+".from1" || name == v2.payload()+".caibx" {
					b[len(b)-10] ^= 1
				}
				return b
			}
			return f
		}, fetch.ErrDigest, fetch.WayFull},
		{"patch that makes wrong bytes", func(t *testing.T, _ *world, s *shop, _ files) files {
			return relabel(t, s, v1, v2, v1.image, wrongImage)
		}, fetch.ErrDigest, fetch.WayChunks},
		{"patch for another base", func(t *testing.T, _ *world, s *shop, _ files) files {
			return relabel(t, s, v1, v2, otherBase, v2.image)
		}, delta.ErrBase, fetch.WayChunks},
	})
}

// TestM3_LyingPacked: a server that lies about a packed payload.
//
// covers: NET-11 NET-12
func TestM3_LyingPacked(t *testing.T) {
	v1, v2 := loose()
	patch := v2.payload() + ".from0"
	wrongImage := bytes.Clone(v2.image)
	wrongImage[len(wrongImage)/2] ^= 1
	lies(t, v1, v2, nothing, []lie{
		{"not there", func(_ *testing.T, _ *world, _ *shop, f files) files { delete(f, patch); return f }, fetch.ErrRefused, fetch.WayFull},
		{"tampered", func(_ *testing.T, w *world, _ *shop, f files) files {
			w.server.tamper = func(name string, b []byte) []byte {
				if name == patch {
					b[len(b)-10] ^= 1
				}
				return b
			}
			return f
		}, fetch.ErrDigest, fetch.WayFull},
		{"unpacks to wrong bytes", func(t *testing.T, _ *world, s *shop, _ files) files {
			return relabel(t, s, nothing, v2, nil, wrongImage)
		}, fetch.ErrDigest, fetch.WayFull},
		{"unpacks to more", func(t *testing.T, _ *world, s *shop, _ files) files {
			return relabel(t, s, nothing, v2, nil, append(bytes.Clone(v2.image), make([]byte, 1<<20)...))
		}, fetch.ErrDigest, fetch.WayFull},
	})
}

// A lie is told after release 2 was published; the image comes all the same, by the way then, since the first one was left for want.
type lie struct {
	name string
	tell func(t *testing.T, w *world, s *shop, f files) files
	want error
	then fetch.Way
}

// lies tells each to a device that runs v1, and is offered v2 and a patch from the release from.
func lies(t *testing.T, v1, v2, from release, all []lie) {
	ctx := t.Context()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			s, err := newShop(ctx)
			must(t, err)
			f, err := s.publishOver(ctx, v2, from)
			must(t, err)
			got := map[int64][]byte{}
			w := &world{server: &server{}, root: f["metadata/1.root.json"], now: func() time.Time { return start }, plan: plan.Planner{},
				wrap: func(i install.Installer) install.Installer { return &recorder{i.(*slot.Installer), got} }}
			w.server.files = c.tell(t, w, s, f)
			sim := newDevice(t, w, v1)
			d, err := w.powerOn(sim)
			must(t, err)
			defer d.updater.Close()
			must(t, d.install(ctx))
			st, err := d.updater.Status(ctx)
			if err != nil || st.State != install.Staged || st.Download.Way != c.then || st.Download.Fallback == "" {
				t.Errorf("%+v, %v; want Staged, by %v", st, err, c.then)
			}
			for _, e := range d.events {
				if e.Kind == firmament.EventFetched && !errors.Is(e.Fallbacks[0].Err, c.want) {
					t.Errorf("left the delta because of %v, want %v", e.Fallbacks[0].Err, c.want)
				}
			}
			n := int64(0)
			for off, p := range got {
				if end := off + int64(len(p)); end > int64(len(v2.image)) || !bytes.Equal(p, v2.image[off:end]) {
					t.Errorf("bytes %d to %d reached the installer and are wrong", off, end)
				}
				n += int64(len(p))
			}
			if n != int64(len(v2.image)) {
				t.Errorf("%d bytes reached the installer, want each of %d once", n, len(v2.image))
			}
		})
	}
}

// relabel publishes v2 with a patch that says that it leads from v1 to v2, and was made for other images.
func relabel(t *testing.T, s *shop, v1, v2 release, old, image []byte) files {
	t.Helper()
	var patch patchFile
	_, err := delta.Make(t.Context(), bytes.NewReader(old), bytes.NewReader(image), &patch, delta.Options{FrameSize: delta.MinFrameSize})
	must(t, err)
	copy(patch.b[64:], v2.img().Digest.Bytes()) // of the new image
	p := plan.Payload{Digest: v2.img().Digest, Size: v2.img().Size, Deltas: []plan.Delta{{
		From: v1.oldImage(), URI: fmt.Sprintf("%s.from%d", v2.payload(), v1.seq), Size: int64(len(patch.b)), Digest: verify.Sum(verify.SHA256, patch.b[:128]), Memory: 1 << 20,
	}}}
	f, err := s.publishOver(t.Context(), v2, v1)
	must(t, err)
	index := f[v2.payload()+".caibx"]
	p.Index = &plan.Index{URI: v2.payload() + ".caibx", Size: int64(len(index)), Digest: verify.Sum(verify.SHA256, index)}
	must(t, s.setCustom(t.Context(), p))
	again, err := s.files()
	must(t, err)
	for name, b := range again {
		f[name] = b
	}
	f[p.Deltas[0].URI] = patch.b
	return f
}

// The budget is asked at each download; what does not fit is not begun, and what was verified is kept.
func TestBudget(t *testing.T) {
	ctx := t.Context()
	w, v1, v2, err := newKin(ctx)
	must(t, err)
	patch := int64(len(w.server.files[v2.payload()+".from1"]) + len(w.server.files[v2.payload()+".chunks"]))
	left := int64(0)
	w.budget = func() int64 { return left }
	sim := newDevice(t, w, v1)
	d, err := w.powerOn(sim)
	must(t, err)
	defer func() { d.updater.Close() }()
	for _, left = range []int64{0, -5, patch - 1} {
		wantError(t, d.install(ctx), fetch.ErrBudget)
		if sent := w.server.sent.Load(); sent > 0 {
			t.Errorf("a budget of %d: %d bytes were sent", left, sent)
		}
	}
	left = patch
	must(t, d.install(ctx))
	if sent := w.server.sent.Load(); sent != patch {
		t.Errorf("%d bytes were sent, want %d", sent, patch)
	}

	// Without a planner the budget is the Fetcher's: it takes what is allowed, and goes on the next time.
	w.plan = nil
	w.server.sent.Store(0)
	sim = newDevice(t, w, v1)
	must(t, d.updater.Close())
	d, err = w.powerOn(sim)
	must(t, err)
	left = 5*chunkSize + fetch.PageSize
	for calls := 0; ; calls++ {
		err := d.install(ctx)
		if err == nil {
			if calls < 2 {
				t.Errorf("%d calls", calls)
			}
			break
		}
		wantError(t, err, fetch.ErrBudget)
		if calls > 5 {
			t.Fatal("it does not come to an end")
		}
	}
}

// deltaWorld is crashWorld with releases of which the second comes as a delta.
func deltaWorld(ctx context.Context) (*crashWorld, error) {
	w, v1, v2, err := newKin(ctx)
	if err != nil {
		return nil, err
	}
	return between(*w, v1, v2, int64(len(v2.image))+chunkSize), nil
}

// TestM1_Delta cuts the power at every operation of an update that comes as a delta, in every class of fault, and during the recoveries.
//
// covers: NET-12 STO-01
func TestM1_Delta(t *testing.T) {
	w, err := deltaWorld(t.Context())
	must(t, err)
	o := simfs.ExploreOptions{Seed: 3, Variants: 3, SecondTotal: 1500}
	if testing.Short() {
		o = simfs.ExploreOptions{Seed: 3, Variants: 1, SecondTotal: 100}
	}
	table := simfs.Explore(t, w.workload(t.Context()), o)
	t.Logf("power cuts and failures during one update by a delta\n%s", table)
	if n := table.Distinct; n < 300 && !testing.Short() {
		t.Errorf("%d distinct states, want at least 300", n)
	}
}

// TestM1_Packed cuts the power at every operation of an update that comes packed.
//
// covers: NET-11 STO-01
func TestM1_Packed(t *testing.T) {
	w, v1, v2, err := newPacked(t.Context())
	must(t, err)
	o := simfs.ExploreOptions{Seed: 4, Variants: 2, SecondTotal: 1000}
	if testing.Short() {
		o = simfs.ExploreOptions{Seed: 4, Variants: 1, SecondTotal: 100}
	}
	table := simfs.Explore(t, between(*w, v1, v2, int64(len(v2.image))+chunkSize).workload(t.Context()), o)
	t.Logf("power cuts and failures during one update by a packed payload\n%s", table)
	if n := table.Distinct; n < 250 && !testing.Short() {
		t.Errorf("%d distinct states, want at least 250", n)
	}
}

// Killed at any storage operation of the download, the agent takes the rest by the delta, and little of it twice.
//
// covers: NET-01
func TestNET_01_DeltaKilled(t *testing.T) {
	ctx := t.Context()
	w, v1, v2, err := newKin(ctx)
	must(t, err)
	patch := int64(len(w.server.files[v2.payload()+".from1"]))
	pages := int64(len(w.server.files[v2.payload()+".chunks"]))
	killed := 0
	for n := 1; ; n += 3 {
		sim := newDevice(t, w, v1)
		d, err := w.powerOn(sim)
		must(t, err)
		o, err := d.updater.Check(ctx)
		must(t, err)
		w.server.sent.Store(0)
		w.server.tamper = func(_ string, b []byte) []byte {
			if _, err := sim.FS().ReadDir("."); err != nil {
				return nil // a dead process fetches nothing
			}
			return b
		}
		sim.KillAfter(n)
		err = d.updater.Apply(ctx, o)
		w.server.tamper = nil
		if err == nil {
			break
		}
		killed++
		sim = sim.Restart()
		d, err = w.powerOn(sim)
		must(t, err)
		must(t, d.install(ctx))
		st, err := d.updater.Status(ctx)
		must(t, errors.Join(err, d.updater.Close()))
		if st.State != install.Staged && st.State != install.Trial || st.Download.Way != fetch.WayDelta && st.Download.Network > 0 {
			t.Errorf("killed at operation %d: %+v", n, st)
		}
		// The chunk digests and the beginning of the patch are taken again, and one frame with the checkpoint interval.
		if sent, most := w.server.sent.Load(), patch+2*pages+128+4*68+int64(delta.MinFrameSize); sent > most {
			t.Errorf("killed at operation %d: %d bytes in all, want at most %d for a patch of %d: %+v", n, sent, most, patch, st)
		}
	}
	if killed < 10 {
		t.Errorf("killed %d times only", killed)
	}
}

// Where patches are is listed beside the release, by whoever publishes it; they come from no place that its author could not have named for the payload.
//
// covers: CMD-11
func TestCMD_11_OfferedURIs(t *testing.T) {
	const inside = "http://127.0.0.1/patch"
	ctx := t.Context()
	s, err := newShop(ctx)
	must(t, err)
	v1, v2 := kin()
	f, err := s.publishOver(ctx, v2, v1)
	must(t, err)
	var patch patchFile
	info, err := delta.Make(ctx, bytes.NewReader(v1.image), bytes.NewReader(v2.image), &patch, delta.Options{FrameSize: delta.MinFrameSize})
	must(t, err)
	must(t, s.setCustom(ctx, plan.Payload{Digest: v2.img().Digest, Size: v2.img().Size,
		Deltas: []plan.Delta{{From: plan.Old(v1.oldImage()), URI: inside, Size: info.Size, Digest: info.Digest, Memory: info.Memory}}}))
	published, err := s.files()
	must(t, err)
	maps.Copy(f, published)
	f[inside] = patch.b
	w := &world{server: &server{files: f}, root: f["metadata/1.root.json"], now: func() time.Time { return start }, plan: plan.Planner{}}
	for name, tt := range map[string]struct {
		check func(uri string) error
		want  fetch.Way
	}{
		"by default":            {nil, fetch.WayFull},
		"where all is allowed":  {func(string) error { return nil }, fetch.WayDelta},
		"where files are, only": {refuseAbsolute, fetch.WayFull},
	} {
		t.Run(name, func(t *testing.T) {
			w.adjust = func(o *firmament.Options) { o.CheckURI = tt.check }
			w.server.tamper = func(name string, b []byte) []byte {
				if name == inside && tt.want == fetch.WayFull {
					t.Errorf("%s was asked for", name)
				}
				return b
			}
			d, err := w.powerOn(newDevice(t, w, v1))
			must(t, err)
			defer d.updater.Close()
			must(t, d.install(ctx))
			if st, err := d.updater.Status(ctx); err != nil || st.Download.Way != tt.want {
				t.Errorf("%+v, %v, want %v", st, err, tt.want)
			}
		})
	}
}

func refuseAbsolute(uri string) error {
	if strings.Contains(uri, "://") {
		return fmt.Errorf("%s is not beside the envelope: %w", uri, verify.ErrPolicy)
	}
	return nil
}
