// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
)

// wrote is what create, sign, attach and sever print about the envelope they have written.
type wrote struct {
	Result   string        `json:"result"`
	File     string        `json:"file,omitempty"`
	Digest   string        `json:"digest"`
	Sequence uint64        `json:"sequence"`
	Size     int           `json:"size,omitempty"`
	Blocks   int           `json:"authentication_blocks"`
	Missing  *[]missingKey `json:"missing,omitempty"` // who has not signed, if that was asked for
	Notes    []string      `json:"notes,omitempty"`
}

type missingKey struct {
	Key  string `json:"key"`
	File string `json:"file"`
}

// writeEnvelope writes e to name, if that is not "", and prints what it is.
func (c *call) writeEnvelope(e *manifest.Envelope, name string, missing *[]missingKey) error {
	b, err := e.Encode()
	if err != nil {
		return err
	}
	digest, err := e.Digest()
	if err != nil {
		return err
	}
	out := wrote{Result: "ok", File: name, Digest: digest.String(), Sequence: e.Manifest.SequenceNumber, Blocks: len(e.Authentication), Missing: missing}
	if name != "" {
		out.Size = len(b)
		out.Notes = notes(e, len(b))
		if err := writeFile(name, b); err != nil {
			return err
		}
	}
	if c.json {
		return cli.PrintJSON(c.stdout, out)
	}
	if name != "" {
		fmt.Fprintf(c.people, "wrote %s, %d bytes\n", name, out.Size)
	}
	for _, note := range out.Notes {
		fmt.Fprintf(c.people, "note: %s\n", note)
	}
	if _, err = fmt.Fprintf(c.people, "manifest %s, sequence number %d, %d authentication blocks\n", out.Digest, out.Sequence, out.Blocks); err != nil || missing == nil {
		return err
	}
	for _, m := range *missing {
		fmt.Fprintf(c.people, "missing: %s (%s)\n", m.Key, m.File)
	}
	if len(*missing) == 0 {
		_, err = fmt.Fprintln(c.people, "all of the keys given have signed")
	}
	return err
}

//go:embed description.yaml
var description string

func exampleDescription(_ context.Context, c *call) error {
	if err := c.parse(); err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]string{"result": "ok", "description": description})
	}
	_, err := fmt.Fprint(c.stdout, description)
	return err
}

// errDescription: what is described is no manifest.
var errDescription = errors.New("wrong description")

// A descriptionError is an errDescription that says only why.
type descriptionError struct{ error }

func (e descriptionError) Unwrap() error { return e.error }

func (e descriptionError) Is(target error) bool { return target == errDescription }

func createManifest(_ context.Context, c *call) error {
	var compat bool
	out := c.fs.String("out", "", "file for the envelope (required)")
	dir := c.fs.String("dir", "", "folder that the description's file names start from (default: the description's own)")
	compatFlag(c.fs, &compat)
	if err := c.parse(); err != nil {
		return err
	}
	if *out == "" {
		return cli.Usagef("firmctl manifest create needs --out FILE")
	}
	name := c.args[0]
	b, err := cli.ReadFile(name, author.MaxDescription, "a description (YAML or JSON)")
	if err != nil {
		return err
	}
	if b, err = fromYAML(b); err != nil {
		return descriptionError{fmt.Errorf("%s: %w", name, err)}
	}
	if *dir == "" {
		*dir = filepath.Dir(name)
	}
	e, err := author.ParseDescription(b, os.DirFS(*dir), options(compat))
	if err != nil {
		return descriptionError{fmt.Errorf("%s: %w", name, err)}
	}
	return c.writeEnvelope(e, *out, nil)
}

