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
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// manifestMain runs "firmctl manifest VERB".
func manifestMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cli.AddRules(cli.Rule{Err: report.ErrMismatch, Name: "report.ErrMismatch", Exit: cli.Refused,
		Next: "give the manifest and the sections that the device has run; if they are right, the device is not to be trusted"},
		cli.Rule{Err: errDescription, Name: "input", Exit: cli.Usage, Next: "correct the description; firmctl manifest example prints one, and where to read about all of its names"},
		cli.Rule{Err: report.ErrNonce, Name: "report.ErrNonce", Exit: cli.Refused, Next: "ask the device again: this may be an old report of it"},
		cli.Rule{Err: processor.ErrSevered, Name: "manifest.ErrDigest", Exit: cli.Refused, Next: "attach the member that was severed: firmctl manifest attach --member NAME=FILE"})
	asJSON := cli.WantsJSON(args)
	var known told
	code := cli.Main(ctx, stdout, stderr, asJSON, func(ctx context.Context) error {
		err := runGroup(ctx, "manifest", manifestCommands(), args, asJSON, stdout, stderr)
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

func manifestCommands() []command {
	return []command{
		{"manifest create", "DESCRIPTION", "make an envelope, not yet signed, from a description (YAML or JSON; firmctl manifest example prints one)", createManifest},
		{"manifest example", "", "print a description with comments, to start from", exampleDescription},
		{"manifest sign", "ENVELOPE", "sign an envelope, or make the signature alone, or export what is to be signed", signManifest},
		{"manifest attach", "ENVELOPE", "attach signatures and severed members, and say whose signature is missing", attachManifest},
		{"manifest sever", "ENVELOPE", "take severable members out, for where they are not needed", severManifest},
		{"manifest inspect", "ENVELOPE", "show what an envelope says, without a word on who says it", inspectManifest},
		{"manifest verify", "ENVELOPE", "verify an envelope", verifyManifest},
		{"manifest encrypt", "PAYLOAD", "encrypt a payload for recipients", encryptPayload},
		{"manifest run", "ENVELOPE", "verify an envelope and run it on a device in memory", runManifest},
		{"manifest report", "ENVELOPE REPORT", "tell from manifest and report what a device did", readReport},
	}
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

	names map[verify.Key]string // of files, after keySet
}

func (a *authentication) flags(fs *flag.FlagSet) {
	fs.Var(&a.keys, "key", "PUB.pem of a signer that is trusted; may be given several times")
	fs.Var(&a.macKeys, "mac-key", "HMAC-256 key in hexadecimal; may be given several times")
	compatFlag(fs, &a.compat)
}

func compatFlag(fs *flag.FlagSet, compat *bool) {
	fs.BoolVar(compat, "compat", false, "accept what some generators emit and the drafts do not allow")
}

// maxEnvelope is what firmctl reads and makes. Devices read manifest.MaxEnvelopeSize unless they are built to read more.
const maxEnvelope = 16 << 20

// options are the rules under which envelopes are read and made.
func options(compat bool) (o manifest.Options) {
	o.MaxSize = maxEnvelope
	if compat {
		o.Compat = manifest.CompatUntagged | manifest.CompatUncheckedDependency | manifest.CompatSeveredCandidateVerification
	}
	return o
}

// keySet returns the trusted keys. Any one of them is enough.
func (a *authentication) keySet() (*verify.KeySet, error) {
	var entries []verify.Entry
	a.names = make(map[verify.Key]string)
	for _, name := range a.keys {
		key, err := readPublic(name)
		if err != nil {
			return nil, err
		}
		a.names[key] = name
		entries = append(entries, verify.Entry{Key: key})
	}
	for _, text := range a.macKeys {
		macer, err := parseMacKey(text)
		if err != nil {
			return nil, err
		}
		a.names[macer.Key()] = "--mac-key"
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
	o := options(a.compat)
	return func(b []byte) (*manifest.Verified, error) { return o.OpenBytes(b, keys, policy) }, nil
}

// verified is what verify prints.
type verified struct {
	Result   string   `json:"result"`
	Digest   string   `json:"digest"`
	Sequence uint64   `json:"sequence"`
	Keys     []string `json:"keys"`
}

func verifyManifest(_ context.Context, c *call) error {
	var a authentication
	a.flags(c.fs)
	if err := c.parse(); err != nil {
		return err
	}
	rest := c.args[0]
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
		return fmt.Errorf("%s: %w%s", rest, err, laxer(b, a.compat))
	}
	out := verified{Result: "ok", Digest: v.Digest().String(), Sequence: v.SequenceNumber()}
	for _, k := range v.Evidence().Keys("") {
		out.Keys = append(out.Keys, k.ID().String())
	}
	if c.json {
		return cli.PrintJSON(c.stdout, out)
	}
	_, err = fmt.Fprintf(c.people, "verified: manifest %s, sequence number %d, by %s\n", out.Digest, out.Sequence, strings.Join(out.Keys, ", "))
	return err
}

// recipientKeys returns the keys that payloads are decrypted with, nil if there are none.
func recipientKeys(keks, private []string) (*cose.RecipientKeys, error) {
	var keys []cose.RecipientKey
	for _, value := range keks {
		kid, text := cutKID(value)
		wrapper, err := parseKEK(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, cose.RecipientKey{KID: kid, Wrapper: wrapper})
	}
	for _, value := range private {
		kid, name := cutKID(value)
		b, err := readFile(name)
		if err != nil {
			return nil, err
		}
		key, err := parseExchange(name, b)
		if err != nil {
			return nil, err
		}
		key.KID = kid
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return cose.NewRecipientKeys(keys...)
}

// cutKID splits [KID=]VALUE. The identifier is the text itself; a file whose name has a "=" stays one.
func cutKID(value string) (kid []byte, rest string) {
	name, rest, ok := strings.Cut(value, "=")
	if _, err := os.Stat(value); !ok || name == "" || err == nil {
		return nil, value
	}
	return []byte(name), rest
}

func parseKEK(text string) (verify.KeyWrapper, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, cli.Usagef("--kek is not hexadecimal")
	}
	wrapper, err := verify.NewKeyWrapper(b)
	if err != nil {
		return nil, cli.Usagef("--kek: %v", err)
	}
	return wrapper, nil
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

// parseSections reads what processor.Run takes: sections in the order of sectionNames, or uninstall alone.
func parseSections(names []string) ([]manifest.Section, error) {
	var out []manifest.Section
	last := -1
	for _, name := range names {
		i := slices.IndexFunc(sectionNames, func(s manifest.Section) bool { return s.String() == name })
		if i < 0 {
			return nil, cli.Usagef("--section %q is none of %v", name, sectionNames)
		}
		if i <= last || (sectionNames[i] == manifest.SectionUninstall && last >= 0) {
			return nil, cli.Usagef("--section %s after %s, want them once, in the order of %v, and %v alone", name, sectionNames[last], sectionNames, manifest.SectionUninstall)
		}
		last = i
		out = append(out, sectionNames[i])
	}
	return out, nil
}
