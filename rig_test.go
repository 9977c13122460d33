// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// The rig is a vendor and its devices in memory: real metadata, envelopes, slots and boot records over simulated storage.

const chunkSize = fetch.MinChunkSize

var (
	vendorID  = author.VendorID("vendor.example")
	classID   = author.ClassID(vendorID, "widget")
	target    = firmament.TargetPath(vendorID, classID, "stable")
	component = manifest.ComponentID{{0}}
	start     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

func authorKey() verify.Signer { return testkeys.Ed25519(10) }

// image returns n bytes that differ from those of any other seed in every chunk.
func image(seed byte, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// A shop signs and publishes. What it publishes is a set of files, which any server may serve, whole or damaged.
type shop struct {
	dir  simfs.FS
	repo *repository.Repository
	now  time.Time
}

func newShop(ctx context.Context) (*shop, error) {
	s := &shop{dir: simfs.NewSim(simfs.Options{}).FS(), now: start}
	var err error
	s.repo, err = repository.Create(ctx, repository.NewDir(s.dir), s.options())
	return s, err
}

func (s *shop) options() repository.Options {
	o := repository.Options{Now: func() time.Time { return s.now }, Signers: map[tuf.Role][]verify.Signer{}}
	// One key for all roles: who signs what is the matter of tests in tuf, and decoding keys is slow.
	for _, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
		o.Signers[role] = []verify.Signer{testkeys.Ed25519(20)}
	}
	return o
}

// release is a manifest for one image in either slot.
type release struct {
	seq    uint64
	class  manifest.UUID
	image  []byte
	signer verify.Signer
}

func (r release) payload() string { return fmt.Sprintf("payloads/v%d", r.seq) }

func (r release) img() install.Image {
	return install.Image{Size: int64(len(r.image)), Digest: verify.Sum(verify.SHA256, r.image)}
}

// envelope signs r, and returns the chunk digests' pages too.
func (r release) envelope(ctx context.Context) (envelope, pages []byte, err error) {
	pages, root, err := chunk.Build(bytes.NewReader(r.image), int64(len(r.image)), chunkSize)
	if err != nil {
		return nil, nil, err
	}
	img := author.Image{URI: r.payload(), Digest: r.img().Digest, Size: r.img().Size,
		Chunks: &manifest.ChunkInfo{Root: root, Size: uint32(chunkSize)}}
	e, err := author.AB{VendorID: vendorID, ClassID: r.class, SequenceNumber: r.seq, Component: component,
		Slots: [2]author.Image{img, img}}.Build()
	if err != nil {
		return nil, nil, err
	}
	envelope, err = author.Sign(ctx, e, r.signer)
	return envelope, pages, err
}

func newRelease(seq uint64, img []byte) release {
	return release{seq: seq, class: classID, image: img, signer: authorKey()}
}

// publish releases r and returns all files that a server has to serve from now on.
func (s *shop) publish(ctx context.Context, r release) (files, error) {
	envelope, pages, err := r.envelope(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.repo.Publish(ctx, map[string][]byte{target: envelope}); err != nil {
		return nil, err
	}
	f, err := s.files()
	if err != nil {
		return nil, err
	}
	f[r.payload()], f[r.payload()+".chunks"] = r.image, pages
	return f, nil
}

// publishOver publishes r with what devices need that run one of the old releases: a delta from each, and the chunk index.
func (s *shop) publishOver(ctx context.Context, r release, olds ...release) (files, error) {
	if _, err := s.publish(ctx, r); err != nil {
		return nil, err
	}
	p := plan.Payload{Digest: r.img().Digest, Size: r.img().Size}
	extra := files{}
	for _, old := range olds {
		var patch patchFile
		info, err := delta.Make(ctx, bytes.NewReader(old.image), bytes.NewReader(r.image), &patch, delta.Options{FrameSize: delta.MinFrameSize})
		if err != nil {
			return nil, err
		}
		uri := fmt.Sprintf("%s.from%d", r.payload(), old.seq)
		extra[uri] = patch.b
		p.Deltas = append(p.Deltas, plan.Delta{From: plan.Old(old.oldImage()), URI: uri, Size: info.Size, Digest: info.Digest, Memory: info.Memory})
	}
	x, err := chunk.BuildIndex(bytes.NewReader(r.image))
	if err != nil {
		return nil, err
	}
	var index bytes.Buffer
	if _, err := x.WriteTo(&index); err != nil {
		return nil, err
	}
	extra[r.payload()+".caibx"] = index.Bytes()
	p.Index = &plan.Index{URI: r.payload() + ".caibx", Size: int64(index.Len()), Digest: verify.Sum(verify.SHA256, index.Bytes())}
	if err := s.setCustom(ctx, p); err != nil {
		return nil, err
	}
	f, err := s.files()
	if err != nil {
		return nil, err
	}
	_, pages, err := r.envelope(ctx)
	if err != nil {
		return nil, err
	}
	f[r.payload()], f[r.payload()+".chunks"] = r.image, pages
	maps.Copy(f, extra)
	return f, nil
}

// setCustom lists p with the target that is published.
func (s *shop) setCustom(ctx context.Context, p plan.Payload) error {
	custom, err := (&plan.Offers{Payloads: []plan.Payload{p}}).Custom(nil)
	if err != nil {
		return err
	}
	return s.repo.Apply(ctx, repository.Change{Custom: map[string]json.RawMessage{target: custom}})
}

func (r release) oldImage() plan.Old { return plan.Old{Digest: r.img().Digest, Size: r.img().Size} }

// patchFile is an io.WriterAt in memory.
type patchFile struct{ b []byte }

func (f *patchFile) WriteAt(p []byte, at int64) (int, error) {
	if n := int(at) + len(p); n > len(f.b) {
		f.b = append(f.b, make([]byte, n-len(f.b))...)
	}
	return copy(f.b[at:], p), nil
}

// files are a server's content, by path.
type files map[string][]byte

// files copies the repository as it is now.
func (s *shop) files() (files, error) {
	f := files{}
	return f, s.walk(".", f)
}

func (s *shop) walk(dir string, f files) error {
	names, err := s.dir.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if dir != "." {
			name = dir + "/" + name
		}
		if _, err := s.dir.ReadDir(name); err == nil {
			if err := s.walk(name, f); err != nil {
				return err
			}
			continue
		}
		file, err := s.dir.OpenFile(name, 0)
		if err != nil {
			return err
		}
		size, err := file.Size()
		if err != nil {
			return err
		}
		b, err := io.ReadAll(io.NewSectionReader(file, 0, size))
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		f[name] = b
	}
	return nil
}

// server serves files as a fetch.Source, and as a TUF remote. tamper may change what it serves.
type server struct {
	mu     sync.Mutex
	files  files
	tamper func(name string, b []byte) []byte
	cut    map[string]int // where connections for a file end for good
	sent   atomic.Int64   // bytes of payloads and what is beside them
}

func (s *server) get(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.files[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if s.tamper != nil {
		b = s.tamper(name, bytes.Clone(b))
	}
	return b, nil
}

func (s *server) Open(_ context.Context, uri string, offset int64, _ string) (*fetch.Stream, error) {
	b, err := s.get(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fetch.ErrRefused, err)
	}
	offset = min(offset, int64(len(b)))
	var body io.Reader = bytes.NewReader(b[offset:])
	if end, ok := s.cut[uri]; ok {
		body = io.MultiReader(bytes.NewReader(b[offset:max(int64(end), offset)]), cutReader{})
	}
	return &fetch.Stream{Body: io.NopCloser(&counted{body, &s.sent}), Offset: offset, Size: int64(len(b)), Validator: "v1"}, nil
}

// cutReader is a connection that broke.
type cutReader struct{}

func (cutReader) Read([]byte) (int, error) {
	return 0, fmt.Errorf("connection reset: %w", fetch.ErrTransport)
}

type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// Get implements client.Remote.
func (s *server) Get(_ context.Context, name string, max int64) ([]byte, error) {
	b, err := s.get(name)
	if err == nil && int64(len(b)) > max {
		return nil, tooLong{name}
	}
	return b, err
}

type tooLong struct{ name string }

func (e tooLong) Error() string { return e.name + ": too long" }
func (e tooLong) TooLong() bool { return true }

// A device is one machine that is switched on.
type device struct {
	sim     *simfs.Sim
	boot    *slot.BootRecord
	slots   [2]simfs.Device
	counter verify.Counter
	updater *firmament.Updater
	events  []firmament.Event
}

// world is what devices are made from and talk to.
type world struct {
	server *server
	root   []byte // trusted root
	now    func() time.Time
	wrap   func(install.Installer) install.Installer
	plan   firmament.Planner
	budget func() int64
	adjust func(*firmament.Options)
}

// powerOn is a boot: the boot loader picks a slot after verifying it, then the agent starts.
func (w *world) powerOn(sim *simfs.Sim) (*device, error) {
	d, err := w.switchOn(sim)
	if err != nil {
		return nil, err
	}
	return d, w.start(d, "tuf")
}

// switchOn is the boot loader's part of powerOn.
func (w *world) switchOn(sim *simfs.Sim) (*device, error) {
	d := &device{sim: sim}
	var err error
	if d.boot, err = slot.OpenBootRecord(sim.FS(), "boot"); err != nil {
		return nil, err
	}
	for i, name := range []string{"slot-a", "slot-b"} {
		d.slots[i] = sim.Device(name, 0)
	}
	if _, _, err := d.boot.Next(d.checkSlot); err != nil {
		return nil, err
	}
	return d, nil
}

// start starts the agent on the booted device, with its TUF cache in a directory of that name.
func (w *world) start(d *device, cacheDir string) error {
	var err error
	if d.counter, err = verify.NewCounter(d.sim.FS(), "counter"); err != nil {
		return err
	}
	cache, err := simfs.Sub(d.sim.FS(), cacheDir)
	if err != nil {
		return err
	}
	finder, err := client.New(client.Options{Root: w.root, Remote: w.server, Storage: cache, Now: w.now, BuildTime: start.AddDate(0, -1, 0)})
	if err != nil {
		return err
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: authorKey().Public(), Groups: []string{"author"}})
	if err != nil {
		return err
	}
	policy, err := verify.Threshold(1, "author")
	if err != nil {
		return err
	}
	var inst install.Installer = slot.New(d.slots[0], d.slots[1], d.boot)
	if w.wrap != nil {
		inst = w.wrap(inst)
	}
	o := firmament.Options{
		Storage: d.sim.FS(), Finder: finder, Keys: keys, Policy: policy, Counter: d.counter,
		Identity:  processor.Identity{VendorID: vendorID, ClassID: classID},
		Component: component, Installer: inst, Development: true,
		Fetch:   fetch.Options{Source: w.server, CheckpointEvery: 3 * chunkSize, Retries: 1, Backoff: time.Millisecond},
		Planner: w.plan, Budget: w.budget,
		Events: func(e firmament.Event) { d.events = append(d.events, e) },
	}
	if w.adjust != nil {
		w.adjust(&o)
	}
	d.updater, err = firmament.New(o)
	return err
}

