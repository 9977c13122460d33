// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// OpenFile opens a regular file that the user named, and returns its size. want says what it is for, such as "an image".
// A file that is not there, or is something else, is ErrInput.
func OpenFile(path, want string) (*os.File, int64, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if dir := filepath.Dir(path); !exists(dir) {
			return nil, 0, Inputf("%s: no such folder, want one with %s: %s", dir, filepath.Base(path), want)
		}
		return nil, 0, Inputf("%s: no such file, want %s", path, want)
	}
	if err != nil {
		return nil, 0, Inputf("want %s: %w", want, err)
	}
	if st.IsDir() {
		return nil, 0, Inputf("%s is a directory, want %s", path, want)
	}
	if !st.Mode().IsRegular() {
		return nil, 0, Inputf("%s is not a regular file, want %s", path, want)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, Inputf("want %s: %w", want, err)
	}
	return f, st.Size(), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// ReadFile is OpenFile for a small file: its content, from 1 to limit bytes.
func ReadFile(path string, limit int64, want string) ([]byte, error) {
	f, size, err := OpenFile(path, want)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch {
	case size == 0:
		return nil, Inputf("%s is empty, want %s", path, want)
	case size > limit:
		return nil, Inputf("%s has %d bytes, want %s of at most %d", path, size, want, limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// ReadJSON reads a file that holds exactly one JSON value with the fields of v.
func ReadJSON(path string, limit int64, want string, v any) error {
	b, err := ReadFile(path, limit, want)
	if err != nil {
		return err
	}
	if err := unmarshal(b, v); err != nil {
		return Inputf("%s: %w; want %s", path, err, want)
	}
	return nil
}
