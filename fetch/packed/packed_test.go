// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package packed_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"testing/iotest"
	"testing/synctest"

	kzstd "github.com/klauspost/compress/zstd"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/fetchtest"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/fetch/packed"
	"github.com/firmament-dev/firmament/fetch/packed/gzip"
	"github.com/firmament-dev/firmament/fetch/packed/xz"
	"github.com/firmament-dev/firmament/fetch/packed/zstd"
	"github.com/firmament-dev/firmament/verify"
)

func image() []byte {
	p := make([]byte, 20_000)
	for i := range p {
		p[i] = byte(i * i >> 7)
	}
	return p
}

func gzipped(p []byte) []byte {
	var b bytes.Buffer
	w := stdgzip.NewWriter(&b)
	w.Write(p) // a bytes.Buffer cannot fail
	w.Close()
	return b.Bytes()
}

func zstandard(tb testing.TB, p []byte) []byte {
	e, err := kzstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer e.Close()
	return e.EncodeAll(p, nil)
}

func file(tb testing.TB, name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

type format struct {
	name string
	open packed.Decoder
	data []byte // of image
}

func formats(tb testing.TB) []format {
	return []format{{"gzip", gzip.Open, gzipped(image())}, {"zstd", zstd.Open, zstandard(tb, image())}, {"xz", xz.Open, file(tb, "image.xz")}}
}

func TestUnpack(t *testing.T) {
	broken := errors.New("disk full")
	for _, f := range formats(t) {
		t.Run(f.name, func(t *testing.T) {
			size := int64(len(image()))
			unpack := func(r io.Reader, size int64) ([]byte, error) {
				var b bytes.Buffer
				err := packed.Unpack(&b, r, size, f.open)
				if int64(b.Len()) > size {
					t.Errorf("%d bytes written, signed are %d", b.Len(), size)
				}
				return b.Bytes(), err
			}
			if got, err := unpack(iotest.OneByteReader(bytes.NewReader(f.data)), size); err != nil || !bytes.Equal(got, image()) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			twice := append(bytes.Clone(f.data), f.data...)
			if got, err := unpack(bytes.NewReader(twice), 2*size); err != nil || !bytes.Equal(got, append(image(), image()...)) {
				t.Errorf("two in a row: %d bytes, %v", len(got), err)
			}
			for name, c := range map[string]struct {
				data []byte
				size int64
				want error
			}{
				"one byte too many":  {f.data, size - 1, packed.ErrBomb},
				"one byte too few":   {f.data, size + 1, fetch.ErrSize},
				"two in a row":       {twice, size, packed.ErrBomb},
				"truncated":          {f.data[:len(f.data)-1], size, packed.ErrMalformed},
				"truncated midway":   {f.data[:len(f.data)/2], size, packed.ErrMalformed},
				"garbage at the end": {append(bytes.Clone(f.data), "garbage that is long enough"...), size, packed.ErrMalformed},
				"no such format":     {image(), size, packed.ErrMalformed},
			} {
				if _, err := unpack(bytes.NewReader(c.data), c.size); !errors.Is(err, c.want) {
					t.Errorf("%s: %v, want %v", name, err, c.want)
				}
			}
			if _, err := unpack(io.MultiReader(bytes.NewReader(f.data[:100]), iotest.ErrReader(broken)), size); !errors.Is(err, broken) || errors.Is(err, packed.ErrMalformed) {
				t.Errorf("error of the reader: %v", err)
			}
			if err := packed.Unpack(failing{broken}, bytes.NewReader(f.data), size, f.open); !errors.Is(err, broken) {
				t.Errorf("error of the writer: %v", err)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// runs is a zstd frame without end: 4 bytes make 128 KiB.
type runs struct{ read int64 }

func (r *runs) Read(p []byte) (int, error) {
	head := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3} // window of 128 KiB
	const block = 128 << 10
	run := []byte{block << 3 & 0xff, block >> 5 & 0xff, block >> 13, 0}
	run[0] |= 1 << 1 // a run
	for i := range p {
		if at := int(r.read) - len(head); at < 0 {
			p[i] = head[r.read]
		} else {
			p[i] = run[at%4]
		}
		r.read++
	}
	return len(p), nil
}

func TestNET_11_Bombs(t *testing.T) {
	const signed = 1 << 20
	zeros := bytes.Repeat([]byte{0}, 64<<20)
	window := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0} // 2 GiB, then an empty last block
	for _, c := range []struct {
		name string
		open packed.Decoder
		r    io.Reader
		size int64
		want error
	}{
		{"gzip, 1:1000", gzip.Open, bytes.NewReader(gzipped(zeros)), signed, packed.ErrBomb},
		{"gzip, members without end", gzip.Open, &members{one: gzipped(zeros[:1000])}, signed, packed.ErrBomb},
		{"zstd, 1:30000, without end", zstd.Open, &runs{}, signed, packed.ErrBomb},
		{"zstd, window of 2 GiB", zstd.Open, bytes.NewReader(window), signed, packed.ErrBomb},
		{"xz, 1:6000", xz.Open, bytes.NewReader(file(t, "bomb.xz")), signed, packed.ErrBomb},
		{"xz, dictionary of 4 GiB", xz.Open, bytes.NewReader(dictionary(file(t, "image.xz"), 40)), signed, packed.ErrBomb},
		{"xz, dictionary of 12 MiB", xz.Open, bytes.NewReader(dictionary(file(t, "image.xz"), 23)), signed, packed.ErrBomb},
		{"xz, nested: the inner one is content", xz.Open, bytes.NewReader(file(t, "nested.xz")), 2576, nil},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		written := &counter{}
		err := packed.Unpack(written, c.r, c.size, c.open)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, c.want) || written.n > c.size {
			t.Errorf("%s: %v after %d bytes, want %v after at most %d", c.name, err, written.n, c.want, c.size)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 3*packed.MaxWindow {
			t.Errorf("%s: %d bytes allocated", c.name, took)
		}
	}
}

// members is a gzip file without end.
type members struct {
	one []byte
	at  int
}

func (m *members) Read(p []byte) (int, error) {
	n := copy(p, m.one[m.at:])
	m.at = (m.at + n) % len(m.one)
	return n, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// dictionary sets the dictionary size in the first block header of an .xz file: byte 12 is the header's size, its filter is LZMA2
// with one byte of properties, and a CRC-32 ends it.
func dictionary(file []byte, size byte) []byte {
	b := bytes.Clone(file)
	length := 4 * (int(b[12]) + 1)
	b[12+4] = size
	binary.LittleEndian.PutUint32(b[12+length-4:], crc32.ChecksumIEEE(b[12:12+length-4]))
	return b
}

// REG-33: a damaged stream ends, with an error or with the right bytes, and within the limit.
func TestREG_33_DamagedStreams(t *testing.T) {
	for _, f := range formats(t) {
		for at := 0; at < len(f.data); at += 1 + len(f.data)/400 {
			bad := bytes.Clone(f.data)
			bad[at] ^= 0x55
			written := &counter{}
			if err := packed.Unpack(written, bytes.NewReader(bad), int64(len(image())), f.open); written.n > int64(len(image())) {
				t.Errorf("%s, byte %d: %d bytes written, %v", f.name, at, written.n, err)
			}
		}
	}
}

// flat is a fetch.Sink in memory.
type flat struct {
	data   []byte
	synced int
}

func (s *flat) Offset() int64               { return int64(len(s.data)) }
func (s *flat) Write(p []byte) (int, error) { s.data = append(s.data, p...); return len(p), nil }
func (s *flat) Sync() error                 { s.synced = len(s.data); return nil }

// A packed payload is fetched over a connection that breaks, chunk by chunk verified before it is unpacked.
func TestFetchPacked(t *testing.T) {
	content := make([]byte, 3_000_000)
	for i := range content {
		content[i] = byte(i>>3) & byte(i>>7)
	}
	rand.NewChaCha8([32]byte{1}).Read(content[:1_000_000])
	for _, f := range []format{{"gzip", gzip.Open, gzipped(content)}, {"zstd", zstd.Open, zstandard(t, content)}} {
		for name, trick := range map[string]fetchtest.Trick{"cut": fetchtest.Cut(500_001), "flipped": fetchtest.Flip(500_001)} {
			synctest.Test(t, func(t *testing.T) {
				const step = fetch.MinChunkSize
				pages, root, err := chunk.Build(bytes.NewReader(f.data), int64(len(f.data)), step)
				if err != nil {
					t.Fatal(err)
				}
				server := fetchtest.NewServer()
				server.Put("/image", f.data)
				server.Put("/image.chunks", pages)
				server.Script("/image", trick)
				fetcher, err := fetch.New(fetch.Options{Source: httpsource.New(server.Client(t))})
				if err != nil {
					t.Fatal(err)
				}
				var slot flat
				sink, err := packed.NewSink(&slot, int64(len(content)), f.open)
				if err != nil {
					t.Fatal(err)
				}
				defer sink.Close()
				_, err = fetcher.Fetch(t.Context(), fetch.Resource{
					URI: "http://fw.example/image", Size: int64(len(f.data)), Digest: verify.Sum(verify.SHA256, f.data),
					Chunks: &fetch.Chunks{Root: root, Size: step},
				}, sink)
				if err != nil {
					t.Fatal(err)
				}
				if err := sink.Finish(); err != nil || !bytes.Equal(slot.data, content) || slot.synced != len(content) {
					t.Errorf("%s, %s: %d bytes, %d synced, %v", f.name, name, len(slot.data), slot.synced, err)
				}
			})
		}
	}
}

func TestSink(t *testing.T) {
	for _, f := range formats(t) {
		size := int64(len(image()))
		open := func(size int64) (*flat, *packed.Sink) {
			next := &flat{}
			s, err := packed.NewSink(next, size, f.open)
			if err != nil {
				t.Fatal(err)
			}
			return next, s
		}
		next, s := open(size)
		half := len(f.data) / 2
		_, err1 := s.Write(f.data[:half])
		_, err2 := s.Write(f.data[half:])
		if err := errors.Join(err1, err2, s.Finish()); err != nil || !bytes.Equal(next.data, image()) || s.Offset() != int64(len(f.data)) {
			t.Errorf("%s: %v", f.name, err)
		}
		if _, err := s.Write([]byte{1}); !errors.Is(err, packed.ErrMalformed) {
			t.Errorf("%s: write after the end: %v", f.name, err)
		}
		_, s = open(size)
		s.Write(f.data[:half])
		if err := s.Finish(); !errors.Is(err, packed.ErrMalformed) {
			t.Errorf("%s: finished halfway: %v", f.name, err)
		}
		next, s = open(size / 2)
		_, err := s.Write(f.data)
		if err = errors.Join(err, s.Finish()); !errors.Is(err, packed.ErrBomb) || int64(len(next.data)) > size/2 {
			t.Errorf("%s: %d bytes of at most %d, %v", f.name, len(next.data), size/2, err)
		}
		_, s = open(size)
		s.Write(f.data[:half])
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := packed.NewSink(&flat{data: []byte{1}}, 5, gzip.Open); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("sink not at 0: %v", err)
	}
}

// FuzzDecompress: whatever the input, at most the signed bytes come out, and the call ends.
func FuzzDecompress(f *testing.F) {
	for i, x := range formats(f) {
		f.Add(byte(i), x.data, 20_000)
	}
	f.Add(byte(1), []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0}, 5)
	f.Add(byte(2), file(f, "nested.xz"), 3000)
	open := []packed.Decoder{gzip.Open, zstd.Open, xz.Open}
	f.Fuzz(func(t *testing.T, format byte, data []byte, size int) {
		if size < 1 || size > 1<<20 || len(data) > 1<<16 {
			return
		}
		written := &counter{}
		err := packed.Unpack(written, bytes.NewReader(data), int64(size), open[int(format)%len(open)])
		if written.n > int64(size) || err == nil && written.n != int64(size) {
			t.Errorf("%d bytes of %d, %v", written.n, size, err)
		}
	})
}
