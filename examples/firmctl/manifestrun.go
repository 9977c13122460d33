// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/memdevice"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
	"github.com/firmament-dev/firmament/verify/cose"
)

// ran is what run prints. Other tools rely on it.
type ran struct {
	Result    string             `json:"result"` // ok, aborted, or refused: nothing was executed
	Error     string             `json:"error"`  // the sentinel's name, a wide one such as manifest.ErrCommand; "" if ok
	Reason    int                `json:"reason"` // of the SUIT report
	Section   string             `json:"section"`
	Offset    int                `json:"offset"` // -1 if no command has failed
	Component string             `json:"component"`
	Writes    map[string]written `json:"writes"`

	// Dependency is the component that the manifest is kept in whose section, offset and component these are; absent for the root.
	Dependency string `json:"dependency,omitempty"`
}

type written struct {
	Size    int    `json:"size"`
	SHA256  string `json:"sha256"`
	Removed bool   `json:"removed,omitempty"` // it was unlinked: it holds nothing, not an empty content
}

// runFlags are the flags of run.
type runFlags struct {
	authentication
	out                         string
	keks, private               list
	vendor, class, device       string
	sections, payloads, content list
	report, reportKey           string
	reportMAC, reportSecret     string
	reportNonce                 string
}

func runManifest(ctx context.Context, c *call) error {
	fs := c.fs
	var f runFlags
	f.flags(fs)
	fs.StringVar(&f.out, "out", "", "directory for the final bytes of each changed component (required)")
	fs.Var(&f.keks, "kek", "[KID=]HEX, a key encryption key in hexadecimal, for encrypted payloads")
	fs.Var(&f.private, "recipient-key", "[KID=]PRIV.pem, a P-256 key for encrypted payloads and the identifier it has in them")
	fs.StringVar(&f.vendor, "vendor-id", "", "the device's vendor UUID; without it vendor conditions fail")
	fs.StringVar(&f.class, "class-id", "", "the device's class UUID")
	fs.StringVar(&f.device, "device-id", "", "the device's own UUID")
	fs.Var(&f.sections, "section", "section to run; may be given several times (default: those present of payload-fetch, install, validate, load and invoke)")
	fs.Var(&f.payloads, "payload", "URI=FILE, what a fetch finds; may be given several times")
	fs.Var(&f.content, "component", "ID=FILE, what a component holds at first; may be given several times")
	fs.StringVar(&f.report, "report", "", "file for the device's report")
	fs.StringVar(&f.reportKey, "report-key", "", "PRIV.pem that the device signs its report with")
	fs.StringVar(&f.reportMAC, "report-mac-key", "", "HMAC-256 key in hexadecimal that it seals the report with instead")
	fs.StringVar(&f.reportSecret, "report-secret", "", "content key in hexadecimal that it encrypts a sealed report with: 16 bytes (A128GCM) or 32 (A256GCM)")
	fs.StringVar(&f.reportNonce, "report-nonce", "", "what the report is the answer to, in hexadecimal: at most 256 bytes")
	if err := c.parse(); err != nil {
		return err
	}
	if f.out == "" {
		return cli.Usagef("firmctl manifest run needs --out DIR")
	}
	if f.report == "" && f.reportKey+f.reportMAC+f.reportSecret+f.reportNonce != "" {
		return cli.Usagef("--report-key, --report-mac-key, --report-secret or --report-nonce without --report FILE")
	}
	b, err := readFile(c.args[0])
	if err != nil {
		return err
	}
	device, err := f.memory()
	if err != nil {
		return err
	}
	open, err := f.opener()
	if err != nil {
		return err
	}
	o, err := f.options(device, open)
	if err != nil {
		return err
	}
	sections, err := parseSections(f.sections)
	if err != nil {
		return err
	}
	sealed, err := f.reporter()
	if err != nil {
		return err
	}
	executed := false
	var recorder report.Recorder
	o.OnEvent = func(e processor.Event) { executed = true; recorder.Event(e) }
	v, failure := execute(ctx, b, open, o, sections)
	out := summary(failure, executed)
	if out.Writes, err = writeOut(f.out, device); err != nil {
		return err
	}
	if v != nil && f.report != "" {
		if err := sealed(ctx, &recorder, v, failure); err != nil {
			return err
		}
	}
	if c.json {
		err = cli.PrintJSON(c.stdout, out)
	} else {
		_, err = fmt.Fprintf(c.people, "%s: %s written to %s\n", out.Result, cli.Count(int64(len(out.Writes)), "component"), f.out)
	}
	if rest := unasked(v); err == nil && sections == nil && len(rest) > 0 {
		_, err = fmt.Fprintf(c.people, "not run, as no --section names it: %v\n", strings.Join(rest, ", "))
	}
	if err != nil || failure == nil {
		return err
	}
	return told{failure}
}

