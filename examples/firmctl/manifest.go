// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// manifestMain runs "firmctl manifest VERB".
func manifestMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	asJSON := cli.WantsJSON(args)
	var known told
	code := cli.Main(ctx, stdout, stderr, asJSON, func(ctx context.Context) error {
		err := manifestVerb(ctx, args, asJSON, stdout, stderr)
		if errors.As(err, &known) {
			return nil
		}
		return err
	})
	if known.error != nil {
		cli.Report(stdout, stderr, false, known.error)
		return cli.Refused
	}
	return code
}

func manifestVerb(ctx context.Context, args []string, asJSON bool, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "verify":
			return verifyManifest(args[1:], asJSON, stdout, stderr)
		case "run":
			return runManifest(ctx, args[1:], asJSON, stdout, stderr)
		}
	}
	return cli.Usagef("firmctl manifest takes verify or run, got %q", args)
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(v string) error {
	*l = append(*l, v)
	return nil
}

// authentication has the flags of who is trusted.
type authentication struct {
	keys    list
	macKeys list
	compat  bool
}

func (a *authentication) flags(fs *flag.FlagSet) {
	fs.Var(&a.keys, "key", "PUB.pem of a signer that is trusted; may be given several times")
	fs.Var(&a.macKeys, "mac-key", "HMAC-256 key in hexadecimal; may be given several times")
	fs.BoolVar(&a.compat, "compat", false, "accept what some generators emit and the drafts do not allow")
	fs.Bool("json", false, "print one line of JSON on standard output")
}

// keySet returns the trusted keys. Any one of them is enough.
func (a *authentication) keySet() (*verify.KeySet, error) {
	var entries []verify.Entry
	for _, name := range a.keys {
		b, err := readFile(name)
		if err != nil {
			return nil, err
		}
		key, err := verify.ParsePublicKeyPEM(b)
		if err != nil {
			return nil, cli.Inputf("%s: %w", name, err)
		}
		entries = append(entries, verify.Entry{Key: key})
	}
	for _, text := range a.macKeys {
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, cli.Usagef("--mac-key is not hexadecimal")
		}
		macer, err := verify.NewMacer(b)
		if err != nil {
			return nil, cli.Usagef("--mac-key: %v", err)
		}
		entries = append(entries, verify.Entry{Key: macer.Key(), Secret: macer})
	}
	if len(entries) == 0 {
		return nil, cli.Usagef("no --key and no --mac-key: nobody is trusted")
	}
	return verify.NewKeySet(entries...)
}

// opener returns what verifies envelopes.
func (a *authentication) opener() (func(b []byte) (*manifest.Verified, error), error) {
	keys, err := a.keySet()
	if err != nil {
		return nil, err
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		return nil, err
	}
	var o manifest.Options
	if a.compat {
		o.Compat = manifest.CompatUntagged | manifest.CompatUncheckedDependency | manifest.CompatSeveredCandidateVerification
	}
	return func(b []byte) (*manifest.Verified, error) { return o.OpenBytes(b, keys, policy) }, nil
}

// verified is what verify prints.
type verified struct {
	Result   string   `json:"result"`
	Digest   string   `json:"digest"`
	Sequence uint64   `json:"sequence"`
	Keys     []string `json:"keys"`
}

func verifyManifest(args []string, asJSON bool, stdout, stderr io.Writer) error {
	fs := flags("verify", "ENVELOPE", stderr)
	var a authentication
	a.flags(fs)
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	open, err := a.opener()
	if err != nil {
		return err
	}
	b, err := readFile(rest)
	if err != nil {
		return err
	}
	v, err := open(b)
	if err != nil {
		return fmt.Errorf("%s: %w", rest, err)
	}
	out := verified{Result: "ok", Digest: v.Digest().String(), Sequence: v.SequenceNumber()}
	for _, k := range v.Evidence().Keys("") {
		out.Keys = append(out.Keys, k.ID().String())
	}
	if asJSON {
		return cli.PrintJSON(stdout, out)
	}
	_, err = fmt.Fprintf(stdout, "verified: manifest %s, sequence number %d, by %s\n", out.Digest, out.Sequence, strings.Join(out.Keys, ", "))
	return err
}

func flags(verb, args string, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("firmctl manifest "+verb, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: firmctl manifest %s %s [flags]\n", verb, args)
		fs.PrintDefaults()
	}
	return fs
}

// parse returns the one argument beside flags.
func parse(fs *flag.FlagSet, args []string) (string, error) {
	rest, err := cli.Parse(fs, args)
	if err != nil {
		return "", err
	}
	if len(rest) != 1 {
		return "", cli.Usagef("%s takes one ENVELOPE, got %q", fs.Name(), rest)
	}
	return rest[0], nil
}

// maxFile bounds every file that is read.
const maxFile = 1 << 30

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = cli.Inputf("%s is larger than %d bytes", name, maxFile)
	}
	return b, err
}

// recipientKeys returns the keys that payloads are decrypted with, nil if there are none.
func recipientKeys(keks, private []string) (*cose.RecipientKeys, error) {
	var keys []cose.RecipientKey
	for _, text := range keks {
		b, err := hex.DecodeString(text)
		if err != nil {
			return nil, cli.Usagef("--kek is not hexadecimal")
		}
		wrapper, err := verify.NewKeyWrapper(b)
		if err != nil {
			return nil, cli.Usagef("--kek: %v", err)
		}
		keys = append(keys, cose.RecipientKey{Wrapper: wrapper})
	}
	for _, name := range private {
		b, err := readFile(name)
		if err != nil {
			return nil, err
		}
		key, err := parseExchange(name, b)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return cose.NewRecipientKeys(keys...)
}

func parseExchange(name string, b []byte) (cose.RecipientKey, error) {
	block, _ := pem.Decode(b)
	if block == nil {
		return cose.RecipientKey{}, cli.Inputf("%s is not PEM", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if parsed, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
			return cose.RecipientKey{}, cli.Inputf("%s is not an EC private key", name)
		}
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return cose.RecipientKey{}, cli.Inputf("%s is a %T, want a P-256 private key", name, parsed)
	}
	exchange, err := key.ECDH()
	if err != nil {
		return cose.RecipientKey{}, cli.Inputf("%s: %v", name, err)
	}
	return cose.RecipientKey{Exchange: exchange}, nil
}

// sectionNames are the sections that run can be asked for.
var sectionNames = []manifest.Section{manifest.SectionDependencyResolution, manifest.SectionPayloadFetch,
	manifest.SectionCandidateVerification, manifest.SectionInstall, manifest.SectionValidate, manifest.SectionLoad,
	manifest.SectionInvoke, manifest.SectionUninstall}

func parseSections(names []string) ([]manifest.Section, error) {
	var out []manifest.Section
	for _, name := range names {
		i := slices.IndexFunc(sectionNames, func(s manifest.Section) bool { return s.String() == name })
		if i < 0 {
			return nil, cli.Usagef("--section %q is none of %v", name, sectionNames)
		}
		out = append(out, sectionNames[i])
	}
	return out, nil
}
