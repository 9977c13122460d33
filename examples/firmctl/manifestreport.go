// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/report"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// reported is what report prints.
type reported struct {
	Result     string   `json:"result"` // ok: the report has been read, whatever it says
	Sealed     bool     `json:"sealed"`
	Keys       []string `json:"keys,omitempty"` // of the device that has sealed it
	Nonce      string   `json:"nonce,omitempty"`
	Digest     string   `json:"digest"`
	Completed  bool     `json:"completed"`
	Reason     string   `json:"reason"`
	ReasonCode int      `json:"reason_code"`
	DeviceCode int64    `json:"device_code"`
	Steps      []step   `json:"steps"`
	Claims     []claim  `json:"claims,omitempty"`
}

type step struct {
	Manifest  []int  `json:"manifest,omitempty"` // of a dependency: component indices from the root
	Section   string `json:"section"`
	Shared    bool   `json:"shared,omitempty"`
	Path      []int  `json:"path"` // empty: the section as such
	Component string `json:"component,omitempty"`
	Command   string `json:"command,omitempty"`
	Outcome   string `json:"outcome"` // succeeded, failed: a condition did not hold, ended: the run, here, or foreseen: ended the run before it came here
	Seen      []node `json:"seen,omitempty"`
}

type claim struct {
	Component  string `json:"component"`
	Properties []node `json:"properties"`
}

var outcomes = map[report.Outcome]string{report.Succeeded: "succeeded", report.Failed: "failed", report.Ended: "ended", report.Foreseen: "foreseen"}

func readReport(_ context.Context, c *call) error {
	var a authentication
	var devices, macs, secrets, names, envelopes list
	a.flags(c.fs)
	c.fs.Var(&devices, "report-key", "PUB.pem of a device whose reports are believed; may be given several times")
	c.fs.Var(&macs, "report-mac-key", "HMAC-256 key in hexadecimal that reports are sealed with; may be given several times")
	c.fs.Var(&secrets, "report-secret", "content key in hexadecimal that reports are encrypted with; may be given several times")
	c.fs.Var(&envelopes, "dependency", "INDEX=ENVELOPE of a manifest that the other depends on, below it INDEX.INDEX=ENVELOPE; may be given several times")
	nonce := c.fs.String("nonce", "", "what the device was asked with, in hexadecimal; the answer to anything else is refused, as a report that is replayed")
	unsealed := c.fs.Bool("unsealed", false, "read a report that nothing protects, as one from an attestation token")
	c.fs.Var(&names, "section", "section that was run; may be given several times (default: those present of payload-fetch, install, validate, load and invoke)")
	if err := c.parse(); err != nil {
		return err
	}
	if *unsealed == (len(devices)+len(macs) > 0) || (*unsealed && len(secrets) > 0) {
		return cli.Usagef("firmctl manifest report needs --report-key PUB.pem or --report-mac-key HEX, or else --unsealed")
	}
	sections, err := parseSections(names)
	if err != nil {
		return err
	}
	asked, err := parseNonce("nonce", *nonce)
	if err != nil {
		return err
	}
	open, err := a.opener()
	if err != nil {
		return err
	}
	read, err := reportReader(devices, macs, secrets)
	if err != nil {
		return err
	}
	dependencies, err := readDependencies(envelopes, open)
	if err != nil {
		return err
	}
	b, err := readFile(c.args[0])
	if err != nil {
		return err
	}
	v, err := open(b)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	if b, err = readFile(c.args[1]); err != nil {
		return err
	}
	r, by, err := read(b)
	if err == nil && asked != nil {
		err = r.CheckNonce(asked)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[1], err)
	}
	if sections == nil {
		sections = presentSections(v)
	}
	steps, err := report.ReconstructWith(v, dependencies, r, sections...)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[1], err)
	}
	if c.json {
		return cli.PrintJSON(c.stdout, reportedOf(r, by, steps, !*unsealed))
	}
	if err := c.printReport(r, by, steps, *unsealed); err != nil {
		return err
	}
	for _, walk := range passedOver(r, dependencies) {
		fmt.Fprintf(c.people, "not told: what dependency %s has done; it is with --dependency %s=ENVELOPE\n", strings.ReplaceAll(walk, ".", " "), walk)
	}
	return nil
}

// passedOver are the dependencies that r has records of, and that are not at hand.
func passedOver(r *report.Report, dependencies report.Dependencies) (walks []string) {
	records := []*report.Record{r.Result.Record}
	for _, e := range r.Records {
		records = append(records, e.Record)
	}
	for _, rec := range records {
		for n := 1; rec != nil && n <= len(rec.Manifest); n++ {
			if dependencies(rec.Manifest[:n]) != nil {
				continue
			}
			if walk := walkText(rec.Manifest[:n]); !slices.Contains(walks, walk) {
				walks = append(walks, walk)
			}
			break
		}
	}
	return walks
}

// walkText is how --dependency names a manifest.
func walkText(walk []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(walk), "[]"), " ", ".")
}