// unasked are the sections of an update that v has, and that do not run by default.
func unasked(v *manifest.Verified) (names []string) {
	if v == nil {
		return nil
	}
	m := v.Manifest()
	for _, s := range []manifest.Section{manifest.SectionDependencyResolution, manifest.SectionCandidateVerification} {
		if _, ok := m.Section(s); ok || m.Severed(s) {
			names = append(names, s.String())
		}
	}
	return names
}

// told is an error that standard output already has.
type told struct{ error }

func (t told) Unwrap() error { return t.error }

func (f *runFlags) memory() (*memdevice.Device, error) {
	d := &memdevice.Device{Payloads: map[string][]byte{}, Contents: map[string][]byte{}, Time: time.Now}
	for _, p := range f.payloads {
		i := strings.LastIndex(p, "=")
		if i <= 0 {
			return nil, cli.Usagef("--payload %q, want URI=FILE", p)
		}
		b, err := readFile(p[i+1:])
		if err != nil {
			return nil, err
		}
		d.Payloads[p[:i]] = b
	}
	for _, c := range f.content {
		id, name, ok := strings.Cut(c, "=")
		if !ok || !isIdentifier(id) {
			return nil, cli.Usagef("--component %q, want ID=FILE, with an ID such as 00 or 6673.01: lower-case hexadecimal parts, joined by dots", c)
		}
		b, err := readFile(name)
		if err != nil {
			return nil, err
		}
		d.Contents[id] = b
	}
	return d, nil
}

// isIdentifier reports whether text is how manifest.ComponentID.String writes one.
func isIdentifier(text string) bool {
	return !slices.ContainsFunc(strings.Split(text, "."), func(part string) bool {
		b, err := hex.DecodeString(part)
		return err != nil || len(b) == 0 || hex.EncodeToString(b) != part
	})
}

// options relax what this library asks beyond the drafts, and the one thing that the examples of trust-domains-12 do not do although its section 5.1
// asks for it. No condition is waived: without an identity, the conditions on it fail.
func (f *runFlags) options(d *memdevice.Device, open func([]byte) (*manifest.Verified, error)) (o processor.Options, err error) {
	o = processor.Options{Platform: d, Compat: processor.CompatUnidentified | processor.CompatNoDigest | processor.CompatUnmatchedInvoke | processor.CompatUnprocessedDependency |
		processor.CompatNoSize,
		CheckURI: func(uri string) error {
			if _, given := d.Payloads[uri]; given {
				return nil // whatever it looks like, it is a file here
			}
			return processor.CheckURI(uri)
		},
		Dependencies: &processor.Dependencies{Open: open,
			Floor: func(context.Context, manifest.ComponentID) (uint64, error) { return 0, nil }}}
	for _, id := range []struct {
		name, text string
		to         *manifest.UUID
	}{{"vendor-id", f.vendor, &o.Identity.VendorID}, {"class-id", f.class, &o.Identity.ClassID}, {"device-id", f.device, &o.Identity.DeviceID}} {
		if id.text == "" {
			continue
		}
		if *id.to, err = manifest.ParseUUID(id.text); err != nil {
			return o, cli.Usagef("--%s: %v", id.name, err)
		}
	}
	keys, err := recipientKeys(f.keks, f.private)
	if keys != nil {
		o.Decrypter = keys
	}
	return o, err
}

func execute(ctx context.Context, b []byte, open func([]byte) (*manifest.Verified, error), o processor.Options, sections []manifest.Section) (*manifest.Verified, error) {
	v, err := open(b)
	if err != nil {
		return nil, err
	}
	p, err := processor.New(ctx, v, o)
	if err != nil {
		return v, err
	}
	if sections == nil {
		if sections = presentSections(v); sections == nil {
			return v, fmt.Errorf("%w: none of those that run by default", processor.ErrAbsent)
		}
	}
	return v, p.Run(ctx, sections...)
}

