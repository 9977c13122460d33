// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
)

func refreshRepo(ctx context.Context, c *call) error {
	r, err := c.repoWithKeys(ctx)
	if err != nil {
		return err
	}
	signed, err := r.Refresh(ctx)
	if err != nil && len(signed) == 0 {
		return err
	}
	if err != nil { // one role's trouble; the others were signed
		fmt.Fprintf(c.people, "signed %v\n", signed)
		return err
	}
	if signed == nil {
		signed = []tuf.Role{}
	}
	text := "nothing is due"
	if len(signed) > 0 {
		text = fmt.Sprintf("signed %v", signed)
	}
	return c.say(map[string]any{"result": "ok", "signed": signed}, "%s", text)
}

func listExpiries(ctx context.Context, c *call) error {
	r, err := c.repoWithKeys(ctx)
	if err != nil {
		return err
	}
	list, err := r.Expiries(ctx)
	if err != nil {
		return err
	}
	if c.json {
		type line struct {
			Role     tuf.Role  `json:"role"`
			Version  int64     `json:"version"`
			Expires  time.Time `json:"expires"`
			Due      bool      `json:"due"`
			Signable bool      `json:"signable"`
			Error    string    `json:"error,omitempty"` // why clients cannot use it
		}
		lines := []line{}
		for _, e := range list {
			l := line{e.Role, e.Version, e.Expires, e.Due, e.Signable, ""}
			if e.Err != nil {
				l.Error = e.Err.Error()
			}
			lines = append(lines, l)
		}
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "roles": lines})
	}
	for _, e := range list {
		note := ""
		switch {
		case e.Err != nil:
			note = "clients cannot use it: " + e.Err.Error()
		case e.Due && e.Signable:
			note = "due: firmctl repo refresh signs it"
		case e.Due && e.Role == tuf.RoleRoot:
			note = "due: firmctl repo stage DIR root"
		case e.Due:
			note = fmt.Sprintf("due, but its keys are not at hand: firmctl repo stage DIR %s, or its owner hands in the next", e.Role)
		}
		if _, err := fmt.Fprintf(c.people, "%s  %-10s version %d  %s\n", e.Expires.Format("2006-01-02 15:04"), e.Role, e.Version, note); err != nil {
			return err
		}
	}
	return nil
}

func collectGarbage(ctx context.Context, c *call) error {
	keep := c.fs.Int("keep", repository.DefaultKeep, "timestamps that keep what they lead to: devices in the middle of an update need it")
	payloads := c.fs.Bool("payloads", false, "payloads, too, that only SUIT envelopes which go refer to")
	remove := c.fs.Bool("delete", false, "delete; otherwise the files are listed and nothing happens")
	if err := c.parse(); err != nil {
		return err
	}
	if *keep < 1 {
		return cli.Usagef("--keep is %d, want 1 or more", *keep)
	}
	r, err := openRepo(ctx, c.args[0], "")
	if err != nil {
		return err
	}
	o := repository.CollectOptions{Keep: *keep, DryRun: !*remove}
	if *payloads {
		o.Payloads = payloadsOf
	}
	got, err := r.Collect(ctx, o)
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "timestamps": got.Timestamps, "files": got.Deleted, "deleted": *remove})
	}
	for _, name := range got.Deleted {
		fmt.Fprintln(c.people, name)
	}
	verb := "would go; delete them with --delete"
	if *remove {
		verb = "deleted"
	}
	_, err = fmt.Fprintf(c.people, "%s kept, %s %s\n", cli.Count(int64(got.Timestamps), "timestamp"), cli.Count(int64(len(got.Deleted)), "file"), verb)
	return err
}

