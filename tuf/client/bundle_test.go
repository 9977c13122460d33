// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/client/bundle"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// exported is a repository with a rotated root, a delegated target and a payload, and a bundle of it as files and as an archive.
func exported(t *testing.T, mode string) (repo *tuftest.Repo, files map[string]string, archive []byte) {
	t.Helper()
	repo = big()
	repo.Keys[tuf.RoleTimestamp] = []verify.Signer{testkeys.P256(70)}
	repo.Publish(tuf.RoleRoot)
	publishAll(repo)
	repo.Files["payloads/image"] = bytes.Repeat([]byte("image"), 10000)
	files, archive = export(t, repo, mode)
	return repo, files, archive
}

func export(t *testing.T, repo *tuftest.Repo, mode string) (files map[string]string, archive []byte) {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	what := client.Export{Targets: []string{"fw/0150", "acme/0007", "acme/0008"}, Payloads: []string{"payloads/image"}}
	d := newModeDevice(t, repo, mode)
	if err := d.Export(t.Context(), z, what); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	err = fs.WalkDir(b.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(b.FS(), path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, out.Bytes()
}

// offline returns a device that has nothing but a bundle.
func offline(t *testing.T, repo *tuftest.Repo, remote client.Remote, mode string) *device {
	d := newModeDevice(t, repo, mode)
	d.o.Remote = remote
	d.restart()
	return d
}

func mapRemote(files map[string]string) client.Remote {
	tree := fstest.MapFS{}
	for name, data := range files {
		tree[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return client.DirRemote(tree)
}

// A bundle has what the devices need and nothing else, in an archive or in a directory, and leads to the same bytes.
func TestExport(t *testing.T) {
	for mode := range modes {
		repo, files, archive := exported(t, mode)
		want := []string{
			"metadata/1.root.json", "metadata/2.A.json", "metadata/2.root.json", "metadata/3.snapshot.json", "metadata/3.targets.json", "metadata/timestamp.json", "payloads/image",
		}
		var got []string
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if !strings.HasPrefix(name, "targets/") {
				got = append(got, name)
			}
		}
		if len(files) != len(want)+3 || !slices.Equal(got, want) {
			t.Errorf("%s: %d files, %v, want %v and three targets", mode, len(files), got, want)
		}
		for name, data := range files {
			if data != string(repo.Files[name]) {
				t.Errorf("%s: %s is not what the repository has", mode, name)
			}
		}
		archived, err := bundle.Open(bytes.NewReader(archive), int64(len(archive)))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		storage, err := client.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		tree := bundle.NewDir(storage)
		again := newModeDevice(t, repo, mode)
		if err := errors.Join(again.Export(t.Context(), tree, client.Export{Targets: []string{"fw/0150", "acme/0007", "acme/0008"}, Payloads: []string{"payloads/image"}}), tree.Close()); err != nil {
			t.Fatal(err)
		}
		for what, remote := range map[string]client.Remote{"archive": archived, "directory": client.DirRemote(os.DirFS(dir))} {
			d := offline(t, repo, remote, mode)
			for name, want := range map[string]string{"fw/0150": "one 150", "acme/0007": "A 7", "acme/0008": "A 8"} {
				if data, err := d.Find(t.Context(), name); err != nil || string(data) != want {
					t.Errorf("%s, %s: %s: %q, %v", mode, what, name, data, err)
				}
			}
			if _, err := d.Find(t.Context(), "fw/0151"); !errors.Is(err, tuf.ErrTransport) {
				t.Errorf("%s, %s: a target that is not in it: %v", mode, what, err)
			}
		}
	}
}

// TestTUF_26: whatever is missing from a bundle or changed in it, a device that imports it takes nothing, says so, and goes on with a good one.
func TestTUF_26_SpoiledBundle(t *testing.T) {
	repo, files, _ := exported(t, "memory")
	repo.Fault = func(name string, _ []byte, _ error) ([]byte, error) { return nil, errors.New("no network") }
	for name, good := range files {
		if name == "payloads/image" || strings.HasPrefix(name, "targets/") || name == "metadata/1.root.json" {
			continue
		}
		for what, bad := range map[string]string{"absent": "", "truncated": good[:len(good)/2], "flipped": flip(good, len(good)/2), "empty object": "{}"} {
			spoiled := maps.Clone(files)
			if spoiled[name] = bad; what == "absent" {
				delete(spoiled, name)
			}
			d := offline(t, repo, mapRemote(spoiled), "memory")
			if data, err := d.Find(t.Context(), "acme/0007"); err == nil {
				t.Errorf("%s %s: found %q", name, what, data)
			}
			d.o.Remote = mapRemote(files)
			d.restart()
			if data, err := d.Find(t.Context(), "acme/0007"); err != nil || string(data) != "A 7" {
				t.Errorf("%s %s, then a good bundle: %q, %v", name, what, data, err)
			}
		}
	}
}

// A bundle that is older than what the device has seen, online or from another bundle, is refused; so is one that expired.
func TestTUF_03_OlderBundle(t *testing.T) {
	for mode := range modes {
		repo, older, _ := exported(t, mode)
		repo.Targets["fw/0150"] = []byte("two")
		repo.Publish()
		newer, _ := export(t, repo, mode)
		for what, remote := range map[string]client.Remote{"online": streaming{repo}, "another bundle": mapRemote(newer)} {
			d := offline(t, repo, remote, mode)
			if data, err := d.Find(t.Context(), "fw/0150"); err != nil || string(data) != "two" {
				t.Fatalf("%s: %q, %v", what, data, err)
			}
			d.o.Remote = mapRemote(older)
			d.restart()
			before := d.files()
			if _, err := d.Find(t.Context(), "fw/0150"); !errors.Is(err, tuf.ErrRollback) {
				t.Errorf("%s, %s: %v, want ErrRollback", mode, what, err)
			}
			if names := changed(before, d.files()); names != nil {
				t.Errorf("%s, %s: %v changed", mode, what, names)
			}
		}
		now := repo.Now
		repo.Now = now.AddDate(0, 0, 2)
		if _, err := offline(t, repo, mapRemote(newer), mode).Find(t.Context(), "fw/0150"); !errors.Is(err, tuf.ErrFreeze) {
			t.Errorf("%s: expired: %v, want ErrFreeze", mode, err)
		}
	}
}

// failing is a BundleWriter that breaks off after n files.
type failing struct {
	n     int
	names []string
}

func (f *failing) Create(name string) (io.Writer, error) {
	if len(f.names) == f.n {
		return nil, io.ErrShortWrite
	}
	f.names = append(f.names, name)
	return io.Discard, nil
}

// An export that breaks off anywhere has written no timestamp, and so no bundle.
func TestExportBreaksOff(t *testing.T) {
	repo, files, _ := exported(t, "memory")
	for n := range len(files) {
		w := &failing{n: n}
		err := newModeDevice(t, repo, "memory").Export(t.Context(), w, client.Export{Targets: []string{"fw/0150", "acme/0007", "acme/0008"}, Payloads: []string{"payloads/image"}})
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("after %d files: %v", n, err)
		}
		if slices.Contains(w.names, "metadata/timestamp.json") {
			t.Errorf("after %d files: %v", n, w.names)
		}
	}
	for what, e := range map[string]client.Export{
		"unknown target": {Targets: []string{"fw/none"}}, "unsafe target": {Targets: []string{"../x"}}, "unknown payload": {Payloads: []string{"payloads/none"}},
		"unsafe payload": {Payloads: []string{"../../etc/passwd"}}, "long payload": {Payloads: []string{"payloads/image"}, MaxPayload: 49999},
	} {
		if err := newModeDevice(t, repo, "memory").Export(t.Context(), &failing{n: 100}, e); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// An export killed between any two operations of a directory leaves no bundle that a device would take in part.
func TestExportPowerCut(t *testing.T) {
	repo := graph([]edge{{from: "targets", to: "A"}}, map[string]string{"A": "acme/0007"})
	write := func(s *simfs.Sim) error {
		tree := bundle.NewDir(s.FS())
		d := newDevice(t, repo)
		d.o.Remote = streaming{repo}
		d.restart()
		if err := d.Export(t.Context(), tree, client.Export{Targets: []string{"acme/0007"}}); err != nil {
			return errors.Join(err, tree.Discard())
		}
		return tree.Close()
	}
	table := simfs.Explore(t, simfs.Workload{
		Run: func(s *simfs.Sim) error {
			if err := write(s); err != nil {
				return err
			}
			s.Ack("written", true)
			return nil
		},
		Recover: func(s *simfs.Sim) error {
			find := func() error {
				data, err := offline(t, repo, client.DirRemote(fsOf{s.FS()}), "memory").Find(t.Context(), "acme/0007")
				if err == nil && string(data) != "by A" {
					return simfs.Violated("S7", "found %q", data)
				}
				return err
			}
			if err := find(); err != nil && s.Acked("written") != nil {
				return fmt.Errorf("a bundle that was complete: %w", err)
			}
			if err := write(s); err != nil {
				return err
			}
			s.Ack("written", true)
			return find()
		},
	}, simfs.ExploreOptions{SecondTotal: simfs.Sample(200), Seed: 26})
	t.Logf("\n%s", table)
}

// fsOf makes the medium an fs.FS for files.
type fsOf struct{ simfs.FS }

func (f fsOf) Open(name string) (fs.File, error) {
	file, err := f.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	size, err := file.Size()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	data := make([]byte, size)
	if n, err := file.ReadAt(data, 0); int64(n) < size {
		return nil, errors.Join(err, file.Close())
	}
	return fstest.MapFS{"f": {Data: data}}.Open("f")
}

func TestTUF_07_BundleWithEndlessList(t *testing.T) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := range 40000 {
		if _, err := z.Create(fmt.Sprintf("%0250d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Open(bytes.NewReader(out.Bytes()), int64(out.Len())); !errors.Is(err, tuf.ErrLength) {
		t.Errorf("got %v, want ErrLength", err)
	}
	for _, data := range []string{"", "PK", strings.Repeat("x", 1000)} {
		if _, err := bundle.Open(strings.NewReader(data), int64(len(data))); !errors.Is(err, tuf.ErrMalformed) {
			t.Errorf("%.10q: %v, want ErrMalformed", data, err)
		}
	}
}

// A list of files that is short, and would take much memory all the same.
func TestTUF_07_BundleWithHeavyList(t *testing.T) {
	heavy := func(what string, r io.ReaderAt, size int64, open func(*bundle.Archive)) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a, err := bundle.Open(r, size)
		if err == nil {
			open(a)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, tuf.ErrLength) || took > 64<<20 {
			t.Errorf("%s: %d bytes taken, %v, want ErrLength", what, took, err)
		}
	}
	const size, records = 8 << 30, 200 << 20
	tail := binary.LittleEndian.AppendUint64([]byte("PK\x06\x06"), 44) // the end of the directory, with a count that is made up
	tail = append(tail, make([]byte, 12)...)
	for _, n := range []uint64{records, records, 46, size - 98 - 46} {
		tail = binary.LittleEndian.AppendUint64(tail, n)
	}
	tail = binary.LittleEndian.AppendUint64(append(tail, "PK\x06\x07\x00\x00\x00\x00"...), size-98)
	tail = append(tail, "\x01\x00\x00\x00PK\x05\x06"...)
	tail = append(append(tail, bytes.Repeat([]byte{0xff}, 16)...), 0, 0)
	heavy("count", hole{size, tail}, size, func(*bundle.Archive) {})

	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := range 100 {
		if _, err := z.Create(fmt.Sprint(i) + strings.Repeat("/a", 30000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	heavy("directories", bytes.NewReader(out.Bytes()), int64(out.Len()), func(a *bundle.Archive) { _, _ = a.Open(t.Context(), "metadata/timestamp.json") })
}

// hole is a file of size bytes, zeros but for its end.
type hole struct {
	size int64
	tail []byte
}

func (h hole) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	n := int(min(int64(len(p)), h.size-off))
	if start := h.size - int64(len(h.tail)); off+int64(n) > start {
		at := max(0, start-off)
		copy(p[at:n], h.tail[max(0, off-start):])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
