// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// payload is what a signer is shown.
type payload struct {
	Type        string                   `json:"_type"`
	Version     int64                    `json:"version"`
	Expires     time.Time                `json:"expires"`
	Targets     map[string]payloadTarget `json:"targets"`
	Delegations struct {
		Keys     map[string]json.RawMessage `json:"keys"`
		Roles    []payloadRole              `json:"roles"`
		Succinct *payloadBins               `json:"succinct_roles"`
	} `json:"delegations"`

	root *tuf.Root // of the type root
}

type payloadTarget struct {
	Length int64             `json:"length"`
	Hashes map[string]string `json:"hashes"`
	Custom json.RawMessage   `json:"custom"`
}

type payloadRole struct {
	Name        string   `json:"name"`
	Paths       []string `json:"paths"`
	Prefixes    []string `json:"path_hash_prefixes"`
	KeyIDs      []string `json:"keyids"`
	Threshold   int      `json:"threshold"`
	Terminating bool     `json:"terminating"`
}

type payloadBins struct {
	Prefix    string   `json:"name_prefix"`
	Bits      int      `json:"bit_length"`
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
}

var errPayload = errors.New("not the signed part of metadata")

// readPayload reads the signed part of metadata.
func readPayload(data []byte) (*payload, error) {
	p := new(payload)
	if err := json.Unmarshal(data, p); err != nil || p.Type == "" || p.Version < 1 {
		return nil, errPayload
	}
	if p.Type == string(tuf.RoleRoot) {
		var err error
		if p.root, err = tuf.InspectRoot(data); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// readPublished reads a metadata file. It is only shown, not believed.
func readPublished(file []byte) (*payload, error) {
	var m struct {
		Signed json.RawMessage `json:"signed"`
	}
	if err := json.Unmarshal(file, &m); err != nil {
		return nil, err
	}
	return readPayload(m.Signed)
}

// published is what clients see now of a role, and in which file; nil if they see nothing.
func (r *repo) published(ctx context.Context, role tuf.Role) (*payload, string, error) {
	list, err := r.Expiries(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, e := range list {
		if e.Role != role {
			continue
		}
		name := fmt.Sprintf("metadata/%d.%s", e.Version, role.Filename())
		data, _, err := r.files.Get(ctx, name, maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, "", nil
		}
		if err != nil {
			return nil, "", err
		}
		p, err := readPublished(data)
		return p, r.path(name), err
	}
	return nil, "", nil
}

// maxShown is how many targets, or changes, a signer is shown.
const maxShown = 50

func (p *payload) show(w io.Writer) {
	fmt.Fprintf(w, "%s, version %d, good until %s\n", p.Type, p.Version, p.Expires.Format(time.DateOnly))
	if p.root != nil {
		for _, role := range topRoles {
			keys := p.root.Keys(role)
			fmt.Fprintf(w, "  %-10s %d of %d\n", role, p.root.Threshold(role), len(keys))
			for _, k := range keys {
				fmt.Fprintf(w, "    %s %s\n", shortID(k), k.Scheme())
			}
		}
	}
	for i, name := range slices.Sorted(maps.Keys(p.Targets)) {
		if i == maxShown {
			fmt.Fprintf(w, "  ... and %d more\n", len(p.Targets)-i)
			break
		}
		fmt.Fprintf(w, "  %s\n", p.Targets[name].text(name))
	}
	for _, d := range p.Delegations.Roles {
		fmt.Fprintf(w, "  %s\n", d)
	}
	if b := p.Delegations.Succinct; b != nil {
		fmt.Fprintf(w, "  %s\n", *b)
	}
}

func (t payloadTarget) text(name string) string {
	custom := ""
	if len(t.Custom) > 0 {
		custom = fmt.Sprintf(", custom %.200s", t.Custom)
	}
	return fmt.Sprintf("%.200q: %d bytes, sha256 %.64q%s", name, t.Length, t.Hashes["sha256"], custom)
}

func (d payloadRole) String() string {
	what := fmt.Sprintf("%.200q", d.Paths)
	if len(d.Prefixes) > 0 {
		what = fmt.Sprintf("paths whose SHA-256 begins with %.200q", d.Prefixes)
	}
	end := ""
	if d.Terminating {
		end = ", terminating"
	}
	return fmt.Sprintf("delegates %s to %.80q, %d of %d keys%s", what, d.Name, d.Threshold, len(d.KeyIDs), end)
}

func (b payloadBins) String() string {
	return fmt.Sprintf("delegates all to %d bins %.80q, %d of %d keys", 1<<b.Bits, b.Prefix, b.Threshold, len(b.KeyIDs))
}

// showChanges says what p makes of the metadata before it, a line for each change, and returns the lines.
func (p *payload) showChanges(w io.Writer, before *payload) []string {
	lines := slices.Concat(p.keyChanges(before), p.targetChanges(before), p.delegationChanges(before))
	fmt.Fprintf(w, "against version %d, good until %s:\n", before.Version, before.Expires.Format(time.DateOnly))
	if p.Version <= before.Version {
		fmt.Fprintf(w, "  its version is not higher: clients refuse it\n")
	}
	if len(lines) == 0 {
		fmt.Fprintf(w, "  nothing else changes\n")
	}
	for i, line := range lines {
		if i == maxShown {
			fmt.Fprintf(w, "  ... and %d changes more\n", len(lines)-i)
			break
		}
		fmt.Fprintf(w, "  %s\n", line)
	}
	return append([]string{}, lines...)
}

func (p *payload) keyChanges(before *payload) (lines []string) {
	if p.root == nil || before.root == nil {
		return nil
	}
	for _, role := range topRoles {
		was, is := before.root.Keys(role), p.root.Keys(role)
		for _, k := range is {
			if !slices.Contains(was, k) {
				lines = append(lines, fmt.Sprintf("+ key %s %s for %s", shortID(k), k.Scheme(), role))
			}
		}
		for _, k := range was {
			if !slices.Contains(is, k) {
				lines = append(lines, fmt.Sprintf("- key %s %s for %s", shortID(k), k.Scheme(), role))
			}
		}
		if a, b := before.root.Threshold(role), p.root.Threshold(role); a != b {
			lines = append(lines, fmt.Sprintf("~ threshold of %s: %d, before %d", role, b, a))
		}
	}
	return lines
}

func (p *payload) targetChanges(before *payload) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(p.Targets)) {
		was, known := before.Targets[name]
		switch is := p.Targets[name]; {
		case !known:
			lines = append(lines, "+ "+is.text(name))
		case is.Length != was.Length || !maps.Equal(is.Hashes, was.Hashes) || !bytes.Equal(compact(is.Custom), compact(was.Custom)):
			lines = append(lines, "~ "+is.text(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Targets)) {
		if _, stays := p.Targets[name]; !stays {
			lines = append(lines, fmt.Sprintf("- %.200q", name))
		}
	}
	return lines
}

func compact(text json.RawMessage) []byte {
	if canonical, err := tuf.Canonical(text); err == nil {
		return canonical
	}
	return text
}

func (p *payload) delegationChanges(before *payload) (lines []string) {
	find := func(list []payloadRole, name string) (payloadRole, bool) {
		i := slices.IndexFunc(list, func(d payloadRole) bool { return d.Name == name })
		if i < 0 {
			return payloadRole{}, false
		}
		return list[i], true
	}
	for _, is := range p.Delegations.Roles {
		was, known := find(before.Delegations.Roles, is.Name)
		switch {
		case !known:
			lines = append(lines, "+ "+is.String())
		case is.String() != was.String() || !p.sameKeys(before, is.KeyIDs, was.KeyIDs):
			lines = append(lines, "~ "+is.String())
		}
	}
	for _, was := range before.Delegations.Roles {
		if _, stays := find(p.Delegations.Roles, was.Name); !stays {
			lines = append(lines, "- "+was.String())
		}
	}
	switch is, was := p.Delegations.Succinct, before.Delegations.Succinct; {
	case is != nil && (was == nil || is.String() != was.String() || !p.sameKeys(before, is.KeyIDs, was.KeyIDs)):
		lines = append(lines, "~ "+is.String())
	case is == nil && was != nil:
		lines = append(lines, "- "+was.String())
	}
	return lines
}

// sameKeys reports whether key ids stand for the same keys in both.
func (p *payload) sameKeys(before *payload, is, was []string) bool {
	keys := func(p *payload, ids []string) (list []string) {
		for _, id := range ids {
			list = append(list, string(compact(p.Delegations.Keys[id])))
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(keys(p, is), keys(before, was))
}
