// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
)

// change has the flags of what changes one role of targets.
type change struct {
	keys, role *string
	stage      *bool
}

func changeFlags(c *call) change {
	return change{
		keys:  keysFlag(c),
		role:  c.fs.String("role", "", "role whose metadata changes (default: targets, or the bin that a path belongs to)"),
		stage: c.fs.Bool("stage", false, "publish nothing yet: the owners of the keys sign first, see firmctl repo payload"),
	}
}

// publish makes one change, at once or staged.
func (ch change) publish(ctx context.Context, c *call, done string, what repository.Change, plain func(*repo) error) error {
	r, err := openRepo(ctx, c.args[0], *ch.keys)
	if err != nil {
		return err
	}
	role := tuf.Role(*ch.role)
	if role == "" {
		role = tuf.RoleTargets
	}
	what.Role = role
	if *ch.stage {
		if err := r.Stage(ctx, what); err != nil {
			return byUser(err)
		}
		return r.told(ctx, c, role)
	}
	if *ch.role == "" && plain != nil {
		err = plain(r)
	} else {
		err = r.Apply(ctx, what)
	}
	if err != nil {
		return byUser(err)
	}
	return c.say(map[string]string{"result": "ok", "role": string(role)}, "%s", done)
}

func publishTargets(ctx context.Context, c *call) error {
	ch := changeFlags(c)
	custom := c.fs.String("custom", "", "file with a JSON object that is signed with each of the targets")
	if err := c.parse(); err != nil {
		return err
	}
	targets, err := readPairs(c.args[1:])
	if err != nil {
		return err
	}
	what := repository.Change{Add: targets}
	if *custom != "" {
		text, err := cli.ReadFile(*custom, maxFile, "a JSON object")
		if err != nil {
			return err
		}
		if !json.Valid(text) {
			return cli.Inputf("%s is not JSON", *custom)
		}
		what.Custom = map[string]json.RawMessage{}
		for name := range targets {
			what.Custom[name] = text
		}
	}
	plain := func(r *repo) error { return r.Publish(ctx, targets) }
	if *custom != "" {
		plain = nil
	}
	return ch.publish(ctx, c, "published "+strings.Join(slices.Sorted(maps.Keys(targets)), " "), what, plain)
}

func withdrawTargets(ctx context.Context, c *call) error {
	ch := changeFlags(c)
	if err := c.parse(); err != nil {
		return err
	}
	names := c.args[1:]
	return ch.publish(ctx, c, "withdrew "+strings.Join(names, " "), repository.Change{Remove: names}, func(r *repo) error { return r.Withdraw(ctx, names...) })
}

func putPayloads(ctx context.Context, c *call) error {
	if err := c.parse(); err != nil {
		return err
	}
	names, files, err := parsePairs(c.args[1:])
	if err != nil {
		return err
	}
	r, err := openRepo(ctx, c.args[0], "")
	if err != nil {
		return err
	}
	for i, name := range names {
		f, _, err := cli.OpenFile(files[i], "a payload")
		if err != nil {
			return err
		}
		err = r.PutPayload(ctx, name, f)
		_ = f.Close()
		if err != nil {
			return byUser(err)
		}
	}
	return c.say(map[string]any{"result": "ok", "payloads": names}, "put %s", strings.Join(names, " "))
}

// listedTarget is one line of list.
type listedTarget struct {
	Path   string          `json:"path"`
	Role   tuf.Role        `json:"role"`
	Length int64           `json:"length"`
	Hash   string          `json:"hash"`
	Custom json.RawMessage `json:"custom,omitempty"`
}

func listTargets(ctx context.Context, c *call) error {
	r, err := c.repo(ctx)
	if err != nil {
		return err
	}
	list, unusable := []listedTarget{}, map[tuf.Role]string{}
	err = r.Walk(ctx, func(role tuf.Role, t *tuf.Targets, err error) error {
		if err != nil {
			unusable[role] = err.Error()
			return nil
		}
		for f, err := range t.All() {
			if err != nil {
				return err
			}
			hash := "?"
			if len(f.Digests) > 0 {
				hash = f.Digests[0].String()
			}
			list = append(list, listedTarget{f.Path, role, f.Length, hash, f.Custom})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "targets": list, "unusable": unusable})
	}
	for _, role := range slices.Sorted(maps.Keys(unusable)) {
		fmt.Fprintf(c.people, "clients cannot use role %s: %s\n", role, unusable[role])
	}
	for _, t := range list {
		if _, err := fmt.Fprintf(c.people, "%-40q %-10s %9d bytes  %s\n", t.Path, t.Role, t.Length, t.Hash); err != nil {
			return err
		}
	}
	return nil
}

