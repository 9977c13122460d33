// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// many returns a repository with n targets in one file.
func many(n int) *tuftest.Repo {
	r := tuftest.New()
	r.Hashes = false
	for i := range n {
		r.Targets[fmt.Sprintf("fw/model-%07d.bin", i)] = fmt.Append(nil, i)
	}
	r.Publish()
	return r
}

// counted is a file that tells how much of it was read at a time, and can change.
type counted struct {
	data    []byte
	largest int
	total   int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.largest, c.total = max(c.largest, len(p)), c.total+int64(len(p))
	return bytes.NewReader(c.data).ReadAt(p, off)
}

func opened(t *testing.T, r *tuftest.Repo, file io.ReaderAt, size int) (*tuf.Set, error) {
	t.Helper()
	s, err := tuf.NewSet(r.Root(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateTimestamp(r.Files[r.Name(tuf.RoleTimestamp)], r.Now); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateSnapshot(r.Files[r.Name(tuf.RoleSnapshot)], r.Now); err != nil {
		t.Fatal(err)
	}
	return s, s.UpdateTargetsFile(file, int64(size), r.Now)
}

// A file of many targets is read in pieces, once; a look-up reads a small part, and every target is found.
func TestTargetsFile(t *testing.T) {
	const n = 20000
	r := many(n)
	file := &counted{data: r.Files[r.Name(tuf.RoleTargets)]}
	s, err := opened(t, r, file, len(file.data))
	if err != nil {
		t.Fatal(err)
	}
	if file.largest > 128<<10 || file.total > int64(len(file.data)) {
		t.Errorf("%d bytes read of %d, %d at a time", file.total, len(file.data), file.largest)
	}
	if got := s.Targets().Len(); got != n+1 {
		t.Errorf("%d targets", got)
	}
	for name, data := range r.Targets {
		got, err := s.Targets().Target(name)
		if err != nil || got.Verify(data) != nil || got.Path != name {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
	}
	file.total = 0
	for _, name := range []string{"", "a", "fw", "fw/", "fw/a", "fw/model-0000000.bi", "fw/model-0010000.bin0", "zz", "\xff"} {
		if _, err := s.Targets().Target(name); !errors.Is(err, tuf.ErrTargetUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if file.total > 9*4*16<<10 {
		t.Errorf("%d bytes read for nine look-ups", file.total)
	}
	var paths []string
	for file, err := range s.Targets().All() {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, file.Path)
	}
	if want := slices.Sorted(maps.Keys(r.Targets)); !slices.Equal(paths, want) {
		t.Errorf("All gives %d paths, want %d", len(paths), len(want))
	}
	for range s.Targets().All() {
		break
	}
}

// What the medium gives after the verification has to be what was verified.
func TestTUF_22_FileChangedAfterVerification(t *testing.T) {
	r := many(2000)
	file := &counted{data: slices.Clone(r.Files[r.Name(tuf.RoleTargets)])}
	s, err := opened(t, r, file, len(file.data))
	if err != nil {
		t.Fatal(err)
	}
	const name = "fw/model-0001000.bin"
	good := slices.Clone(file.data)
	at := bytes.Index(good, []byte(name))
	for what, change := range map[string]func(){
		"length":    func() { i := at + bytes.Index(good[at:], []byte(`"length": 4`)); file.data[i+10] = '9' },
		"name":      func() { file.data[at]++ },
		"truncated": func() { file.data = file.data[:at] },
		"empty":     func() { file.data = nil },
	} {
		file.data = slices.Clone(good)
		change()
		if got, err := s.Targets().Target(name); !errors.Is(err, tuf.ErrCache) {
			t.Errorf("%s: %v, %v, want ErrCache", what, got, err)
		}
		if err := s.Targets().CheckFile(); !errors.Is(err, tuf.ErrCache) {
			t.Errorf("%s: check: %v", what, err)
		}
	}
	file.data = good
	if _, err := s.Targets().Target(name); err != nil {
		t.Error(err)
	}
	if err := s.Targets().CheckFile(); err != nil {
		t.Error(err)
	}
}

// Of a verified file little is in memory.
func TestTargetsFileMemory(t *testing.T) {
	r := many(100000)
	name := r.Name(tuf.RoleTargets)
	file := &counted{data: r.Files[name]}
	r.Targets, r.Files = nil, map[string][]byte{"root": r.Root(1), r.Name(tuf.RoleTimestamp): r.Files[r.Name(tuf.RoleTimestamp)], r.Name(tuf.RoleSnapshot): r.Files[r.Name(tuf.RoleSnapshot)]}
	r.Files["metadata/1.root.json"] = r.Files["root"]
	heap := func() int64 {
		for range 3 { // what pools hold goes by and by
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	s, err := opened(t, r, file, len(file.data))
	if err != nil {
		t.Fatal(err)
	}
	held := heap() - before
	if t.Logf("%d bytes of metadata, %d held", len(file.data), held); held > int64(len(file.data))/20 {
		t.Errorf("%d bytes held for a file of %d", held, len(file.data))
	}
	runtime.KeepAlive(s)
}

// envelope puts a signed part, as it stands, into a file signed by the targets key of r.
func envelope(r *tuftest.Repo, signed string, signaturesFirst bool) []byte {
	canonical, err := tuf.Canonical([]byte(signed))
	if err != nil {
		canonical = []byte(signed)
	}
	key := r.Keys[tuf.RoleTargets][0]
	sig, err := key.Sign(context.Background(), canonical)
	if err != nil {
		panic(err)
	}
	list := fmt.Sprintf(`"signatures":[{"keyid":%q,"sig":"%x"}]`, tuftest.KeyID(key.Public()), sig)
	if signaturesFirst {
		return []byte("{" + list + `,"signed":` + signed + "}")
	}
	return []byte(`{"signed":` + signed + "," + list + "}")
}

const head = `"_type":"targets","expires":"2030-01-01T00:00:00Z","spec_version":"1.0.34"`

func entries(n int, reverse bool) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"f%07d":{"length":%d,"hashes":{"sha256":"%064x"},"custom":{"b":"\u0001\"\\","a":[1,{}]}}`, i, i, i))
	}
	if reverse {
		slices.Reverse(list)
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// Members in any order are read as long as the file is small; a large one has to be in the order that canonical form has.
func TestTargetsFileOrder(t *testing.T) {
	r := many(0)
	for _, c := range []struct {
		what   string
		signed string
		want   error
	}{
		{"sorted", `{` + head + `,"targets":` + entries(1000, false) + `,"version":2}`, nil},
		{"targets reversed", `{` + head + `,"targets":` + entries(1000, true) + `,"version":2}`, nil},
		{"signed unsorted", `{"version":2,"targets":` + entries(1000, false) + `,` + head + `}`, nil},
		{"twice", `{` + head + `,"targets":{},"targets":{},"version":2}`, tuf.ErrMalformed},
		{"twice, apart", `{"targets":{},` + head + `,"targets":{},"version":2}`, tuf.ErrMalformed},
		{"target twice", `{` + head + `,"targets":` + strings.Replace(entries(100, false), "f0000051", "f0000050", 1) + `,"version":2}`, tuf.ErrMalformed},
		{"target twice, apart", `{` + head + `,"targets":` + strings.Replace(entries(100, false), "f0000099", "f0000050", 1) + `,"version":2}`, tuf.ErrMalformed},
		{"name written in another way", `{` + head + `,"targets":` + strings.Replace(entries(100, false), `"f0000050"`, `"\u0066000005\u0030"`, 1) + `,"version":2}`, nil},
		{"large and sorted", `{` + head + `,"targets":` + entries(70000, false) + `,"version":2}`, nil},
		{"large and reversed", `{` + head + `,"targets":` + entries(70000, true) + `,"version":2}`, tuf.ErrMalformed},
		{"one entry too large", `{` + head + `,"targets":{"a":{"length":1,"hashes":{},"custom":{"a":"` + strings.Repeat("x", 9<<20) + `"}}},"version":2}`, tuf.ErrMalformed},
	} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", c.what, first), func(t *testing.T) {
				data := envelope(r, c.signed, first)
				s, err := opened(t, r, bytes.NewReader(data), len(data))
				if c.want != nil {
					if !errors.Is(err, c.want) {
						t.Fatalf("got %v, want %v", err, c.want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.Targets().Target("f0000050")
				if err != nil || got.Length != 50 || string(got.Custom) != `{"a":[1,{}],"b":"\u0001\"\\"}` {
					t.Errorf("%+v, %v", got, err)
				}
				data[len(data)/2] ^= 1
				if _, err := opened(t, r, bytes.NewReader(data), len(data)); err == nil {
					t.Error("a flipped bit was accepted")
				}
			})
		}
	}
}

// Each scheme verifies what arrives in pieces as it verifies the whole.
func TestTargetsFileSchemes(t *testing.T) {
	for name, key := range map[string]verify.Signer{"ed25519": testkeys.Ed25519(5), "p256": testkeys.P256(5), "ml-dsa-65": testkeys.MLDSA65(5)} {
		r := tuftest.New()
		r.Keys[tuf.RoleTargets] = []verify.Signer{key}
		r.Publish(tuf.RoleRoot)
		for i := range 500 {
			r.Targets[fmt.Sprint(i)] = nil
		}
		r.Publish()
		r.Files["metadata/1.root.json"] = r.Root(2)
		data := r.Files[r.Name(tuf.RoleTargets)]
		r.Hashes = false
		r.Publish(tuf.RoleSnapshot, tuf.RoleTimestamp)
		if _, err := opened(t, r, bytes.NewReader(data), len(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		i := bytes.LastIndex(data, []byte(`"length": 0`))
		data[i+10] = '1'
		if _, err := opened(t, r, bytes.NewReader(data), len(data)); !errors.Is(err, tuf.ErrThreshold) {
			t.Errorf("%s: changed: %v", name, err)
		}
	}
}

// FuzzTargetsFile: a targets file that is read block by block says what one that is read as a whole says, whatever it is.
func FuzzTargetsFile(f *testing.F) {
	f.Add([]byte(`{`+head+`,"targets":`+entries(3, false)+`,"version":2}`), true)
	f.Add([]byte(`{`+head+`,"targets":`+entries(3, true)+`,"version":2}`), false)
	f.Add([]byte(`{`+head+`,"targets":{},"version":2,"delegations":{"keys":{},"roles":[]}}`), true)
	f.Add([]byte(`{"targets": {"\u0061":{"length":0,"hashes":{}}}, "version" : 2 ,`+head+`}`), true)
	f.Add([]byte(`{"targets":{"a":null}}`), true)
	f.Add([]byte(`1 `), true)
	f.Add([]byte(``), false)
	f.Add([]byte(`{"x":"`+strings.Repeat(`\\`, 9000)+`"}`), false)
	f.Add([]byte(`{`+head+`,"targets":`+plainEntries+`,"version":2}`), true)
	f.Add([]byte(`{`+head+`,"targets":`+plainEntries+`,"version":2}`), false)
	r, d := delegation(f)
	f.Fuzz(func(t *testing.T, signed []byte, first bool) {
		if len(signed) > 1<<18 {
			return
		}
		for _, data := range [][]byte{envelope(r, string(signed), first), signed} {
			agree(t, d, data)
		}
	})
}
