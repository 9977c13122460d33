// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// inspected is what inspect prints. Authenticated is always false: inspect asks nobody.
type inspected struct {
	Result        string `json:"result"`
	Authenticated bool   `json:"authenticated"`
	Digest        string `json:"digest"`
	Sequence      uint64 `json:"sequence"`
	Tree          []node `json:"tree"`
	Diagnostic    string `json:"diagnostic"`
}

// node is a line of the tree.
type node struct {
	Name     string `json:"name"`
	Value    string `json:"value,omitempty"`
	Children []node `json:"children,omitempty"`
	Offset   int    `json:"offset,omitempty"` // of a command, in bytes into its sequence
}

func inspectManifest(_ context.Context, c *call) error {
	var compat bool
	compatFlag(c.fs, &compat)
	described := c.fs.Bool("description", false, "print the description (JSON) that create makes the same manifest of, and nothing else")
	if err := c.parse(); err != nil {
		return err
	}
	u, err := readEnvelope(c.args[0], compat)
	if err != nil {
		return err
	}
	e := u.Envelope()
	if *described {
		return c.describe(e)
	}
	b, err := e.Encode() // the bytes that were read
	if err != nil {
		return err
	}
	text, err := diagnostic(b, envelopeShape)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	tree := []node{
		{Name: "manifest digest", Value: u.Digest().String()},
		{Name: "authentication", Value: "not verified here", Children: blockNodes(e.Authentication)},
		{Name: "manifest", Children: manifestNodes(&e.Manifest)},
		{Name: "integrated payloads", Value: strconv.Itoa(len(e.Payloads)), Children: payloadNodes(e.Payloads)},
	}
	if c.json {
		return cli.PrintJSON(c.stdout, inspected{"ok", false, u.Digest().String(), e.Manifest.SequenceNumber, tree, text})
	}
	fmt.Fprintf(c.people, "%s, %d bytes: NOT AUTHENTICATED, anyone may have written this\n\n", c.args[0], len(b))
	printTree(c.people, tree, "")
	_, err = fmt.Fprintf(c.people, "\ndiagnostic notation:\n\n%s\n", text)
	return err
}

func (c *call) describe(e *manifest.Envelope) error {
	b, err := author.Describe(e)
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "authenticated": false, "description": json.RawMessage(b)})
	}
	_, err = c.stdout.Write(b)
	return err
}

func printTree(w io.Writer, nodes []node, indent string) {
	for _, n := range nodes {
		line := indent + n.Name
		if n.Offset > 0 {
			line += fmt.Sprintf(" (byte %d)", n.Offset)
		}
		if n.Value != "" {
			line += ": " + n.Value
		}
		fmt.Fprintln(w, line)
		printTree(w, n.Children, indent+"  ")
	}
}

// idText is how an identifier is written, and what it spells, if it spells something.
func idText(id manifest.ComponentID) string {
	text, letters := id.String(), 0
	for _, part := range id {
		for _, b := range part {
			if b < ' ' || b > '~' {
				return text
			}
			letters++
		}
	}
	if letters < 3 {
		return text
	}
	return fmt.Sprintf("%s %q", text, bytes.Join(id, []byte(".")))
}

// blockNames are the COSE objects that authentication blocks can be.
var blockNames = map[uint64]string{17: "COSE_Mac0", 18: "COSE_Sign1", 97: "COSE_Mac", 98: "COSE_Sign"}

func blockNodes(blocks [][]byte) (out []node) {
	for i, b := range blocks {
		name := "unknown"
		d := diagnoser{b}
		if major, _, tag, err := d.head(); err == nil && major == majorTag && blockNames[tag] != "" {
			name = blockNames[tag]
		}
		out = append(out, node{Name: fmt.Sprintf("block %d", i), Value: fmt.Sprintf("%s, %d bytes", name, len(b))})
	}
	return out
}

func payloadNodes(payloads []manifest.Payload) (out []node) {
	for _, p := range payloads {
		out = append(out, node{Name: p.Key, Value: fmt.Sprintf("%d bytes, %v", len(p.Data), verify.Sum(verify.SHA256, p.Data))})
	}
	return out
}

