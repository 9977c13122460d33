// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// maxFile bounds every file that is read.
const maxFile = 1 << 30

// readFile reads a file that a program has written, such as an envelope.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = cli.Inputf("%s is larger than %d bytes", name, maxFile)
	}
	return b, err
}

// readEnvelope reads an envelope without asking who has made it.
func readEnvelope(name string, compat bool) (*manifest.Unverified, error) {
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	u, err := options(compat).InspectBytes(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w%s", name, err, laxer(b, compat))
	}
	return u, nil
}

// laxer says whether b is refused for want of --compat only.
func laxer(b []byte, compat bool) string {
	_, strict := options(false).InspectBytes(b)
	_, lax := options(true).InspectBytes(b)
	if compat || strict == nil || lax != nil {
		return ""
	}
	return " (--compat accepts it)"
}

// maxKeyFile bounds a file with a key.
const maxKeyFile = 64 << 10

func readPublic(name string) (verify.Key, error) {
	b, err := cli.ReadFile(name, maxKeyFile, "a public key (PEM)")
	if err != nil {
		return verify.Key{}, err
	}
	key, err := verify.ParsePublicKeyPEM(b)
	if err != nil {
		return verify.Key{}, cli.Inputf("%s: %w; want a public key (PEM)", name, err)
	}
	return key, nil
}

func readPrivate(name string) (verify.Signer, error) {
	b, err := cli.ReadFile(name, maxKeyFile, "a private key (PEM)")
	if err != nil {
		return nil, err
	}
	signer, err := verify.ParsePrivateKeyPEM(b)
	if err != nil {
		return nil, cli.Inputf("%s: %w; want a private key (PEM)", name, err)
	}
	return signer, nil
}

func parseMacKey(text string) (verify.Macer, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, cli.Usagef("--mac-key is not hexadecimal")
	}
	macer, err := verify.NewMacer(b)
	if err != nil {
		return nil, cli.Usagef("--mac-key: %v", err)
	}
	return macer, nil
}

// severableMembers are the members that sever and attach can be asked for.
var severableMembers = map[string]manifest.Section{
	"dependency-resolution":  manifest.SectionDependencyResolution,
	"payload-fetch":          manifest.SectionPayloadFetch,
	"candidate-verification": manifest.SectionCandidateVerification,
	"install":                manifest.SectionInstall,
	"coswid":                 manifest.MemberCoSWID,
	"text":                   manifest.MemberText,
}

// memberFile is a severable member and the file with its content.
type memberFile struct {
	name, file string
	member     manifest.Section
}

func parseMembers(values []string) ([]memberFile, error) {
	var out []memberFile
	seen := make(map[string]bool)
	for _, v := range values {
		name, file, ok := strings.Cut(v, "=")
		if !ok || file == "" {
			return nil, cli.Usagef("--member %.80q, want NAME=FILE", v)
		}
		member, ok := severableMembers[name]
		if !ok {
			return nil, cli.Usagef("--member %.80q, want install, text or another that can be severed", name)
		}
		if seen[name] || slices.ContainsFunc(out, func(m memberFile) bool { return sameFile(m.file, file) }) {
			return nil, cli.Usagef("--member %.80q: the name or the file is there twice", v)
		}
		seen[name] = true
		out = append(out, memberFile{name, file, member})
	}
	return out, nil
}

// sameFile reports whether two names, of files that need not be there yet, are of one file.
func sameFile(a, b string) bool {
	same := func(a, b string) bool {
		x, err := os.Stat(a)
		y, wrong := os.Stat(b)
		return err == nil && wrong == nil && os.SameFile(x, y)
	}
	return filepath.Clean(a) == filepath.Clean(b) || same(a, b) || filepath.Base(a) == filepath.Base(b) && same(filepath.Dir(a), filepath.Dir(b))
}

// A draft is a file being written, which appears under its name complete or not at all.
type draft struct {
	*os.File
	name string
	done bool
}

func newDraft(name string) (*draft, error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return nil, err
	}
	return &draft{File: f, name: name}, nil
}

func (d *draft) commit() error {
	err := errors.Join(d.Chmod(0o644), d.Sync(), d.Close())
	if err == nil {
		err = os.Rename(d.Name(), d.name)
	}
	d.done = err == nil
	return err
}

// drop removes what has not been committed.
func (d *draft) drop() {
	if !d.done {
		_ = d.Close()
		_ = os.Remove(d.Name())
	}
}

func writeFile(name string, b []byte) error {
	d, err := newDraft(name)
	if err != nil {
		return err
	}
	defer d.drop()
	if _, err := d.Write(b); err != nil {
		return err
	}
	return d.commit()
}
