// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
)

func openDir(t *testing.T) (*simfs.Dir, string) {
	t.Helper()
	path := t.TempDir()
	d, err := simfs.OpenDir(path)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return d, path
}

// TestBothFileSystems runs one story on the operating system and in memory: what
// one refuses the other does too.
func TestBothFileSystems(t *testing.T) {
	d, _ := openDir(t)
	for name, fsys := range map[string]simfs.FS{"dir": d, "sim": simfs.NewSim(simfs.Options{}).FS()} {
		t.Run(name, func(t *testing.T) { story(t, fsys) })
	}
}

func story(t *testing.T, fsys simfs.FS) {
	is := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	_, err := fsys.OpenFile("f", os.O_RDWR)
	is("open absent", err, fs.ErrNotExist)
	f, err := fsys.OpenFile("f", os.O_RDWR|os.O_CREATE|os.O_EXCL)
	must(t, err)
	_, err = fsys.OpenFile("f", os.O_RDWR|os.O_CREATE|os.O_EXCL)
	is("create again", err, fs.ErrExist)
	put(t, f, "hello", 3)
	b := make([]byte, 10)
	n, err := f.ReadAt(b, 0)
	is("read beyond the end", err, io.EOF)
	if string(b[:n]) != "\x00\x00\x00hello" {
		t.Errorf("read %q", b[:n])
	}
	must(t, f.Truncate(4))
	size, err := f.Size()
	must(t, err)
	if size != 4 {
		t.Errorf("truncated to %d", size)
	}
	must(t, f.Sync())
	must(t, f.Close())
	_, err = f.WriteAt([]byte("x"), 0)
	is("write closed", err, fs.ErrClosed)

	must(t, fsys.Mkdir("d"))
	must(t, fsys.Mkdir("d"))
	is("mkdir over a file", fsys.Mkdir("f"), fs.ErrExist)
	is("mkdir in nothing", fsys.Mkdir("x/y"), fs.ErrNotExist)
	_, err = fsys.OpenFile("d", os.O_RDONLY)
	is("open a directory", err, fs.ErrInvalid)
	must(t, fsys.Rename("f", "d/g"))
	is("rename absent", fsys.Rename("f", "d/g"), fs.ErrNotExist)
	must(t, fsys.SyncDir("d"))
	must(t, fsys.SyncDir("."))
	if err := fsys.Remove("d"); err == nil {
		t.Error("removed a directory that is not empty")
	}
	names, err := fsys.ReadDir("d")
	must(t, err)
	if !slices.Equal(names, []string{"g"}) {
		t.Errorf("d has %q", names)
	}
	r, err := fsys.OpenFile("d/g", os.O_RDONLY)
	must(t, err)
	if _, err := r.WriteAt([]byte("x"), 0); err == nil {
		t.Error("wrote to a file opened for reading")
	}
	must(t, r.Close())
	f, err = fsys.OpenFile("d/g", os.O_RDWR|os.O_TRUNC)
	must(t, err)
	if size, err := f.Size(); size != 0 || err != nil {
		t.Errorf("truncated on open: %d, %v", size, err)
	}
	must(t, f.Close())
	must(t, fsys.Remove("d/g"))
	is("remove absent", fsys.Remove("d/g"), fs.ErrNotExist)
	must(t, fsys.Remove("d"))

	l, err := fsys.Lock("lock")
	must(t, err)
	_, err = fsys.Lock("lock")
	is("lock twice", err, simfs.ErrBusy)
	must(t, l.Close())
	l, err = fsys.Lock("lock")
	must(t, err)
	must(t, l.Close())
}

func TestPTH_01_NamesOutsideTheRoot(t *testing.T) {
	d, _ := openDir(t)
	for _, fsys := range []simfs.FS{d, simfs.NewSim(simfs.Options{}).FS()} {
		for _, name := range []string{"", "..", "../x", "/etc/passwd", "a//b", "a/./b", "a/../b", "a/"} {
			_, oerr := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE)
			_, lerr := fsys.Lock(name)
			_, rerr := fsys.ReadDir(name)
			for _, err := range []error{oerr, lerr, rerr, fsys.Mkdir(name), fsys.Remove(name), fsys.SyncDir(name), fsys.Rename("x", name), fsys.Rename(name, "x")} {
				if !errors.Is(err, fs.ErrInvalid) {
					t.Errorf("%T %q: %v", fsys, name, err)
				}
			}
		}
	}
}

func TestPTH_02_SymbolicLinks(t *testing.T) {
	d, path := openDir(t)
	target := filepath.Join(t.TempDir(), "target")
	must(t, os.WriteFile(target, []byte("kept"), 0o600))
	must(t, os.WriteFile(filepath.Join(path, "inside"), []byte("kept"), 0o600))
	for name, to := range map[string]string{"out": target, "in": "inside", "dangling": "nothing"} {
		if err := os.Symlink(to, filepath.Join(path, name)); err != nil {
			t.Skipf("needs symbolic links, which this system does not let us make (Windows: switch developer mode on): %v", err)
		}
		for _, flag := range []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_TRUNC} {
			if _, err := d.OpenFile(name, flag); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%s, flag %x: %v", name, flag, err)
			}
		}
		if _, err := d.Lock(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("lock %s: %v", name, err)
		}
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "kept" {
		t.Errorf("the target has %q, %v", b, err)
	}
	if _, err := os.Lstat(filepath.Join(path, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was created through a link: %v", err)
	}
}

func TestSTO_16_DeviceFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device")
	if _, err := simfs.OpenDevice(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open absent: %v", err)
	}
	must(t, os.WriteFile(path, make([]byte, 8192), 0o600))
	d, err := simfs.OpenDevice(path)
	must(t, err)
	put(t, d, "end", 8189)
	if _, err := d.WriteAt([]byte("ends"), 8189); !errors.Is(err, simfs.ErrBounds) {
		t.Errorf("write over the end: %v", err)
	}
	b := make([]byte, 10)
	if n, err := d.ReadAt(b, 8189); n != 3 || err != io.EOF || string(b[:3]) != "end" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if n, err := d.ReadAt(b, 9000); n != 0 || err != io.EOF {
		t.Errorf("read outside: %d, %v", n, err)
	}
	must(t, d.Sync())
	must(t, d.Close())
	if fi, err := os.Stat(path); err != nil || fi.Size() != 8192 {
		t.Errorf("the device grew: %v, %v", fi, err)
	}
	if _, err := simfs.OpenDevice(t.TempDir()); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("open a directory: %v", err)
	}
}