func manifestNodes(m *manifest.Manifest) []node {
	out := []node{{Name: "sequence number", Value: strconv.FormatUint(m.SequenceNumber, 10)}}
	add := func(name, value string, children ...node) {
		out = append(out, node{Name: name, Value: value, Children: children})
	}
	if m.ReferenceURI != "" {
		add("reference-uri", strconv.Quote(m.ReferenceURI))
	}
	if m.ComponentID != nil {
		add("manifest-component-id", m.ComponentID.String())
	}
	if m.SetVersion != nil {
		add("set-version", versionText(m.SetVersion))
	}
	var components, dependencies []node
	for i, id := range m.Components {
		components = append(components, node{Name: strconv.Itoa(i), Value: idText(id)})
	}
	for _, d := range m.Dependencies {
		dependencies = append(dependencies, node{Name: strconv.FormatUint(d.Index, 10), Value: "prefix " + d.Prefix.String()})
	}
	add("components", strconv.Itoa(len(components)), components...)
	if dependencies != nil {
		add("dependencies", strconv.Itoa(len(dependencies)), dependencies...)
	}
	for _, s := range append([]manifest.Section{manifest.SectionShared}, sectionNames...) {
		if seq, ok := m.Section(s); ok || m.Severed(s) {
			add(s.String(), memberText(m, s, ok), commandNodes(seq)...)
		}
	}
	if m.CoSWID.Raw != nil || m.CoSWID.Digest != nil {
		add("coswid", memberText(m, manifest.MemberCoSWID, m.CoSWID.Raw != nil))
	}
	if m.Text.Texts != nil || m.Text.Severed() {
		add("text", memberText(m, manifest.MemberText, !m.Text.Severed()), textNodes(m.Text.Texts)...)
	}
	return out
}

// memberText says where a severable member is.
func memberText(m *manifest.Manifest, member manifest.Section, here bool) string {
	digest := m.SeverableDigest(member)
	switch {
	case digest.IsZero():
		return ""
	case here:
		return "severable, " + digest.String()
	}
	return "severed, not here, " + digest.String()
}

func commandNodes(seq manifest.Sequence) (out []node) {
	for i := range seq {
		out = append(out, commandNode(&seq[i]))
	}
	return out
}

func commandNode(c *manifest.Command) node {
	n := node{Name: c.Code.String(), Offset: c.Offset}
	switch c.Code {
	case manifest.DirectiveSetComponentIndex:
		n.Value = indexText(c.Index)
	case manifest.DirectiveOverrideParameters, manifest.DirectiveSetParameters:
		n.Children = parameterNodes(c.Parameters)
	case manifest.DirectiveTryEach:
		for i, seq := range c.Sequences {
			n.Children = append(n.Children, node{Name: "alternative " + strconv.Itoa(i), Children: commandNodes(seq)})
		}
		if c.Nil {
			n.Children = append(n.Children, node{Name: "or nothing"})
		}
	case manifest.DirectiveRunSequence:
		n.Children = commandNodes(c.Sequences[0])
	case manifest.DirectiveOverrideMultiple:
		for _, o := range c.Overrides {
			n.Children = append(n.Children, node{Name: "component " + strconv.FormatUint(o.Index, 10), Children: parameterNodes(o.Parameters)})
		}
	case manifest.DirectiveCopyParams:
		for _, from := range c.Copies {
			var names []string
			for _, k := range from.Keys {
				names = append(names, k.String())
			}
			n.Children = append(n.Children, node{Name: "from component " + strconv.FormatUint(from.Source, 10), Value: strings.Join(names, ", ")})
		}
	default:
		n.Value = policyText(c.Policy)
	}
	return n
}

func indexText(i *manifest.ComponentIndex) string {
	switch {
	case i.All:
		return "all"
	case i.List != nil:
		return fmt.Sprint(i.List)
	}
	return strconv.FormatUint(i.One, 10)
}

