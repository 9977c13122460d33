// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package product is a vendor's folder for one product: keys, a TUF repository with its payloads, and a first device
// folder. What a vendor keeps in a vault, on a web server and in a factory lies side by side here.
//
//	product.json   name, identifiers, releases
//	keys/          private keys, PKCS#8 PEM: author (SUIT), root, targets, snapshot, timestamp (TUF)
//	repository/    plain files for any web server: metadata/, targets/, payloads/, suit/
//	device/        a device folder, see package device
package product

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// Config is the content of product.json.
type Config struct {
	Name      string    `json:"name"`
	Vendor    string    `json:"vendor_id"`
	Class     string    `json:"class_id"`
	Channel   string    `json:"channel"`
	Component string    `json:"component"`
	ChunkSize int64     `json:"chunk_size"`
	Releases  []Release `json:"releases"`
}

// Release is one entry of the product's history. The entry is written before the release is published, so that no
// sequence number is ever used twice.
type Release struct {
	Sequence uint64    `json:"sequence"`
	Version  string    `json:"version"`
	Size     int64     `json:"size"`
	Digest   string    `json:"digest"`   // of the image
	Manifest string    `json:"manifest"` // digest of the signed manifest
	Time     time.Time `json:"time"`

	// Unfinished says that publishing it was begun, and not finished. Its sequence number is used up.
	Unfinished bool `json:"unfinished,omitempty"`
}

const (
	configName = "product.json"
	maxConfig  = 1 << 20
	maxKey     = 16 << 10
)

// Roles are the keys of a product, by file name in keys/.
var roles = []string{"author", "root", "targets", "snapshot", "timestamp"}

// A Product is an open product folder.
type Product struct {
	Dir    string
	Config Config
	Repo   *repository.Repository
	Deltas int  // from how many of the last releases the next one gets a delta
	Pack   bool // the next one is published packed, too
	author verify.Signer
}

// Options say how Init makes a product. The zero value has usable defaults.
type Options struct {
	Name       string        // default: the folder's name
	ChunkSize  int64         // default 256 KiB
	SlotSize   int64         // default 64 MiB; the slots are sparse files
	Server     string        // default http://127.0.0.1:8080
	Checkpoint int64         // for device.json; default: the library's
	Health     device.Health // for device.json
	External   bool          // something else plays the boot loader, not the agent
	Now        func() time.Time
}

// DefaultServer is where "firmctl serve" listens, and where a device folder looks, by default.
const DefaultServer = "http://127.0.0.1:8080"