func (d *device) checkSlot(n int, img install.Image) error {
	b := make([]byte, img.Size)
	if n, err := d.slots[n].ReadAt(b, 0); n < len(b) {
		return err
	}
	if got := verify.Sum(img.Digest.Hash(), b); got != img.Digest {
		return fmt.Errorf("slot %s holds %s, record says %s: %w", slot.Name(n), got, img.Digest, install.ErrVerifyAfterWrite)
	}
	return nil
}

// provision is the factory: r lies in slot A, confirmed and counted.
func (w *world) provision(ctx context.Context, sim *simfs.Sim, slotSize int64, r release) error {
	img := r.img()
	for _, name := range []string{"slot-a", "slot-b"} {
		d := sim.Device(name, slotSize)
		if name == "slot-a" {
			if _, err := d.WriteAt(r.image, 0); err != nil {
				return err
			}
		}
	}
	if _, err := slot.CreateBootRecord(sim.FS(), "boot", 0, img); err != nil {
		return err
	}
	d, err := w.switchOn(sim)
	if err != nil {
		return err
	}
	if err := w.start(d, "factory"); err != nil {
		return err
	}
	envelope, _, err := r.envelope(ctx)
	if err != nil {
		return err
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: authorKey().Public(), Groups: []string{"author"}})
	if err != nil {
		return err
	}
	policy, err := verify.Threshold(1, "author")
	if err != nil {
		return err
	}
	v, err := manifest.OpenBytes(envelope, keys, policy)
	if err != nil {
		return err
	}
	return errors.Join(d.updater.Provision(v), d.counter.Raise(ctx, r.seq), d.updater.Close())
}
