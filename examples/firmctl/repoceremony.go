// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
)

// lacking is what one set of keys lacks.
type lacking struct {
	By   string     `json:"by"`
	Have int        `json:"have"`
	Need int        `json:"need"`
	Keys []knownKey `json:"keys"` // that have not signed
}

func (r *repo) lacking(ctx context.Context, role tuf.Role) ([]lacking, error) {
	missing, err := r.Missing(ctx, role)
	if err != nil {
		return nil, notStaged(role, err)
	}
	list := []lacking{}
	for _, m := range missing {
		list = append(list, lacking{m.By, m.Have, m.Need, r.known(m.Keys)})
	}
	return list, nil
}

func notStaged(role tuf.Role, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Inputf("nothing is staged for role %.80q: firmctl repo publish --stage, or rotate", role)
	}
	return err
}

// finish signs a staged role with the keys at hand and publishes it if that is enough.
func (r *repo) finish(ctx context.Context, c *call, role tuf.Role) error {
	if err := r.Sign(ctx, role); err != nil {
		return notStaged(role, err)
	}
	missing, err := r.lacking(ctx, role)
	if err != nil || len(missing) > 0 {
		return r.report(c, role, missing, err)
	}
	if err := r.complete(ctx, role); err != nil {
		return err
	}
	return c.say(map[string]any{"result": "ok", "role": role, "published": true, "missing": missing}, "published %s", role)
}

// errSteps marks a root under which the metadata of an offline role would no longer be valid.
var errSteps = errors.New("its own metadata would not be valid")

func (r *repo) complete(ctx context.Context, role tuf.Role) error {
	err := r.Complete(ctx, role)
	if role != tuf.RoleRoot || !errors.Is(err, repository.ErrIncomplete) {
		return err
	}
	if missing, merr := r.Missing(ctx, role); merr != nil || len(missing) > 0 {
		return err
	}
	return fmt.Errorf("%w: %w", err, errSteps)
}

// told signs a staged role with the keys at hand and says whose signatures are missing.
func (r *repo) told(ctx context.Context, c *call, role tuf.Role) error {
	if err := r.Sign(ctx, role); err != nil {
		return notStaged(role, err)
	}
	missing, err := r.lacking(ctx, role)
	return r.report(c, role, missing, err)
}

// report prints whose signatures are missing; nothing is published yet.
func (r *repo) report(c *call, role tuf.Role, missing []lacking, err error) error {
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "role": role, "published": false, "missing": missing})
	}
	fmt.Fprintf(c.people, "%s is staged, and not published yet\n", role)
	for _, m := range missing {
		fmt.Fprintf(c.people, "%d of %d signatures that %s asks for; not yet signed by\n", m.Have, m.Need, m.By)
		for _, k := range m.Keys {
			fmt.Fprintf(c.people, "  %s %s\n", k.ID, k.Scheme)
		}
	}
	self := cli.Command("firmctl")
	if len(missing) == 0 {
		_, err = fmt.Fprintf(c.people, "all have signed: %s repo complete %s %s\n", self, r.dir, role)
		return err
	}
	_, err = fmt.Fprintf(c.people, "for them: %s repo payload %s %s --out to-sign.json\n", self, r.dir, role)
	return err
}

func writePayload(ctx context.Context, c *call) error {
	out := c.fs.String("out", "", "file for the bytes that are to be signed (required)")
	if err := c.parse(); err != nil {
		return err
	}
	if *out == "" {
		return cli.Usagef("firmctl repo payload needs --out FILE")
	}
	r, err := openRepo(ctx, c.args[0], "")
	if err != nil {
		return err
	}
	role := tuf.Role(c.args[1])
	payload, err := r.SigningPayload(ctx, role)
	if err != nil {
		return notStaged(role, err)
	}
	if err := writeFile(*out, payload); err != nil {
		return err
	}
	return c.say(map[string]any{"result": "ok", "file": *out, "bytes": len(payload)},
		"wrote %s, %d bytes\nwho has a key: %s repo sign %s --key KEY.pem --out SIGNATURE", *out, len(payload), cli.Command("firmctl"), *out)
}

