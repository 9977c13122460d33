// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package device opens a device folder: what a device was provisioned with, its two slots, its boot record and the
// Updater over them. On a real device the slots are partitions and the rest lies on the data partition; here all of
// it is one directory, so that it can be looked at.
package device

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// ConfigName is the file that says what the device was provisioned with.
const ConfigName = "device.json"

// Config is the content of device.json. File names are relative to the folder.
type Config struct {
	Server     string    `json:"server"`    // URL of the repository
	Channel    string    `json:"channel"`   // part of the target path
	Vendor     string    `json:"vendor_id"` // UUIDs
	Class      string    `json:"class_id"`
	Device     string    `json:"device_id"`
	Component  string    `json:"component"`          // identifier parts in hex, joined by "."
	Slots      [2]string `json:"slots"`              // files or block devices
	Boot       string    `json:"boot_record"`        // name of the boot record in the folder
	Simulated  bool      `json:"simulated_boot"`     // the agent's start stands for a boot
	Root       string    `json:"tuf_root,omitempty"` // trusted root metadata; empty: SUIT alone
	Authors    []string  `json:"author_keys"`        // public keys, PEM
	Threshold  int       `json:"author_threshold"`   // how many authors must have signed
	Checkpoint int64     `json:"checkpoint_bytes,omitempty"`
	MaxBytes   int64     `json:"max_bytes,omitempty"` // that one cycle may download for an image; 0: no limit
	Health     Health    `json:"health"`
}

// Health is how the agent finds out whether the image on trial works. Without a command or a file, it reads the running
// slot back against the digest in the boot record.
type Health struct {
	Command  []string `json:"command,omitempty"`  // exit status 0 is healthy; a file and its arguments, no shell
	File     string   `json:"file,omitempty"`     // a file, such as the console log of this boot ...
	Contains string   `json:"contains,omitempty"` // ... that must contain this
	Seconds  int      `json:"seconds,omitempty"`  // limit for the command, 30 by default
}

// Find returns the device folder for dir: dir itself, or the folder "device" in it.
func Find(dir string) string {
	d := filepath.Join(dir, "device")
	if st, err := os.Stat(d); err != nil || !st.IsDir() || fileExists(filepath.Join(dir, ConfigName)) {
		return dir
	}
	return d
}

const (
	maxConfig = 64 << 10
	maxKey    = 16 << 10
	maxRoot   = 512 << 10
)

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// ReadConfig reads and checks dir's device.json.
func ReadConfig(dir string) (Config, error) {
	var c Config
	name := filepath.Join(dir, ConfigName)
	if err := cli.ReadJSON(name, maxConfig, "a configuration as firmctl init writes it", &c); err != nil {
		return c, fmt.Errorf("%w (to make one: %s init DIR)", err, cli.Command("firmctl"))
	}
	switch {
	case c.Channel == "" || strings.ContainsAny(c.Channel, "/\\"):
		return c, cli.Inputf("%s: channel is %q, want a name such as \"stable\"", name, c.Channel)
	case len(c.Authors) == 0:
		return c, cli.Inputf("%s: author_keys is empty, want at least one PEM file", name)
	case c.Threshold < 1 || c.Threshold > len(c.Authors):
		return c, cli.Inputf("%s: author_threshold is %d, want 1 to %d, the number of author_keys", name, c.Threshold, len(c.Authors))
	case c.Slots[0] == "" || c.Slots[1] == "" || c.Slots[0] == c.Slots[1]:
		return c, cli.Inputf("%s: slots are %q, want two names", name, c.Slots)
	case c.Boot == "":
		return c, cli.Inputf("%s: boot_record is empty, want a name such as \"boot\"", name)
	case c.MaxBytes < 0:
		return c, cli.Inputf("%s: max_bytes is %d, want 0 or more", name, c.MaxBytes)
	case c.Checkpoint < 0:
		return c, cli.Inputf("%s: checkpoint_bytes is %d, want 0 or more", name, c.Checkpoint)
	}
	if err := CheckServer(c.Server); err != nil {
		return c, cli.Inputf("%s: server: %w", name, err)
	}
	return c, nil
}

// CheckServer wants an absolute http or https URL without a query.
func CheckServer(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not a URL such as https://updates.example.com/product", s)
	}
	return nil
}

func (c Config) identity(dir string) (processor.Identity, error) {
	var id processor.Identity
	for _, f := range []struct {
		name, value string
		to          *manifest.UUID
	}{{"vendor_id", c.Vendor, &id.VendorID}, {"class_id", c.Class, &id.ClassID}, {"device_id", c.Device, &id.DeviceID}} {
		u, err := manifest.ParseUUID(f.value)
		if err != nil {
			return id, cli.Inputf("%s: %s: %w", filepath.Join(dir, ConfigName), f.name, err)
		}
		*f.to = u
	}
	return id, nil
}

// ParseComponent reads a component identifier: its parts in hex, joined by ".".
func ParseComponent(s string) (manifest.ComponentID, error) {
	var id manifest.ComponentID
	for part := range strings.SplitSeq(s, ".") {
		b, err := hex.DecodeString(part)
		if err != nil || len(b) == 0 {
			return nil, cli.Inputf("component %q: want hex parts joined by \".\", such as 00", s)
		}
		id = append(id, b)
	}
	return id, nil
}

// Keys reads the authors' public keys and the policy over them.
func (c Config) Keys(dir string) (*verify.KeySet, verify.Policy, error) {
	var entries []verify.Entry
	for _, name := range c.Authors {
		name = filepath.Join(dir, name)
		b, err := cli.ReadFile(name, maxKey, "an author's public key (PEM)")
		if err != nil {
			return nil, nil, err
		}
		k, err := verify.ParsePublicKeyPEM(b)
		if err != nil {
			return nil, nil, cli.Inputf("%s: %w; want an author's public key (PEM)", name, err)
		}
		entries = append(entries, verify.Entry{Key: k, Groups: []string{"author"}})
	}
	set, err := verify.NewKeySet(entries...)
	if err != nil {
		return nil, nil, cli.Inputf("%s: author_keys: %w", filepath.Join(dir, ConfigName), err)
	}
	policy, err := verify.Threshold(c.Threshold, "author")
	return set, policy, err
}