// delegateFlags has the flags of who is trusted with targets.
type delegateFlags struct {
	keys      list
	threshold *int
}

func newDelegateFlags(fs *flag.FlagSet) *delegateFlags {
	d := &delegateFlags{threshold: fs.Int("threshold", 1, "how many of the keys must sign")}
	fs.Var(&d.keys, "key", "PUB.pem of the delegate; may be given several times")
	return d
}

func (d *delegateFlags) read() ([]tuf.Key, error) {
	if len(d.keys) == 0 {
		return nil, cli.Usagef("--key is missing, want the delegate's public key")
	}
	return readTUFKeys(d.keys)
}

func delegateRole(ctx context.Context, c *call) error {
	ch, who := changeFlags(c), newDelegateFlags(c.fs)
	var paths list
	c.fs.Var(&paths, "path", "target paths that the role is trusted with, with * and ? in an element; may be given several times")
	var prefixes list
	c.fs.Var(&prefixes, "hash-prefix", "instead of paths: beginning of the SHA-256, in hexadecimal, of the target paths; may be given several times")
	terminating := c.fs.Bool("terminating", false, "no later delegation is asked for these paths")
	if err := c.parse(); err != nil {
		return err
	}
	if (len(paths) == 0) == (len(prefixes) == 0) {
		return cli.Usagef("either --path, a pattern such as acme/*, or --hash-prefix expected")
	}
	keys, err := who.read()
	if err != nil {
		return err
	}
	d := repository.Delegation{Role: tuf.Role(c.args[1]), Keys: keys, Threshold: *who.threshold, Paths: paths, PathHashPrefixes: prefixes, Terminating: *terminating}
	return ch.publish(ctx, c, "delegated "+strings.Join(slices.Concat(paths, prefixes), " ")+" to "+c.args[1], repository.Change{Delegate: []repository.Delegation{d}}, nil)
}

func revokeRole(ctx context.Context, c *call) error {
	ch := changeFlags(c)
	if err := c.parse(); err != nil {
		return err
	}
	r, err := openRepo(ctx, c.args[0], *ch.keys)
	if err != nil {
		return err
	}
	known := false
	err = r.Walk(ctx, func(role tuf.Role, t *tuf.Targets, err error) error {
		known = known || err == nil && (role == tuf.Role(*ch.role) || *ch.role == "" && role == tuf.RoleTargets) && slices.Contains(t.DelegatedRoles(), c.args[1])
		return nil
	})
	if err == nil && !known {
		err = byUser(fmt.Errorf("%w: nobody delegates to %.80q", tuf.ErrDelegation, c.args[1]))
	}
	if err != nil {
		return err
	}
	return ch.publish(ctx, c, "revoked "+c.args[1], repository.Change{Revoke: []tuf.Role{tuf.Role(c.args[1])}}, nil)
}

func makeBins(ctx context.Context, c *call) error {
	ch, who := changeFlags(c), newDelegateFlags(c.fs)
	bits := c.fs.Int("bits", 0, "2^bits roles (required): 1 to 16; 14 for a million targets")
	prefix := c.fs.String("prefix", "bin", "the roles are called PREFIX-0 and so on")
	classic := c.fs.Bool("classic", false, "list each role, for clients that do not know succinct roles (TAP 15)")
	if err := c.parse(); err != nil {
		return err
	}
	keys, err := who.read()
	if err != nil {
		return err
	}
	b := &repository.Bins{Prefix: *prefix, Bits: *bits, Keys: keys, Threshold: *who.threshold, Classic: *classic}
	return ch.publish(ctx, c, fmt.Sprintf("made %d bins", 1<<max(min(*bits, 31), 0)), repository.Change{Bins: b}, nil)
}

func acceptMetadata(ctx context.Context, c *call) error {
	folder := keysFlag(c)
	if err := c.parse(); err != nil {
		return err
	}
	data, err := cli.ReadFile(c.args[2], maxFile, "signed metadata (JSON)")
	if err != nil {
		return err
	}
	targets, err := readPairs(c.args[3:])
	if err != nil {
		return err
	}
	r, err := openRepo(ctx, c.args[0], *folder)
	if err != nil {
		return err
	}
	if err := r.Accept(ctx, tuf.Role(c.args[1]), data, targets); err != nil {
		if errors.Is(err, repository.ErrExists) {
			return err // the metadata, not a name
		}
		return byUser(err)
	}
	return c.say(map[string]string{"result": "ok", "role": c.args[1]}, "accepted %s for role %s", c.args[2], c.args[1])
}