// policyText says what a command reports.
func policyText(p manifest.ReportingPolicy) string {
	if p == 0 {
		return ""
	}
	var parts []string
	for _, bit := range []struct {
		bit  manifest.ReportingPolicy
		text string
	}{{manifest.RecordOnSuccess, "success"}, {manifest.RecordOnFailure, "failure"},
		{manifest.SysinfoOnSuccess, "system on success"}, {manifest.SysinfoOnFailure, "system on failure"}} {
		if p&bit.bit != 0 {
			parts = append(parts, bit.text)
		}
	}
	return "reports " + strings.Join(parts, ", ")
}

// parameterNodes shows parameters from their encoding, so that none is left out.
func parameterNodes(p *manifest.Parameters) (out []node) {
	d := diagnoser{p.Encode()}
	_, _, n, err := d.head()
	for range n {
		var major byte
		var arg uint64
		if major, _, arg, err = d.head(); err != nil {
			break
		}
		if major == majorNegative {
			arg = ^arg
		}
		key := manifest.ParameterKey(int64(arg))
		_, of := parameterKey(int64(key))
		var value string
		if value, err = d.item(of, 0); err != nil {
			break
		}
		out = append(out, parameterNode(p, key, value))
	}
	if err != nil {
		out = append(out, node{Name: "not shown", Value: err.Error()})
	}
	return out
}

func parameterNode(p *manifest.Parameters, key manifest.ParameterKey, value string) node {
	for _, id := range []struct {
		key manifest.ParameterKey
		id  *manifest.UUID
	}{{manifest.ParameterVendorID, p.VendorID}, {manifest.ParameterClassID, p.ClassID}, {manifest.ParameterDeviceID, p.DeviceID}} {
		if id.key == key && id.id != nil {
			value = id.id.String()
		}
	}
	n := node{Name: key.String(), Value: value}
	switch key {
	case manifest.ParameterImageDigest:
		n.Value = p.ImageDigest.String()
	case manifest.ParameterVersion:
		n.Value = comparisons[p.Version.Comparison] + " " + versionText(p.Version.Version)
	case manifest.ParameterEncryptionInfo:
		n.Value, n.Children = encryptionNodes(p.EncryptionInfo)
	}
	return n
}

var comparisons = map[manifest.Comparison]string{manifest.VersionGreater: ">", manifest.VersionGreaterEqual: ">=",
	manifest.VersionEqual: "=", manifest.VersionLesserEqual: "<=", manifest.VersionLesser: "<"}

func versionText(version []int64) string {
	var parts []string
	for _, n := range version {
		switch n {
		case manifest.ReleaseCandidate:
			parts = append(parts, "rc")
		case manifest.Beta:
			parts = append(parts, "beta")
		case manifest.Alpha:
			parts = append(parts, "alpha")
		default:
			parts = append(parts, strconv.FormatInt(n, 10))
		}
	}
	return strings.Join(parts, ".")
}

func encryptionNodes(info []byte) (value string, out []node) {
	parsed, err := cose.ParseEncryptionInfo(info)
	if err != nil {
		return fmt.Sprintf("not usable: %v", err), nil
	}
	for i, r := range parsed.Recipients() {
		text := fmt.Sprint(r.Algorithm)
		if r.KID != nil {
			text += ", key id " + hexadecimal(r.KID)
		}
		if r.Err != nil {
			text += fmt.Sprintf(", not usable: %v", r.Err)
		}
		out = append(out, node{Name: "recipient " + strconv.Itoa(i), Value: text})
	}
	return parsed.Algorithm().String(), out
}

func textNodes(texts []manifest.Text) (out []node) {
	for _, t := range texts {
		children := namedTexts(t.Manifest)
		for _, c := range t.Components {
			children = append(children, node{Name: "component " + c.ID.String(), Children: namedTexts(c.Text)})
		}
		out = append(out, node{Name: "language " + t.Language, Children: children})
	}
	return out
}

func namedTexts[K interface {
	~int64
	String() string
}](texts map[K]string) (out []node) {
	for _, k := range slices.Sorted(maps.Keys(texts)) {
		out = append(out, node{Name: k.String(), Value: strconv.Quote(texts[k])})
	}
	return out
}