func (o Options) complete(dir string) (Options, error) {
	if o.Name == "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return o, err
		}
		o.Name = filepath.Base(abs)
	}
	if o.ChunkSize == 0 {
		o.ChunkSize = 256 << 10
	}
	if o.SlotSize == 0 {
		o.SlotSize = 64 << 20
	}
	if o.Server == "" {
		o.Server = DefaultServer
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

// Init makes the folder dir, which must be absent or empty. A failure removes what it made.
func Init(ctx context.Context, dir string, o Options) (p *Product, err error) {
	if o, err = o.complete(dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Usagef("want a new or empty folder: %w", err)
	}
	if len(entries) > 0 {
		return nil, cli.Usagef("%s is not empty (it has %s): init makes a new folder", dir, entries[0].Name())
	}
	existed := err == nil
	defer func() {
		if err != nil {
			err = errors.Join(err, undo(dir, existed))
		}
	}()
	for d, mode := range map[string]fs.FileMode{"keys": 0o700, "repository": 0o755, "device/state": 0o700} {
		if err := os.MkdirAll(filepath.Join(dir, d), mode); err != nil {
			return nil, err
		}
	}
	for _, role := range roles {
		if err := makeKey(dir, role); err != nil {
			return nil, err
		}
	}
	p = &Product{Dir: dir, Deltas: DefaultDeltas, Pack: true, Config: Config{
		Name:      o.Name,
		Vendor:    author.VendorID("firmctl.invalid").String(),
		Class:     author.ClassID(author.VendorID("firmctl.invalid"), o.Name).String(),
		Channel:   "stable",
		Component: "00",
		ChunkSize: o.ChunkSize,
	}}
	if err := p.save(); err != nil {
		return nil, err
	}
	if err := p.openKeys(); err != nil {
		return nil, err
	}
	if p.Repo, err = p.createRepository(ctx, o.Now); err != nil {
		return nil, err
	}
	if err := p.makeDevice(o); err != nil {
		return nil, err
	}
	// Opened once, its journal and counter exist: from here on looking at it changes nothing.
	d, err := device.Open(p.DeviceDir(), device.Options{})
	if err != nil {
		return nil, err
	}
	return p, d.Close()
}

// undo removes what Init made in dir.
func undo(dir string, existed bool) error {
	if !existed {
		return os.RemoveAll(dir)
	}
	var errs []error
	for _, name := range []string{"keys", "repository", "device", configName} {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

// Open opens a folder that Init made.
func Open(ctx context.Context, dir string, now func() time.Time) (*Product, error) {
	if now == nil {
		now = time.Now
	}
	p, err := OpenPublic(dir)
	if err != nil {
		return nil, err
	}
	if err := p.openKeys(); err != nil {
		return nil, err
	}
	p.Repo, err = p.openRepository(ctx, now)
	return p, err
}

// ValidName says whether s can stand in a line for people and in a file's name.
func ValidName(s string) bool {
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-"
	return s != "" && len(s) <= 64 && strings.Trim(s, chars) == ""
}

// OpenPublic opens a folder that Init made without its keys: what is public can be served, and nothing published.
func OpenPublic(dir string) (*Product, error) {
	p := &Product{Dir: dir, Deltas: DefaultDeltas, Pack: true}
	name := filepath.Join(dir, configName)
	if err := cli.ReadJSON(name, maxConfig, "a product as firmctl init makes it", &p.Config); err != nil {
		return nil, fmt.Errorf("%w (to make one: %s init DIR)", err, cli.Command("firmctl"))
	}
	if err := p.Config.check(); err != nil {
		return nil, cli.Inputf("%s: %w", name, err)
	}
	return p, nil
}

// check wants what Init wrote.
func (c Config) check() error {
	for _, f := range []struct{ name, value string }{{"vendor_id", c.Vendor}, {"class_id", c.Class}} {
		if _, err := manifest.ParseUUID(f.value); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if _, err := device.ParseComponent(c.Component); err != nil {
		return err
	}
	if c.Channel == "" || strings.ContainsAny(c.Channel, "/\\") {
		return fmt.Errorf("channel is %q, want a name such as \"stable\"", c.Channel)
	}
	if n := c.ChunkSize; n < 16<<10 || n > 4<<20 || n&(n-1) != 0 {
		return fmt.Errorf("chunk_size is %d, want a power of two from 16384 to 4194304", n)
	}
	return nil
}

// Remove removes what Init made.
func (p *Product) Remove() error { return undo(p.Dir, false) }

// SlotSize returns the size of the first device's smaller slot: an image that does not fit it is a mistake. Without a device
// folder there is no such limit.
func (p *Product) SlotSize() int64 {
	size := int64(math.MaxInt64)
	c, err := device.ReadConfig(p.DeviceDir())
	if err != nil {
		return size
	}
	for _, name := range c.Slots {
		if st, err := os.Stat(filepath.Join(p.DeviceDir(), name)); err == nil && st.Mode().IsRegular() {
			size = min(size, st.Size())
		}
	}
	return size
}

// RepositoryDir is the folder that a web server serves.
func (p *Product) RepositoryDir() string { return filepath.Join(p.Dir, "repository") }

// DeviceDir is the first device's folder.
func (p *Product) DeviceDir() string { return filepath.Join(p.Dir, "device") }

// IDs returns the product's vendor and class identifiers and the component that is updated.
func (p *Product) IDs() (vendor, class manifest.UUID, component manifest.ComponentID, err error) {
	if vendor, err = manifest.ParseUUID(p.Config.Vendor); err != nil {
		return
	}
	if class, err = manifest.ParseUUID(p.Config.Class); err != nil {
		return
	}
	component, err = device.ParseComponent(p.Config.Component)
	return
}

// save replaces product.json. Old or new content survives a power cut.
func (p *Product) save() error {
	b, err := json.MarshalIndent(p.Config, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(p.Dir, configName), append(b, '\n'))
}

// replaceFile writes a file of the folder as a whole.
func replaceFile(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func makeKey(dir, role string) error {
	kind := verify.Ed25519
	if role == "author" {
		kind = verify.P256
	}
	s, err := verify.GenerateKey(kind)
	if err != nil {
		return err
	}
	b, err := verify.MarshalPrivateKeyPEM(s)
	if err != nil {
		return err
	}
	return os.WriteFile(keyFile(dir, role), b, 0o600)
}

func keyFile(dir, role string) string { return filepath.Join(dir, "keys", role+".pem") }

func readKey(dir, role string) (verify.Signer, error) {
	b, err := cli.ReadFile(keyFile(dir, role), maxKey, "a private key (PKCS#8 PEM)")
	if err != nil {
		return nil, err
	}
	s, err := verify.ParsePrivateKeyPEM(b)
	if err != nil {
		return nil, cli.Inputf("%s: %w; want a private key (PKCS#8 PEM)", keyFile(dir, role), err)
	}
	return s, nil
}

func (p *Product) openKeys() (err error) {
	p.author, err = readKey(p.Dir, "author")
	return err
}

// next returns the sequence number after the last one.
func (p *Product) next() uint64 {
	if len(p.Config.Releases) == 0 {
		return 1
	}
	return slices.MaxFunc(p.Config.Releases, func(a, b Release) int {
		if a.Sequence < b.Sequence {
			return -1
		}
		return 1
	}).Sequence + 1
}

// repositoryOptions gives each role its key. Timestamp and snapshot are good for long here, so that a folder can be tried
// out for a while; a publisher that runs "refresh" by the clock signs for a day or two.
func (p *Product) repositoryOptions(now func() time.Time) (repository.Options, error) {
	o := repository.Options{Now: now, Signers: map[tuf.Role][]verify.Signer{}, Expiry: map[tuf.Role]time.Duration{
		tuf.RoleSnapshot:  30 * 24 * time.Hour,
		tuf.RoleTimestamp: 30 * 24 * time.Hour,
	}}
	for _, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
		s, err := readKey(p.Dir, string(role))
		if err != nil {
			return o, err
		}
		o.Signers[role] = []verify.Signer{s}
	}
	return o, nil
}

func (p *Product) createRepository(ctx context.Context, now func() time.Time) (*repository.Repository, error) {
	o, err := p.repositoryOptions(now)
	if err != nil {
		return nil, err
	}
	dir, err := repository.OpenDir(p.RepositoryDir())
	if err != nil {
		return nil, err
	}
	return repository.Create(ctx, dir, o)
}

func (p *Product) openRepository(ctx context.Context, now func() time.Time) (*repository.Repository, error) {
	o, err := p.repositoryOptions(now)
	if err != nil {
		return nil, err
	}
	dir, err := repository.OpenDir(p.RepositoryDir())
	if err != nil {
		return nil, cli.Damagedf("repository: %w", err)
	}
	r, err := repository.Open(ctx, dir, o)
	var disk *fs.PathError
	switch {
	case errors.As(err, &disk):
		return nil, fmt.Errorf("%s: %w", p.RepositoryDir(), err)
	case err != nil:
		return nil, cli.Damagedf("%s: %w", p.RepositoryDir(), err)
	}
	return r, nil
}
