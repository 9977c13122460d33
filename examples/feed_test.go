// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/examples/internal/device"
	"github.com/firmament-dev/firmament/examples/internal/product"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
)

// A stream is size random bytes that are computed when they are read: AES-CTR over zeros.
type stream struct {
	size, off int64
	block     cipher.Block
}

func newStream(seed byte, size int64) *stream {
	block, err := aes.NewCipher(bytes.Repeat([]byte{seed}, 16))
	if err != nil {
		panic(err) // 16 bytes are a key
	}
	return &stream{size: size, block: block}
}

func (s *stream) Read(p []byte) (int, error) {
	if s.off >= s.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), s.size-s.off)]
	var iv [16]byte
	binary.BigEndian.PutUint64(iv[8:], uint64(s.off/16))
	ctr := cipher.NewCTR(s.block, iv[:])
	var skip [16]byte
	ctr.XORKeyStream(skip[:s.off%16], skip[:s.off%16])
	clear(p)
	ctr.XORKeyStream(p, p)
	s.off += int64(len(p))
	return len(p), nil
}

func (s *stream) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.off
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	s.off = offset
	return offset, nil
}

const chunkSize = 256 << 10 // the default of firmctl init

// feedOptions say how a feed differs from the usual.
type feedOptions struct {
	https      bool                                                         // with a certificate that only the feed's cert file vouches for
	suitOnly   bool                                                         // the device has no TUF root
	checkpoint int64                                                        // checkpoint_bytes of the device
	disturb    func(http.ResponseWriter, *http.Request) http.ResponseWriter // changes answers to requests for the payload
}

// A feed is a product folder and a server for it. Its release is never on the disk: the payload is a stream.
type feed struct {
	dir   string
	cert  string // file for SSL_CERT_FILE, with https
	image verify.Digest
}

// newFeed makes a product whose device asks the feed's server, and publishes as release 1 a stream of size bytes.
func newFeed(t *testing.T, seed byte, size int64, o feedOptions) feed {
	t.Helper()
	f := feed{dir: filepath.Join(t.TempDir(), "product")}
	mux := http.NewServeMux()
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients are killed
	if o.https {
		s.StartTLS()
		f.cert = write(t, f.dir+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	p, err := product.Init(t.Context(), f.dir, product.Options{
		Name: "feed", SlotSize: size, ChunkSize: chunkSize, Server: s.URL, Checkpoint: o.checkpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := product.Handler(p.RepositoryDir())
	if err != nil {
		t.Fatal(err)
	}
	pages, err := f.publish(t.Context(), p, newStream(seed, size))
	if err != nil {
		t.Fatal(err)
	}
	if o.suitOnly {
		change(t, filepath.Join(p.DeviceDir(), device.ConfigName), "tuf_root", "")
	}
	mux.Handle("/", files)
	serve := func(w http.ResponseWriter, r *http.Request, content io.ReadSeeker) {
		w.Header().Set("ETag", fmt.Sprintf(`"%x-%d"`, seed, size))
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, content)
	}
	mux.HandleFunc("/payloads/image", func(w http.ResponseWriter, r *http.Request) {
		if o.disturb != nil {
			w = o.disturb(w, r)
		}
		serve(w, r, newStream(seed, size))
	})
	mux.HandleFunc("/payloads/image.chunks", func(w http.ResponseWriter, r *http.Request) { serve(w, r, bytes.NewReader(pages)) })
	return f
}

// publish signs and publishes the release, and returns the page file.
func (f *feed) publish(ctx context.Context, p *product.Product, image *stream) ([]byte, error) {
	var err error
	if f.image, _, err = verify.SumReader(verify.SHA256, image); err != nil {
		return nil, err
	}
	image.off = 0
	pages, root, err := chunk.Build(image, image.size, chunkSize)
	if err != nil {
		return nil, err
	}
	vendor, class, component, err := p.IDs()
	if err != nil {
		return nil, err
	}
	img := author.Image{URI: "payloads/image", Digest: f.image, Size: image.size, Chunks: &manifest.ChunkInfo{Root: root, Size: chunkSize}}
	env, err := author.AB{VendorID: vendor, ClassID: class, Component: component, SequenceNumber: 1, Slots: [2]author.Image{img, img}}.Build()
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(p.Dir, "keys", "author.pem"))
	if err != nil {
		return nil, err
	}
	signer, err := verify.ParsePrivateKeyPEM(key)
	if err != nil {
		return nil, err
	}
	envelope, err := author.Sign(ctx, env, signer)
	if err != nil {
		return nil, err
	}
	target := firmament.TargetPath(vendor, class, "stable")
	plain := filepath.Join(p.RepositoryDir(), "suit", filepath.FromSlash(target))
	return pages, errors.Join(
		p.Repo.Publish(ctx, map[string][]byte{target: envelope}),
		os.MkdirAll(filepath.Dir(plain), 0o755),
		os.WriteFile(plain, envelope, 0o644),
	)
}

// slot returns the digest of the first size bytes of a slot.
func (f *feed) slot(t *testing.T, name string, size int64) verify.Digest {
	t.Helper()
	file, err := os.Open(filepath.Join(f.dir, "device", "slot-"+strings.ToLower(name)+".img"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	d, _, err := verify.SumReader(verify.SHA256, io.LimitReader(file, size))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// change sets a member of a JSON object in a file.
func change(t *testing.T, name, key string, value any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(b, &object); err != nil {
		t.Fatal(err)
	}
	object[key] = value
	if b, err = json.Marshal(object); err != nil {
		t.Fatal(err)
	}
	write(t, name, b)
}
