// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tufRepo writes repositories for the suite tuf, straight in canonical form: neither side's code has a hand in it. One Ed25519 key per
// role, SHA-256 only, consistent snapshots; the snapshot lists versions and no hashes.
type tufRepo struct {
	dir     string
	keys    map[string]ed25519.PrivateKey
	expires string
}

const tufSpec = `"spec_version":"1.0.34"`

// tufTarget is the name of target i.
func tufTarget(i int) string { return fmt.Sprintf("fw/model-%07d.bin", i) }

// makeTUF is a child: DIR N BITS writes a repository of n targets, in one file or, if bits is not 0, in 2^bits succinct bins.
func makeTUF(_ context.Context, args []string) error {
	n, err1 := strconv.Atoi(args[1])
	bits, err2 := strconv.Atoi(args[2])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	r := &tufRepo{dir: filepath.Join(args[0], "metadata"), keys: map[string]ed25519.PrivateKey{}, expires: time.Now().UTC().AddDate(5, 0, 0).Format(time.RFC3339)}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "bins"} {
		seed := sha256.Sum256([]byte("bench " + role))
		r.keys[role] = ed25519.NewKeyFromSeed(seed[:])
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	if err := r.root(); err != nil {
		return err
	}
	meta := `"targets.json":{"version":1}`
	if bits == 0 {
		err1 = r.targets("1.targets.json", "targets", "", slices.Values(r.entries(n)))
	} else {
		meta, err1 = r.bins(n, bits)
	}
	err2 = r.write("1.snapshot.json", "snapshot", `{"_type":"snapshot","expires":"`+r.expires+`","meta":{`+meta+`},`+tufSpec+`,"version":1}`)
	err3 := r.write("timestamp.json", "timestamp", `{"_type":"timestamp","expires":"`+r.expires+`","meta":{"snapshot.json":{"version":1}},`+tufSpec+`,"version":1}`)
	return errors.Join(err1, err2, err3)
}

func (r *tufRepo) public(role string) (id, object string) {
	object = fmt.Sprintf(`{"keytype":"ed25519","keyval":{"public":"%x"},"scheme":"ed25519"}`, r.keys[role].Public())
	sum := sha256.Sum256([]byte(object))
	return hex.EncodeToString(sum[:]), object
}

func (r *tufRepo) root() error {
	keys, roles := map[string]string{}, ""
	for _, role := range []string{"root", "snapshot", "targets", "timestamp"} {
		id, object := r.public(role)
		keys[id] = object
		if roles != "" {
			roles += ","
		}
		roles += fmt.Sprintf(`"%s":{"keyids":["%s"],"threshold":1}`, role, id)
	}
	list := ""
	for _, id := range sortedNames(keys) {
		if list != "" {
			list += ","
		}
		list += `"` + id + `":` + keys[id]
	}
	return r.write("1.root.json", "root", `{"_type":"root","consistent_snapshot":true,"expires":"`+r.expires+`","keys":{`+list+`},"roles":{`+roles+`},`+tufSpec+`,"version":1}`)
}

func sortedNames(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (r *tufRepo) entries(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// targets writes one targets file; extra is what stands before "expires". The signature is made over the bytes as they are.
func (r *tufRepo) targets(name, signer, extra string, list func(yield func(int) bool)) error {
	var body []byte
	body = append(body, `{"_type":"targets",`+extra+`"expires":"`+r.expires+`",`+tufSpec+`,"targets":{`...)
	first := true
	for i := range list {
		if !first {
			body = append(body, ',')
		}
		first = false
		sum := sha256.Sum256([]byte(tufTarget(i)))
		body = fmt.Appendf(body, `"%s":{"hashes":{"sha256":"%x"},"length":%d}`, tufTarget(i), sum, 1024)
	}
	return r.write(name, signer, string(append(body, `},"version":1}`...)))
}

// bins writes the delegation, the bins, and returns what the snapshot lists.
func (r *tufRepo) bins(n, bits int) (meta string, err error) {
	id, object := r.public("bins")
	extra := fmt.Sprintf(`"delegations":{"keys":{"%s":%s},"succinct_roles":{"bit_length":%d,"keyids":["%s"],"name_prefix":"%s","threshold":1}},`, id, object, bits, id, tufBinPrefix)
	if err := r.targets("1.targets.json", "targets", extra, func(func(int) bool) {}); err != nil {
		return "", err
	}
	bins := make([][]int, 1<<bits)
	for i := range n {
		number := tufBinNumber(tufTarget(i), bits)
		bins[number] = append(bins[number], i)
	}
	var list []byte
	for number, targets := range bins {
		name := tufBinName(number, bits) + ".json"
		if err := r.targets("1."+name, "bins", "", slices.Values(targets)); err != nil {
			return "", err
		}
		list = fmt.Appendf(list, `"%s":{"version":1},`, name)
	}
	return string(list) + `"targets.json":{"version":1}`, nil
}

// tufBinPrefix begins the names of bins; it stands 2^bits times in the snapshot.
const tufBinPrefix = "b"

// tufBinNumber is the first bits of the SHA-256 of a target path (TAP 15).
func tufBinNumber(target string, bits int) int {
	sum := sha256.Sum256([]byte(target))
	return (int(sum[0])<<16 | int(sum[1])<<8 | int(sum[2])) >> (24 - bits)
}

func tufBinName(number, bits int) string {
	return fmt.Sprintf("%s-%0*x", tufBinPrefix, (bits+3)/4, number)
}

func (r *tufRepo) write(name, signer, signed string) (err error) {
	id, _ := r.public(signer)
	sig := ed25519.Sign(r.keys[signer], []byte(signed))
	f, err := os.Create(filepath.Join(r.dir, name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, `{"signatures":[{"keyid":"%s","sig":"%x"}],"signed":`, id, sig)
	io.WriteString(w, signed)
	w.WriteByte('}')
	return w.Flush()
}

// flipTUF changes one digit of a digest somewhere in the middle of a file, or changes it back.
func flipTUF(name string) (err error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	const before = `"sha256":"`
	window := make([]byte, 4096)
	start := max(0, st.Size()/2-int64(len(window)))
	n, err := f.ReadAt(window, start)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	at := bytes.Index(window[:n], []byte(before)) + len(before)
	if at < len(before) {
		return fmt.Errorf("%s: no digest found", name)
	}
	digits := "0123456789abcdef"
	_, err = f.WriteAt([]byte{digits[strings.IndexByte(digits, window[at])^1]}, start+int64(at))
	return err
}
