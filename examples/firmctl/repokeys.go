// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

var topRoles = []tuf.Role{tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp}

// keyFile is a private key at hand.
type keyFile struct {
	name   string
	public tuf.Key
	signer verify.Signer
}

func signersOf(keys []keyFile) (signers []verify.Signer) {
	for _, k := range keys {
		signers = append(signers, k.signer)
	}
	return signers
}

func keyFolder(dir, keys string) string {
	if keys != "" {
		return keys
	}
	return filepath.Join(filepath.Dir(filepath.Clean(dir)), "keys")
}

// readKeys reads the private keys in a folder: all of NAME.pem but NAME.pub.pem.
func readKeys(folder string, mayBeAbsent bool) ([]keyFile, error) {
	names, err := filepath.Glob(filepath.Join(escapeGlob(folder), "*.pem"))
	if err == nil {
		_, err = os.Stat(folder)
	}
	if errors.Is(err, fs.ErrNotExist) && mayBeAbsent {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []keyFile
	for _, name := range names {
		if strings.HasSuffix(name, ".pub.pem") {
			continue
		}
		key, err := readSigner(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(s)
}

// readSigner reads a private key of any type that metadata can list.
func readSigner(name string) (keyFile, error) {
	b, err := cli.ReadFile(name, maxKeyFile, "a private key (PEM)")
	if err != nil {
		return keyFile{}, err
	}
	if signer, err := verify.ParsePrivateKeyPEM(b); err == nil {
		public, err := tuf.KeyOf(signer.Public())
		return keyFile{name, public, signer}, err
	}
	bad := cli.Inputf("%s is not a private key (one PEM block PRIVATE KEY of Ed25519, P-256, P-384, RSA or ML-DSA-65)", name)
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return keyFile{}, bad
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return keyFile{}, bad
	}
	s, ok := private.(crypto.Signer)
	if !ok {
		return keyFile{}, bad
	}
	signer, err := repository.NewSigner(s)
	if err != nil {
		return keyFile{}, fmt.Errorf("%s: %w", name, err)
	}
	public, err := tuf.NewKey(s.Public())
	return keyFile{name, public, signer}, err
}

// readTUFKeys reads public keys of any type that metadata can list.
func readTUFKeys(names []string) ([]tuf.Key, error) {
	var keys []tuf.Key
	for _, name := range names {
		b, err := cli.ReadFile(name, maxKeyFile, "a public key (PEM)")
		if err != nil {
			return nil, err
		}
		if k, err := verify.ParsePublicKeyPEM(b); err == nil {
			key, err := tuf.KeyOf(k)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			keys = append(keys, key)
			continue
		}
		bad := cli.Inputf("%s is not a public key (one PEM block PUBLIC KEY)", name)
		block, _ := pem.Decode(b)
		if block == nil || block.Type != "PUBLIC KEY" {
			return nil, bad
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, bad
		}
		key, err := tuf.NewKey(public)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// shortID is how people are shown a key.
func shortID(k tuf.Key) string { return fmt.Sprintf("%x", k.ID().Bytes()[:6]) }

// makeKeyPair writes name.pem and name.pub.pem and replaces neither.
func makeKeyPair(name string) (keyFile, error) {
	if _, err := os.Lstat(name + ".pub.pem"); err == nil {
		return keyFile{}, cli.Inputf("%s.pub.pem is there already", name)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyFile{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return keyFile{}, err
	}
	f, err := os.OpenFile(name+".pem", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return keyFile{}, cli.Inputf("%s.pem is there already", name)
	}
	if err != nil {
		return keyFile{}, err
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return keyFile{}, err
	}
	if der, err = x509.MarshalPKIXPublicKey(public); err != nil {
		return keyFile{}, err
	}
	if err := writeFile(name+".pub.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})); err != nil {
		return keyFile{}, err
	}
	return readSigner(name + ".pem")
}

func newKey(_ context.Context, c *call) error {
	if err := c.parse(); err != nil {
		return err
	}
	name := strings.TrimSuffix(c.args[0], ".pem")
	key, err := makeKeyPair(name)
	if err != nil {
		return err
	}
	return c.say(map[string]string{"result": "ok", "key": shortID(key.public), "private": name + ".pem", "public": name + ".pub.pem"},
		"key %s: %s.pem is private, %s.pub.pem is for those who are to trust it", shortID(key.public), name, name)
}

// roleKeys is what keys prints of one role.
type roleKeys struct {
	Role      tuf.Role   `json:"role"`
	Threshold int        `json:"threshold"`
	Keys      []knownKey `json:"keys"`
}

type knownKey struct {
	ID     string `json:"id"`
	Scheme string `json:"scheme"`
	File   string `json:"file,omitempty"` // at hand
}

func (r *repo) known(keys []tuf.Key) []knownKey {
	list := []knownKey{}
	for _, k := range keys {
		known := knownKey{ID: shortID(k), Scheme: k.Scheme()}
		if i := slices.IndexFunc(r.keys, func(f keyFile) bool { return f.public == k }); i >= 0 {
			known.File = r.keys[i].name
		}
		list = append(list, known)
	}
	return list
}

func (r *repo) root(ctx context.Context) (*tuf.Root, error) {
	data, err := r.Root(ctx)
	if err != nil {
		return nil, err
	}
	return tuf.OpenRoot(data)
}

func listKeys(ctx context.Context, c *call) error {
	r, err := c.repoWithKeys(ctx)
	if err != nil {
		return err
	}
	root, err := r.root(ctx)
	if err != nil {
		return err
	}
	var list []roleKeys
	for _, role := range topRoles {
		list = append(list, roleKeys{role, root.Threshold(role), r.known(root.Keys(role))})
	}
	err = r.Walk(ctx, func(_ tuf.Role, t *tuf.Targets, err error) error {
		if err != nil {
			return nil // whom it trusts counts for nobody
		}
		names := t.DelegatedRoles()
		var ways []tuf.Delegation
		for _, name := range names {
			d, _ := t.Delegation(name)
			ways = append(ways, d)
		}
		if len(names) == 0 {
			ways = t.Delegations("any") // bins: one set of keys for all
		}
		for _, d := range ways {
			keys, threshold := d.Keys()
			list = append(list, roleKeys{tuf.Role(d.Name()), threshold, r.known(keys)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, struct {
			Result string     `json:"result"`
			Root   int64      `json:"root"`
			Roles  []roleKeys `json:"roles"`
		}{"ok", root.Version(), list})
	}
	fmt.Fprintf(c.people, "root %d\n", root.Version())
	for i, role := range list {
		if i > 0 && role.Role != list[i-1].Role && slices.Equal(role.Keys, list[i-1].Keys) && isNext(list[i-1].Role, role.Role) {
			continue // bins have one set of keys
		}
		fmt.Fprintf(c.people, "%-10s %d of %d\n", role.Role, role.Threshold, len(role.Keys))
		for _, k := range role.Keys {
			fmt.Fprintf(c.people, "  %s %s %s\n", k.ID, k.Scheme, k.File)
		}
	}
	return nil
}

// isNext reports whether two roles are bins of one kind.
func isNext(a, b tuf.Role) bool {
	i, j := strings.LastIndexByte(string(a), '-'), strings.LastIndexByte(string(b), '-')
	return i > 0 && i == j && a[:i] == b[:j]
}

func rotateKeys(ctx context.Context, c *call) error {
	folder := keysFlag(c)
	role := c.fs.String("role", "root", "role whose keys change: root, targets, snapshot or timestamp")
	threshold := c.fs.Int("threshold", 0, "how many must sign from now on (default: as many as now)")
	var add, remove list
	c.fs.Var(&add, "add", "PUB.pem of a key to add; may be given several times")
	c.fs.Var(&remove, "remove", "key to remove, as PUB.pem or by the id that firmctl repo keys shows; may be given several times")
	if err := c.parse(); err != nil {
		return err
	}
	if !slices.Contains(topRoles, tuf.Role(*role)) {
		return cli.Usagef("--role is %.80q, want root, targets, snapshot or timestamp; keys of delegated roles: firmctl repo delegate", *role)
	}
	r, err := openRepo(ctx, c.args[0], *folder)
	if err != nil {
		return err
	}
	root, err := r.root(ctx)
	if err != nil {
		return err
	}
	keys, err := readTUFKeys(add)
	if err != nil {
		return err
	}
	keys = append(root.Keys(tuf.Role(*role)), keys...)
	for _, which := range remove {
		before := len(keys)
		if keys, err = without(keys, which); err != nil {
			return err
		}
		if len(keys) == before {
			return cli.Usagef("--remove %.80q: %s has no such key; see firmctl repo keys", which, *role)
		}
	}
	thresholds := map[tuf.Role]int{}
	need, distinct := cmp.Or(*threshold, root.Threshold(tuf.Role(*role))), map[tuf.Key]bool{}
	for _, k := range keys {
		distinct[k] = true
	}
	if need < 1 || need > len(distinct) {
		return cli.Usagef("%s would have %s and a threshold of %d", *role, cli.Count(int64(len(distinct)), "key"), need)
	}
	if *threshold != 0 {
		thresholds[tuf.Role(*role)] = *threshold
	}
	if err := r.StageRoot(ctx, map[tuf.Role][]tuf.Key{tuf.Role(*role): keys}, thresholds); err != nil {
		return err
	}
	return r.finish(ctx, c, tuf.RoleRoot)
}

// without removes a key that is named by file or by the beginning of its id.
func without(keys []tuf.Key, which string) ([]tuf.Key, error) {
	if strings.HasSuffix(which, ".pem") {
		gone, err := readTUFKeys([]string{which})
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(keys, func(k tuf.Key) bool { return k == gone[0] }), nil
	}
	if len(which) < 6 {
		return nil, cli.Usagef("--remove %.80q, want PUB.pem, or 6 digits or more of the id", which)
	}
	return slices.DeleteFunc(keys, func(k tuf.Key) bool { return strings.HasPrefix(fmt.Sprintf("%x", k.ID().Bytes()), which) }), nil
}

func initRepo(ctx context.Context, c *call) error {
	folder := c.fs.String("keys", "", "folder for the private keys: root.pem and so on, made where they are absent (default: keys beside DIR)")
	if err := c.parse(); err != nil {
		return err
	}
	dir, keys := c.args[0], keyFolder(c.args[0], *folder)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(keys, 0o700)); err != nil {
		return err
	}
	files, err := openRepoDir(dir)
	if err != nil {
		return err
	}
	if _, _, err := files.Get(ctx, "metadata/timestamp.json", maxFile); err == nil {
		return cli.Inputf("%s is a repository already: init makes a new one", dir)
	}
	signers := map[tuf.Role][]verify.Signer{}
	for _, role := range topRoles {
		name := filepath.Join(keys, string(role))
		key, err := keyFile{}, error(nil)
		if _, serr := os.Stat(name + ".pem"); errors.Is(serr, fs.ErrNotExist) {
			key, err = makeKeyPair(name)
		} else {
			key, err = readSigner(name + ".pem")
		}
		if err != nil {
			return err
		}
		signers[role] = []verify.Signer{key.signer}
	}
	if _, err := repository.Create(ctx, files, repository.Options{Signers: signers}); err != nil {
		return err
	}
	self := cli.Command("firmctl")
	return c.say(map[string]string{"result": "ok", "dir": dir, "keys": keys, "root": filepath.Join(dir, "metadata", "1.root.json")},
		`made %[1]s
  metadata/1.root.json  devices are provisioned with this
  keys in %[2]s          keep these private: root and targets offline, snapshot and timestamp where refresh runs
next:
  %[3]s repo publish %[1]s fw/my.suit=my.suit
  %[3]s repo refresh %[1]s    at least once a day: the timestamp is good for two`, dir, keys, self)
}
