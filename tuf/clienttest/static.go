// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"embed"
	"io/fs"
	"strings"
	"time"
)

//go:embed testdata/static
var repositories embed.FS

// static is repositories that others wrote.
var static = []Case{others("tuf-on-ci-0.11"), others("sigstore-root-signing")}

func others(name string) Case {
	return Case{"test_static_repositories.py::test_static_repository[" + name + "]", func(w *world) {
		dir, err := fs.Sub(repositories, "testdata/static/"+name)
		if err != nil {
			w.Fatal(err)
		}
		read := func(name string) []byte {
			data, err := fs.ReadFile(dir, name)
			if err != nil {
				w.Fatal(err)
			}
			return data
		}
		if w.Now, err = time.Parse("2006-01-02 15:04:05-07:00", strings.TrimSpace(string(read("faketime")))); err != nil {
			w.Fatal(err)
		}
		w.Files = map[string][]byte{}
		err = fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				w.Files[path] = read(path)
			}
			return err
		})
		if err != nil {
			w.Fatal(err)
		}
		if w.c, err = w.setup(w.t, read("initial_root.json"), w.Repo); err != nil {
			w.Fatal(err)
		}
		w.accepts()
		w.downloads(strings.TrimSpace(string(read("targetpath"))))
		if n := len(w.c.Targets()); n != 1 {
			w.Fatalf("has %d targets, want 1", n)
		}
	}}
}
