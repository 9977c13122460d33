// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package filesource_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/fetchtest"
	"github.com/firmament-dev/firmament/fetch/filesource"
)

const base = "file:///media/usb/"

// root is an empty directory as Source wants it.
func root(t *testing.T) (string, fs.FS) {
	t.Helper()
	dir := t.TempDir()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return dir, r.FS()
}

func source(t *testing.T, fsys fs.FS) *filesource.Source {
	t.Helper()
	s, err := filesource.New(fsys, base)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDirectory(t *testing.T) {
	fetchtest.TestSource(t, func(t *testing.T, data []byte) (fetch.Source, string, string) {
		dir, fsys := root(t)
		if err := os.WriteFile(filepath.Join(dir, "image 1.bin"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		return source(t, fsys), base + "image%201.bin?token=x", base + "none"
	})
}

// A file system whose files cannot seek, and have no times.
func TestPlainFS(t *testing.T) {
	fetchtest.TestSource(t, func(t *testing.T, data []byte) (fetch.Source, string, string) {
		return source(t, noSeek{fstest.MapFS{"a/image.bin": {Data: data}}}), base + "a/image.bin", base + "a/none"
	})
}

type noSeek struct{ fs.FS }

func (n noSeek) Open(name string) (fs.File, error) {
	f, err := n.FS.Open(name)
	return struct{ fs.File }{f}, err
}

func TestRefused(t *testing.T) {
	dir, fsys := root(t)
	outside := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(outside, []byte("secret"), 0o600), os.Symlink(outside, filepath.Join(dir, "link")),
		os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.WriteFile(filepath.Join(dir, "short"), []byte("short"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := source(t, fsys)
	for name, test := range map[string]struct {
		uri    string
		offset int64
		want   error
	}{
		"directory":       {base + "sub", 0, fetch.ErrRefused},
		"base":            {base, 0, fetch.ErrResource},
		"outside":         {base + "../secret", 0, fetch.ErrResource},
		"outside, hidden": {base + "%2e%2e/secret", 0, fetch.ErrResource},
		"rooted":          {base + "/etc/passwd", 0, fetch.ErrResource},
		"another base":    {"file:///etc/passwd", 0, fetch.ErrResource},
		"bad escape":      {base + "%zz", 0, fetch.ErrResource},
		"beyond the end":  {base + "short", 5, fetch.ErrRange},
		"negative":        {base + "short", -1, fetch.ErrRange},
	} {
		if _, err := s.Open(t.Context(), test.uri, test.offset, ""); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if st, err := s.Open(t.Context(), base+"link", 0, ""); err == nil {
		b, _ := io.ReadAll(st.Body)
		t.Errorf("a link that leads out was followed, to %q", b)
	}
	if _, err := filesource.New(fsys, "file:///media/usb"); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("base without a slash: %v", err)
	}
}
