// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package device opens a device folder: what a device was provisioned with, its two slots, its boot record and the
// Updater over them. On a real device the slots are partitions and the rest lies on the data partition; here all of
// it is one directory, so that it can be looked at.
package device

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	Health     Health    `json:"health"`
}

// Health is how the agent finds out whether the image on trial works. Without a command or a file, it reads the running
// slot back against the digest in the boot record.
type Health struct {
	Command  []string `json:"command,omitempty"`  // exit status 0 is healthy; run without a shell
	File     string   `json:"file,omitempty"`     // a file, such as the console log of this boot ...
	Contains string   `json:"contains,omitempty"` // ... that must contain this
	Seconds  int      `json:"seconds,omitempty"`  // limit for the command, 30 by default
}

// Find returns the device folder for dir: dir itself, or the folder "device" in it.
func Find(dir string) string {
	if _, err := cli.ReadFile(filepath.Join(dir, ConfigName), maxConfig); err != nil {
		if d := filepath.Join(dir, "device"); fileExists(filepath.Join(d, ConfigName)) {
			return d
		}
	}
	return dir
}

const (
	maxConfig = 64 << 10
	maxKey    = 16 << 10
	maxRoot   = 512 << 10
)

func fileExists(name string) bool {
	f, _, err := cli.OpenFile(name)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// ReadConfig reads and checks dir's device.json.
func ReadConfig(dir string) (Config, error) {
	var c Config
	name := filepath.Join(dir, ConfigName)
	b, err := cli.ReadFile(name, maxConfig)
	if err != nil {
		return c, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, cli.Usagef("%s: %v", name, err)
	}
	if c.Channel == "" || strings.ContainsAny(c.Channel, "/\\") {
		return c, cli.Usagef("%s: channel is %q, want a name such as \"stable\"", name, c.Channel)
	}
	if len(c.Authors) == 0 {
		return c, cli.Usagef("%s: author_keys is empty, want at least one PEM file", name)
	}
	return c, nil
}

func (c Config) identity() (processor.Identity, error) {
	var id processor.Identity
	for _, f := range []struct {
		name, value string
		to          *manifest.UUID
	}{{"vendor_id", c.Vendor, &id.VendorID}, {"class_id", c.Class, &id.ClassID}, {"device_id", c.Device, &id.DeviceID}} {
		u, err := manifest.ParseUUID(f.value)
		if err != nil {
			return id, cli.Usagef("%s: %s: %v", ConfigName, f.name, err)
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
			return nil, cli.Usagef("component %q: want hex parts joined by \".\", such as 00", s)
		}
		id = append(id, b)
	}
	return id, nil
}

// keys reads the authors' public keys and the policy over them.
func (c Config) keys(dir string) (*verify.KeySet, verify.Policy, error) {
	var entries []verify.Entry
	for _, name := range c.Authors {
		name = filepath.Join(dir, name)
		b, err := cli.ReadFile(name, maxKey)
		if err != nil {
			return nil, nil, err
		}
		k, err := verify.ParsePublicKeyPEM(b)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		entries = append(entries, verify.Entry{Key: k, Groups: []string{"author"}})
	}
	set, err := verify.NewKeySet(entries...)
	if err != nil {
		return nil, nil, err
	}
	policy, err := verify.Threshold(c.Threshold, "author")
	return set, policy, err
}
