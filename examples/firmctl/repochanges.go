// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

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
		if !p.root.ConsistentSnapshot() {
			fmt.Fprintln(w, "  without consistent snapshots")
		}
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
	for _, d := range p.Delegations.roles {
		fmt.Fprintf(w, "  %s\n", d)
	}
	if b := p.Delegations.succinct; b != nil {
		fmt.Fprintf(w, "  %s\n", *b)
	}
	for _, line := range p.others() {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// others are the members without a meaning that are shown nowhere else.
func (p *payload) others() (lines []string) {
	add := func(in string, o others) {
		if len(o) > 0 {
			lines = append(lines, in+o.String())
		}
	}
	add("it", p.other)
	add("its delegations", p.Delegations.other)
	for _, keys := range []map[string]payloadKey{p.rootKeys, p.Delegations.keys} {
		for _, id := range slices.Sorted(maps.Keys(keys)) {
			add("key "+quoted(id), keys[id].other)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.rootRoles)) {
		if role := p.rootRoles[name]; slices.Contains(topRoles, tuf.Role(name)) {
			add("role "+quoted(name), role.other)
		} else {
			lines = append(lines, fmt.Sprintf("role %s, %s", quoted(name), role))
		}
	}
	return lines
}

func (t payloadTarget) text(name string) string {
	text := fmt.Sprintf("%s: %d bytes", quoted(name), t.length)
	for _, h := range slices.Sorted(maps.Keys(t.hashes)) {
		if digest := t.hashes[h]; slices.Contains(knownHashes, h) {
			text += fmt.Sprintf(", %s %s", h, quoted(digest))
		} else {
			text += fmt.Sprintf(", %s %s", quoted(h), quoted(digest))
		}
	}
	if len(t.custom) > 0 {
		text += ", custom " + quoted(string(compact(t.custom)))
	}
	return text + t.other.String()
}

func (s signers) String() string {
	text := fmt.Sprintf("%d of %d keys", s.threshold, len(s.keys))
	for _, k := range s.keys {
		text += fmt.Sprintf(", %s %s", shortID(k), k.Scheme())
	}
	return text + s.other.String()
}

func (d payloadRole) String() string {
	var what []string
	if d.paths != nil || d.prefixes == nil {
		what = append(what, quotedAll(d.paths))
	}
	if d.prefixes != nil {
		what = append(what, "paths whose SHA-256 begins with "+quotedAll(d.prefixes))
	}
	end := ""
	if d.terminating {
		end = ", terminating"
	}
	return fmt.Sprintf("delegates %s to %s, %s%s", strings.Join(what, " and "), quoted(d.name), d.signers, end)
}

func (b payloadBins) String() string {
	return fmt.Sprintf("delegates all to %d bins %s, %s", int64(1)<<b.bits, quoted(b.prefix), b.signers)
}

// showChanges says what p makes of the metadata before it, a line for each change, and returns the lines.
func (p *payload) showChanges(w io.Writer, before *payload) []string {
	lines := slices.Concat(p.keyChanges(before), p.targetChanges(before), p.delegationChanges(before), p.otherChanges(before))
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
	if a, b := before.root.ConsistentSnapshot(), p.root.ConsistentSnapshot(); a != b {
		lines = append(lines, fmt.Sprintf("~ consistent snapshots: %t, before %t", b, a))
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
		case is.text(name) != was.text(name):
			lines = append(lines, "~ "+is.text(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Targets)) {
		if _, stays := p.Targets[name]; !stays {
			lines = append(lines, "- "+quoted(name))
		}
	}
	return lines
}

func (p *payload) delegationChanges(before *payload) (lines []string) {
	find := func(list []payloadRole, name string) (payloadRole, bool) {
		i := slices.IndexFunc(list, func(d payloadRole) bool { return d.name == name })
		if i < 0 {
			return payloadRole{}, false
		}
		return list[i], true
	}
	for _, is := range p.Delegations.roles {
		was, known := find(before.Delegations.roles, is.name)
		switch {
		case !known:
			lines = append(lines, "+ "+is.String())
		case is.String() != was.String() || !p.sameKeys(before, is.ids, was.ids):
			lines = append(lines, "~ "+is.String())
		}
	}
	for _, was := range before.Delegations.roles {
		if _, stays := find(p.Delegations.roles, was.name); !stays {
			lines = append(lines, "- "+was.String())
		}
	}
	switch is, was := p.Delegations.succinct, before.Delegations.succinct; {
	case is != nil && (was == nil || is.String() != was.String() || !p.sameKeys(before, is.ids, was.ids)):
		lines = append(lines, "~ "+is.String())
	case is == nil && was != nil:
		lines = append(lines, "- "+was.String())
	}
	return lines
}

func (p *payload) otherChanges(before *payload) (lines []string) {
	was := before.others()
	for _, line := range p.others() {
		if i := slices.Index(was, line); i >= 0 {
			was = slices.Delete(was, i, i+1)
		} else {
			lines = append(lines, "+ "+line)
		}
	}
	for _, line := range was {
		lines = append(lines, "- "+line)
	}
	return lines
}

// sameKeys reports whether key ids stand for the same keys in both.
func (p *payload) sameKeys(before *payload, is, was []string) bool {
	keys := func(p *payload, ids []string) (list []string) {
		for _, id := range ids {
			list = append(list, string(compact(p.Delegations.keys[id].text)))
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(keys(p, is), keys(before, was))
}