// reportReader returns what reads reports: sealed by one of devices, or not sealed if there are none.
func reportReader(devices, macs, secrets []string) (func([]byte) (*report.Report, verify.Evidence, error), error) {
	if len(devices)+len(macs) == 0 {
		return func(b []byte) (*report.Report, verify.Evidence, error) {
			r, err := report.Decode(b)
			return r, verify.Evidence{}, err
		}, nil
	}
	a := authentication{keys: devices, macKeys: macs}
	keys, err := a.keySet()
	if err != nil {
		return nil, err
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		return nil, err
	}
	var content []*cose.ContentKey
	for _, text := range secrets {
		k, err := parseContentKey(text)
		if err != nil {
			return nil, err
		}
		content = append(content, k)
	}
	return func(b []byte) (*report.Report, verify.Evidence, error) {
		return report.Open(b, keys, policy, content...)
	}, nil
}

// readDependencies returns the manifests of the given envelopes, by their component indices from the root.
func readDependencies(given []string, open func([]byte) (*manifest.Verified, error)) (report.Dependencies, error) {
	known := map[string]*manifest.Verified{}
	for _, text := range given {
		walk, name, ok := strings.Cut(text, "=")
		if !ok || !isWalk(walk) {
			return nil, cli.Usagef("--dependency %q, want INDEX=ENVELOPE, with an INDEX such as 1 or 1.2", text)
		}
		b, err := readFile(name)
		if err != nil {
			return nil, err
		}
		if known[walk], err = open(b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return func(walk []int) *manifest.Verified {
		return known[walkText(walk)]
	}, nil
}

// isWalk reports whether text is component indices, joined by dots.
func isWalk(text string) bool {
	return !slices.ContainsFunc(strings.Split(text, "."), func(part string) bool {
		n, err := strconv.ParseUint(part, 10, 31)
		return err != nil || strconv.FormatUint(n, 10) != part
	})
}

func reportedOf(r *report.Report, by verify.Evidence, steps []report.Step, sealed bool) reported {
	out := reported{Keys: keyIDs(by), Nonce: hex.EncodeToString(r.Nonce), Result: "ok", Sealed: sealed, Digest: r.Digest.String(), Completed: r.Result.OK(),
		Reason: r.Result.Reason.String(), ReasonCode: int(r.Result.Reason), DeviceCode: r.Result.Code, Steps: []step{}, Claims: claims(r)}
	for _, s := range steps {
		one := step{Manifest: s.Manifest, Section: s.Section.String(), Shared: s.Shared, Path: append([]int{}, s.Path...), Outcome: outcomes[s.Outcome]}
		if s.Command != 0 {
			one.Command = s.Command.String()
		}
		if s.Component >= 0 {
			one.Component = s.ID.String()
		}
		one.Seen = seenNodes(s.Seen)
		out.Steps = append(out.Steps, one)
	}
	return out
}

func keyIDs(by verify.Evidence) (ids []string) {
	for _, k := range by.Keys("") {
		ids = append(ids, k.ID().String())
	}
	return ids
}

func seenNodes(p *manifest.Parameters) []node {
	if p == nil {
		return nil
	}
	return parameterNodes(p)
}

// claims are what the device says of its system: with each record again, so that only what differs is kept.
func claims(r *report.Report) (out []claim) {
	for _, e := range r.Records {
		if e.Claims == nil {
			continue
		}
		one := claim{e.Claims.Component.String(), parameterNodes(&e.Claims.Properties)}
		if !slices.ContainsFunc(out, func(known claim) bool { return reflect.DeepEqual(known, one) }) {
			out = append(out, one)
		}
	}
	return out
}

func (c *call) printReport(r *report.Report, by verify.Evidence, steps []report.Step, unsealed bool) error {
	if unsealed {
		fmt.Fprintln(c.people, "NOT AUTHENTICATED: nothing says that the device has made this report")
	}
	for _, id := range keyIDs(by) {
		fmt.Fprintf(c.people, "sealed by %s\n", id)
	}
	if len(r.Nonce) > 0 {
		fmt.Fprintf(c.people, "nonce %x\n", r.Nonce)
	}
	fmt.Fprintf(c.people, "manifest %s\n", r.Digest)
	if err := report.Print(c.people, r, steps); err != nil {
		return err
	}
	// A value is shown once: the same condition sees it before each section, and the device reports it with each record.
	told := map[string]bool{}
	for _, s := range steps {
		printSeen(c, told, s.ID.String(), s.Command.String()+" on "+s.ID.String()+" saw", seenNodes(s.Seen))
	}
	for _, one := range claims(r) {
		printSeen(c, told, one.Component, "system of "+one.Component+" as reported:", one.Properties)
	}
	if k := r.Capabilities; k != nil {
		fmt.Fprintf(c.people, "capable of commands %s\n", strings.Trim(fmt.Sprint(k.Commands), "[]"))
		fmt.Fprintf(c.people, "capable of parameters %s\n", strings.Trim(fmt.Sprint(k.Parameters), "[]"))
	}
	return nil
}

// printSeen prints what of seen was not told of that component, and notes it in told.
func printSeen(c *call, told map[string]bool, component, what string, seen []node) {
	var fresh bytes.Buffer
	for _, n := range seen {
		var b bytes.Buffer
		printTree(&b, []node{n}, "  ")
		if key := component + ": " + b.String(); !told[key] {
			told[key] = true
			fresh.Write(b.Bytes())
		}
	}
	if fresh.Len() > 0 {
		fmt.Fprintf(c.people, "%s\n%s", what, fresh.String())
	}
}
