// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

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
	return byUser(err)
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
	p, err := readPayload(payload)
	if err != nil {
		return err
	}
	if err := writeFile(*out, payload); err != nil {
		return err
	}
	result := map[string]any{"result": "ok", "file": *out, "bytes": len(payload), "version": p.Version, "expires": p.Expires}
	fmt.Fprintf(c.people, "role %s: ", role)
	p.show(c.people)
	now, file, err := r.published(ctx, role)
	if err != nil {
		return err
	}
	see := ""
	if now != nil {
		result["current"], result["changes"] = file, p.showChanges(c.people, now)
		see = "\nto see there what changes: --current with a copy of " + file
	}
	return c.say(result, "wrote %s, %d bytes\nwho has a key: %s repo sign %s --key KEY.pem --out SIGNATURE%s", *out, len(payload), cli.Command("firmctl"), *out, see)
}

// stageRole stages the next version of a role as it is, for another time of validity.
func stageRole(ctx context.Context, c *call) error {
	replace := c.fs.Bool("replace", false, "instead of what is staged for the role, with the signatures that it has")
	r, err := c.repoWithKeys(ctx)
	if err != nil {
		return err
	}
	if _, err := r.SigningPayload(ctx, tuf.Role(c.args[1])); err == nil && !*replace {
		return cli.Inputf("role %s is staged already: see firmctl repo missing, or --replace it", c.args[1])
	}
	switch role := tuf.Role(c.args[1]); role {
	case tuf.RoleSnapshot, tuf.RoleTimestamp:
		return cli.Usagef("%s is signed where its keys are: firmctl repo refresh", role)
	case tuf.RoleRoot:
		err = r.StageRoot(ctx, nil, nil)
	default:
		err = r.Stage(ctx, repository.Change{Role: role})
	}
	if err != nil {
		return byUser(err)
	}
	return r.told(ctx, c, tuf.Role(c.args[1]))
}

func signPayload(ctx context.Context, c *call) error {
	key := c.fs.String("key", "", "KEY.pem to sign with; without it the content is only shown")
	out := c.fs.String("out", "", "file for the signature")
	current := c.fs.String("current", "", "metadata file that is published now, such as metadata/3.targets.json: what changes is shown")
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
	if err == nil && string(canonical) != string(data) {
		err = errors.New("not in canonical form")
	}
	p, perr := readPayload(data)
	if err := errors.Join(err, perr); err != nil {
		return cli.Inputf("%s is not what firmctl repo payload wrote: %v", c.args[0], err)
	}
	result := map[string]any{"result": "ok", "type": p.Type, "version": p.Version, "expires": p.Expires}
	p.show(c.people)
	if *current != "" {
		text, err := cli.ReadFile(*current, maxFile, "the metadata that is published now")
		if err != nil {
			return err
		}
		before, err := readPublished(text)
		if err != nil || before.Type != p.Type {
			return cli.Inputf("%s is not %s metadata", *current, p.Type)
		}
		result["changes"] = p.showChanges(c.people, before)
	}
	if *key == "" {
		if c.json {
			result["payload"] = json.RawMessage(data)
			return cli.PrintJSON(c.stdout, result)
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
	result["file"], result["key"] = *out, shortID(k.public)
	return c.say(result, "signed by %s: wrote %s", shortID(k.public), *out)
}

func attachSignatures(ctx context.Context, c *call) error {
	r, err := c.repo(ctx)
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
	r, err := c.repo(ctx)
	if err != nil {
		return err
	}
	missing, err := r.lacking(ctx, tuf.Role(c.args[1]))
	return r.report(c, tuf.Role(c.args[1]), missing, err)
}

func completeRole(ctx context.Context, c *call) error {
	r, err := c.repoWithKeys(ctx)
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