func signManifest(ctx context.Context, c *call) error {
	var keys, macKeys list
	var compat bool
	c.fs.Var(&keys, "key", "PRIV.pem to sign with; may be given several times")
	c.fs.Var(&macKeys, "mac-key", "HMAC-256 key in hexadecimal, to authenticate with; may be given several times")
	out := c.fs.String("out", "", "file for the signed envelope, which may be ENVELOPE itself")
	block := c.fs.String("block", "", "file for the authentication block alone, for attach --signature; ENVELOPE may be what --export wrote")
	export := c.fs.String("export", "", "file for what is to be signed: the payload of the COSE object, without a key")
	compatFlag(c.fs, &compat)
	if err := c.parse(); err != nil {
		return err
	}
	if err := checkSign(*out, *block, *export, len(keys)+len(macKeys)); err != nil {
		return err
	}
	var signatures []author.Signature
	for _, name := range keys {
		signer, err := readPrivate(name)
		if err != nil {
			return err
		}
		signatures = append(signatures, author.Signature{Signer: signer})
	}
	for _, text := range macKeys {
		macer, err := parseMacKey(text)
		if err != nil {
			return err
		}
		signatures = append(signatures, author.Signature{Macer: macer})
	}
	if *block != "" {
		if exported, err := readFile(c.args[0]); err == nil {
			if digest, err := author.DigestToSign(exported); err == nil {
				return c.signExported(ctx, exported, digest, signatures[0], *block)
			}
		}
	}
	u, err := readEnvelope(c.args[0], compat)
	if err != nil {
		return err
	}
	e := u.Envelope()
	if *out != "" {
		signed, err := author.SignAs(ctx, e, signatures...)
		if err != nil {
			return err
		}
		if u, err = options(compat).InspectBytes(signed); err != nil {
			return err
		}
		return c.writeEnvelope(u.Envelope(), *out, nil)
	}
	b, err := author.ToSign(e)
	if err != nil {
		return err
	}
	name := *export
	if *block != "" {
		name = *block
		if b, err = author.Block(ctx, b, signatures[0]); err != nil {
			return err
		}
	}
	if err := writeFile(name, b); err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, wrote{Result: "ok", File: name, Digest: u.Digest().String(), Sequence: e.Manifest.SequenceNumber,
			Size: len(b), Blocks: len(e.Authentication)})
	}
	_, err = fmt.Fprintf(c.people, "wrote %s, %d bytes, for manifest %s\n", name, len(b), u.Digest())
	return err
}

// signExported makes the authentication block for whom sign --export was run.
func (c *call) signExported(ctx context.Context, exported []byte, digest verify.Digest, s author.Signature, name string) error {
	b, err := author.Block(ctx, exported, s)
	if err != nil {
		return err
	}
	if err := writeFile(name, b); err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, wrote{Result: "ok", File: name, Digest: digest.String(), Size: len(b)})
	}
	_, err = fmt.Fprintf(c.people, "wrote %s, %d bytes, for manifest %s, of which nothing else was seen\n", name, len(b), digest)
	return err
}

// checkSign refuses flags of sign that do not go together.
func checkSign(out, block, export string, keys int) error {
	outputs := 0
	for _, name := range []string{out, block, export} {
		if name != "" {
			outputs++
		}
	}
	switch {
	case outputs != 1:
		return cli.Usagef("firmctl manifest sign needs one of --out, --block and --export FILE")
	case export != "" && keys != 0:
		return cli.Usagef("--export needs no key: it is for whoever has the key")
	case export == "" && keys == 0:
		return cli.Usagef("no --key PRIV.pem and no --mac-key: nothing to sign with")
	case block != "" && keys != 1:
		return cli.Usagef("--block is for one key, got %d", keys)
	}
	return nil
}