// payload is what a signer is shown.
type payload struct {
	Type    string    `json:"_type"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	Targets map[string]struct {
		Length int64             `json:"length"`
		Hashes map[string]string `json:"hashes"`
	} `json:"targets"`
	Delegations *struct {
		Roles []struct {
			Name      string   `json:"name"`
			Paths     []string `json:"paths"`
			KeyIDs    []string `json:"keyids"`
			Threshold int      `json:"threshold"`
		} `json:"roles"`
	} `json:"delegations"`
}

// maxShown is how many targets a signer is shown.
const maxShown = 50

func (p payload) show(w io.Writer, data []byte) {
	fmt.Fprintf(w, "%s, version %d, good until %s\n", p.Type, p.Version, p.Expires.Format(time.DateOnly))
	if root, err := tuf.InspectRoot(data); err == nil {
		for _, role := range topRoles {
			keys := root.Keys(role)
			fmt.Fprintf(w, "  %-10s %d of %d\n", role, root.Threshold(role), len(keys))
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
		fmt.Fprintf(w, "  %.200q: %d bytes, sha256 %.64q\n", name, p.Targets[name].Length, p.Targets[name].Hashes["sha256"])
	}
	if p.Delegations == nil {
		return
	}
	for _, d := range p.Delegations.Roles {
		fmt.Fprintf(w, "  delegates %.200q to %.80q, %d of %d keys\n", d.Paths, d.Name, d.Threshold, len(d.KeyIDs))
	}
}

func signPayload(ctx context.Context, c *call) error {
	key := c.fs.String("key", "", "KEY.pem to sign with; without it the content is only shown")
	out := c.fs.String("out", "", "file for the signature")
	if err := c.parse(); err != nil {
		return err
	}
	if (*key == "") != (*out == "") {
		return cli.Usagef("firmctl repo sign needs --key and --out, or neither")
	}
	data, err := cli.ReadFile(c.args[0], maxFile, "what firmctl repo payload wrote")
	if err != nil {
		return err
	}
	canonical, err := tuf.Canonical(data)
	var p payload
	if err != nil || string(canonical) != string(data) || json.Unmarshal(data, &p) != nil || p.Type == "" || p.Version < 1 {
		return cli.Inputf("%s is not what firmctl repo payload wrote", c.args[0])
	}
	if !c.json {
		p.show(c.people, data)
	}
	if *key == "" {
		if c.json {
			return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "payload": json.RawMessage(data)})
		}
		return nil
	}
	k, err := readSigner(*key)
	if err != nil {
		return err
	}
	signature, err := k.signer.Sign(ctx, data)
	if err != nil {
		return err
	}
	if err := writeFile(*out, signature); err != nil {
		return err
	}
	return c.say(map[string]string{"result": "ok", "file": *out, "key": shortID(k.public)}, "signed by %s: wrote %s", shortID(k.public), *out)
}

func attachSignatures(ctx context.Context, c *call) error {
	if err := c.parse(); err != nil {
		return err
	}
	r, err := openRepo(ctx, c.args[0], "")
	if err != nil {
		return err
	}
	role := tuf.Role(c.args[1])
	for _, name := range c.args[2:] {
		signature, err := cli.ReadFile(name, maxKeyFile, "a signature")
		if err != nil {
			return err
		}
		if err := r.Attach(ctx, role, signature); err != nil {
			return fmt.Errorf("%s: %w", name, notStaged(role, err))
		}
	}
	missing, err := r.lacking(ctx, role)
	return r.report(c, role, missing, err)
}

func missingSignatures(ctx context.Context, c *call) error {
	if err := c.parse(); err != nil {
		return err
	}
	r, err := openRepo(ctx, c.args[0], "")
	if err != nil {
		return err
	}
	missing, err := r.lacking(ctx, tuf.Role(c.args[1]))
	return r.report(c, tuf.Role(c.args[1]), missing, err)
}

func completeRole(ctx context.Context, c *call) error {
	folder := keysFlag(c)
	if err := c.parse(); err != nil {
		return err
	}
	r, err := openRepo(ctx, c.args[0], *folder)
	if err != nil {
		return err
	}
	role := tuf.Role(c.args[1])
	if err := r.complete(ctx, role); err != nil {
		if errors.Is(err, repository.ErrStale) {
			return err
		}
		return notStaged(role, err)
	}
	return c.say(map[string]any{"result": "ok", "role": role, "published": true}, "published %s", role)
}