// payloadsOf are the payloads that a SUIT envelope refers to, with their chunk digests, and those that its target's custom object offers.
func payloadsOf(target tuf.TargetFile, data []byte) ([]string, error) {
	var names []string
	add := func(uri string) {
		if name, ok := strings.CutPrefix(uri, "payloads/"); ok {
			names = append(names, name, name+".chunks")
		}
	}
	if u, err := manifest.InspectBytes(data); err == nil {
		m := u.Envelope().Manifest
		for _, s := range []manifest.Sequence{m.Shared, m.Validate, m.Load, m.Invoke, m.Uninstall, m.DependencyResolution.Sequence, m.PayloadFetch.Sequence, m.CandidateVerification.Sequence, m.Install.Sequence} {
			eachURI(s, add)
		}
	}
	offers, err := plan.Parse(target.Custom)
	if err != nil {
		return nil, fmt.Errorf("custom object: %w", err)
	}
	for _, p := range offers.Payloads {
		for _, d := range p.Deltas {
			add(d.URI)
		}
		if p.Index != nil {
			add(p.Index.URI)
		}
	}
	return names, nil
}

func eachURI(s manifest.Sequence, f func(string)) {
	for _, c := range s {
		if c.Parameters != nil && c.Parameters.URI != nil {
			f(*c.Parameters.URI)
		}
		for _, o := range c.Overrides {
			if o.Parameters != nil && o.Parameters.URI != nil {
				f(*o.Parameters.URI)
			}
		}
		for _, s := range c.Sequences {
			eachURI(s, f)
		}
	}
}

func reachRoot(ctx context.Context, c *call) error {
	from := c.fs.Int64("from", 1, "version of the root that the device holds")
	to := c.fs.Int64("to", 0, "version of the root to reach; the one that is staged is possible (default: the newest)")
	if err := c.parse(); err != nil {
		return err
	}
	if *from < 1 || *to < 0 {
		return cli.Usagef("--from is %d and --to %d, want versions from 1 on", *from, *to)
	}
	r, err := openRepo(ctx, c.args[0], "")
	if err != nil {
		return err
	}
	steps, err := r.walk(ctx, *from, *to)
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "steps": steps})
	}
	for _, s := range steps {
		fmt.Fprintf(c.people, "%s %d\n", s.Role, s.Version)
	}
	_, err = fmt.Fprintln(c.people, "a device can follow")
	return err
}

type walkStep struct {
	Role    tuf.Role `json:"role"`
	Version int64    `json:"version"`
}

// walk is Reach with the step that fails as its error.
func (r *repo) walk(ctx context.Context, from, to int64) ([]walkStep, error) {
	steps, err := r.Reach(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errUnreachable, err)
	}
	var list []walkStep
	for _, s := range steps {
		if s.Err != nil {
			return nil, fmt.Errorf("%w: %s %d: %v", errUnreachable, s.Role, s.Version, s.Err)
		}
		list = append(list, walkStep{s.Role, s.Version})
	}
	return list, nil
}

func verifyRepo(ctx context.Context, c *call) error {
	from := c.fs.Int64("from", 1, "version of the root that the client begins with")
	r, err := c.repo(ctx)
	if err != nil {
		return err
	}
	if _, err := r.walk(ctx, *from, 0); err != nil {
		return err
	}
	roles, targets, now := 0, 0, time.Now()
	err = r.Walk(ctx, func(role tuf.Role, t *tuf.Targets, err error) error {
		if err != nil {
			return err
		}
		roles++
		if err := t.CheckFresh(now); err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		for f, err := range t.All() {
			if err == nil {
				err = r.check(ctx, f)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", role, err)
			}
			targets++
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.say(map[string]any{"result": "ok", "roles": roles, "targets": targets}, "%d roles of targets, %d targets: all is as signed", roles, targets)
}

// check compares a target's file with its entry.
func (r *repo) check(ctx context.Context, f tuf.TargetFile) error {
	at, err := f.Filename(true)
	if err != nil {
		return err
	}
	file, err := r.files.Open(ctx, "targets/"+at)
	if err != nil {
		return fmt.Errorf("%w: target %.200q: %v", errUnreachable, f.Path, err)
	}
	return errors.Join(f.Copy(io.Discard, file), file.Close())
}