func attachManifest(_ context.Context, c *call) error {
	var a authentication
	var signatures, members list
	a.flags(c.fs)
	c.fs.Var(&signatures, "signature", "BLOCK of sign --block; may be given several times; needs its --key")
	c.fs.Var(&members, "member", "NAME=FILE, a severed member and its content; may be given several times")
	out := c.fs.String("out", "", "file for the envelope with all of that, which may be ENVELOPE itself")
	if err := c.parse(); err != nil {
		return err
	}
	contents, err := parseMembers(members)
	if err != nil {
		return err
	}
	some := len(signatures)+len(contents) > 0
	switch {
	case some && *out == "":
		return cli.Usagef("firmctl manifest attach needs --out FILE")
	case !some && *out != "":
		return cli.Usagef("--out without --signature or --member: nothing to attach")
	}
	u, err := readEnvelope(c.args[0], a.compat)
	if err != nil {
		return err
	}
	e := u.Envelope()
	if err := attachMembers(e, contents); err != nil {
		return err
	}
	if len(signatures) == 0 && len(a.keys)+len(a.macKeys) == 0 && some {
		return c.writeEnvelope(e, *out, nil)
	}
	missing, err := a.attach(e, signatures)
	if err != nil {
		return err
	}
	return c.writeEnvelope(e, *out, &missing)
}

func attachMembers(e *manifest.Envelope, contents []memberFile) error {
	for _, m := range contents {
		b, err := cli.ReadFile(m.file, manifest.MaxEnvelopeSize, "the content of "+m.name)
		if err != nil {
			return err
		}
		if err := e.Manifest.Attach(m.member, b, e.Options); err != nil {
			return fmt.Errorf("%s: %w", m.file, err)
		}
	}
	return nil
}

// attach attaches signatures to e, one by one, so that an error names the file, and returns who has not
// signed yet.
func (a *authentication) attach(e *manifest.Envelope, signatures []string) ([]missingKey, error) {
	keys, err := a.keySet()
	if err != nil {
		return nil, err
	}
	for _, name := range signatures {
		block, err := cli.ReadFile(name, manifest.MaxEnvelopeSize, "an authentication block")
		if err != nil {
			return nil, err
		}
		if err := author.Attach(e, keys, block); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	absent, err := author.Missing(e, keys, "")
	if err != nil {
		return nil, err
	}
	missing := []missingKey{}
	for _, key := range absent {
		missing = append(missing, missingKey{key.ID().String(), a.names[key]})
	}
	return missing, nil
}

func severManifest(_ context.Context, c *call) error {
	var members list
	var compat bool
	c.fs.Var(&members, "member", "NAME=FILE, a severable member and the file for its content; may be given several times")
	out := c.fs.String("out", "", "file for the envelope without them, which may be ENVELOPE itself (required)")
	compatFlag(c.fs, &compat)
	if err := c.parse(); err != nil {
		return err
	}
	parsed, err := parseMembers(members)
	switch {
	case err != nil:
		return err
	case len(parsed) == 0:
		return cli.Usagef("firmctl manifest sever needs --member NAME=FILE")
	case *out == "":
		return cli.Usagef("firmctl manifest sever needs --out FILE")
	}
	for _, m := range parsed {
		if sameFile(m.file, *out) {
			return cli.Usagef("--out and --member are both %s", *out)
		}
	}
	u, err := readEnvelope(c.args[0], compat)
	if err != nil {
		return err
	}
	e := u.Envelope()
	var names []manifest.Section
	for _, m := range parsed {
		_, isHere := e.Manifest.Section(m.member)
		isHere = isHere || m.member == manifest.MemberCoSWID && e.Manifest.CoSWID.Raw != nil || m.member == manifest.MemberText && e.Manifest.Text.Texts != nil
		if isHere && e.Manifest.SeverableDigest(m.member).IsZero() {
			return cli.Inputf("%s: the manifest has no digest in place of %s: only what its description names under severable can be taken out", c.args[0], m.name)
		}
		names = append(names, m.member)
	}
	contents, err := e.Manifest.Sever(names...)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	for i, m := range parsed { // before ENVELOPE, which may be the only place they are in
		if err := writeFile(m.file, contents[i]); err != nil {
			return err
		}
	}
	return c.writeEnvelope(e, *out, nil)
}