// presentSections are the sections that v has, of those that run by default.
func presentSections(v *manifest.Verified) (sections []manifest.Section) {
	m := v.Manifest()
	for _, s := range []manifest.Section{manifest.SectionPayloadFetch, manifest.SectionInstall,
		manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke} {
		if _, ok := m.Section(s); ok || m.Severed(s) {
			sections = append(sections, s)
		}
	}
	return sections
}

// reporter returns what writes the report of a run.
func (f *runFlags) reporter() (func(context.Context, *report.Recorder, *manifest.Verified, error) error, error) {
	var seal report.Sealer
	var err error
	if f.reportKey != "" {
		if seal.Signer, err = readPrivate(f.reportKey); err != nil {
			return nil, err
		}
		if seal.Algorithm, err = cose.AlgorithmFor(seal.Signer.Public().Type()); err != nil {
			return nil, cli.Inputf("%s: %w", f.reportKey, err)
		}
	}
	if f.reportMAC != "" {
		if seal.Macer, err = parseMacKey(f.reportMAC); err != nil {
			return nil, err
		}
	}
	if seal.ContentKey, err = parseContentKey(f.reportSecret); err != nil {
		return nil, err
	}
	nonce, err := parseNonce("report-nonce", f.reportNonce)
	if err != nil {
		return nil, err
	}
	sealed := f.reportKey+f.reportMAC != ""
	if (f.reportKey != "" && f.reportMAC != "") || (seal.ContentKey != nil && !sealed) {
		return nil, cli.Usagef("a report is sealed by --report-key or by --report-mac-key, and --report-secret needs one of them")
	}
	return func(ctx context.Context, recorder *report.Recorder, v *manifest.Verified, failure error) error {
		r, err := recorder.Report(v, failure)
		if err != nil {
			return err
		}
		r.Nonce = nonce
		encode := r.Encode
		if sealed {
			encode = func() ([]byte, error) { return seal.Seal(ctx, r) }
		}
		b, err := encode()
		if err != nil {
			return err
		}
		return writeFile(f.report, b)
	}, nil
}

// parseNonce returns nil for no text.
func parseNonce(flag, text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) > report.MaxNonce {
		return nil, cli.Usagef("--%s is not hexadecimal, or of more than %d bytes", flag, report.MaxNonce)
	}
	if len(b) == 0 {
		return nil, nil
	}
	return b, nil
}

// parseContentKey returns nil for no text.
func parseContentKey(text string) (*cose.ContentKey, error) {
	if text == "" {
		return nil, nil
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, cli.Usagef("--report-secret is not hexadecimal")
	}
	alg := cose.A128GCM
	if len(b) == 32 {
		alg = cose.A256GCM
	}
	k, err := cose.NewContentKey(alg, nil, b)
	if err != nil {
		return nil, cli.Usagef("--report-secret: %v", err)
	}
	return k, nil
}

func summary(err error, executed bool) ran {
	out := ran{Result: "ok", Reason: int(report.ReasonOf(err)), Offset: -1}
	if err == nil {
		return out
	}
	out.Result, out.Error = "refused", cli.Explain(err).Error
	if executed {
		out.Result = "aborted"
	}
	if e, ok := errors.AsType[*processor.Error](err); ok {
		out.Section, out.Offset = e.Section.String(), e.Offset()
		if e.Shared {
			out.Section = manifest.SectionShared.String()
		}
		if e.Component >= 0 {
			out.Component = e.ID.String()
		}
		if e.Kept != nil {
			out.Dependency = e.Kept.String()
		}
	} else if e, ok := errors.AsType[*manifest.PlaceError](err); ok {
		out.Section, out.Offset = e.Section.String(), e.Offset
	}
	return out
}

// writeOut writes what the device holds in the end. Names come from the manifest, so they stay below dir.
func writeOut(dir string, d *memdevice.Device) (map[string]written, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	out := map[string]written{}
	for _, id := range d.Changed() {
		content := d.Content(id)
		if err := root.WriteFile(id, content, 0o644); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(content)
		out[id] = written{len(content), hex.EncodeToString(sum[:]), content == nil}
	}
	return out, nil
}
