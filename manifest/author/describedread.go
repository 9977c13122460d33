// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// envelope returns what d describes.
func (d *description) envelope(files *describedFiles, o manifest.Options) (*manifest.Envelope, error) {
	e := &manifest.Envelope{Options: o, Untagged: d.Untagged}
	if d.DigestAlgorithm != "" {
		var err error
		if e.Hash, err = verify.ParseHash(d.DigestAlgorithm); err != nil {
			return nil, fmt.Errorf("digest-algorithm: %w", err)
		}
	}
	m := &e.Manifest
	if d.SequenceNumber == nil { // it is REQUIRED: manifest-37, section 8.4.2
		return nil, fmt.Errorf("sequence-number is missing: %w", manifest.ErrMalformed)
	}
	m.SequenceNumber, m.ReferenceURI, m.SetVersion = *d.SequenceNumber, d.ReferenceURI, d.SetVersion
	if err := checkSequenceNumber(m.SequenceNumber); err != nil {
		return nil, fmt.Errorf("sequence-number: %w", err)
	}
	m.ComponentID = d.ComponentID.id()
	for _, id := range d.Components {
		m.Components = append(m.Components, manifest.ComponentID(id))
	}
	for _, dependency := range d.Dependencies {
		m.Dependencies = append(m.Dependencies, manifest.Dependency{Index: dependency.Index, Prefix: dependency.Prefix.id()})
	}
	r := &describedReader{files: files}
	m.Shared = r.section(manifest.SectionShared, d.Shared)
	m.DependencyResolution.Sequence = r.section(manifest.SectionDependencyResolution, d.Resolution)
	m.PayloadFetch.Sequence = r.section(manifest.SectionPayloadFetch, d.PayloadFetch)
	m.CandidateVerification.Sequence = r.section(manifest.SectionCandidateVerification, d.Candidate)
	m.Install.Sequence = r.section(manifest.SectionInstall, d.Install)
	m.Validate = r.section(manifest.SectionValidate, d.Validate)
	m.Load = r.section(manifest.SectionLoad, d.Load)
	m.Invoke = r.section(manifest.SectionInvoke, d.Invoke)
	m.Uninstall = r.section(manifest.SectionUninstall, d.Uninstall)
	m.CoSWID.Raw = d.CoSWID
	m.Text.Texts = d.texts()
	e.Payloads = r.payloads(d.Payloads)
	if r.err != nil {
		return nil, r.err
	}
	members, err := severableMembers(d.Severable)
	if err != nil {
		return nil, err
	}
	return e, m.MakeSeverable(cmp.Or(e.Hash, verify.SHA256), members...)
}

func (id *describedID) id() manifest.ComponentID {
	if id == nil {
		return nil
	}
	return manifest.ComponentID(*id)
}

func severableMembers(names []string) ([]manifest.Section, error) {
	var members []manifest.Section
	for i, name := range names {
		member := manifest.SectionShared
		for member <= manifest.SectionUninstall && member.String() != name {
			member++
		}
		if member > manifest.SectionUninstall {
			return nil, fmt.Errorf("severable[%d]: %.80q is no member that can be severed: %w", i, name, manifest.ErrUnsupported)
		}
		members = append(members, member)
	}
	return members, nil
}

func (d *description) texts() []manifest.Text {
	var texts []manifest.Text
	for _, t := range d.Text {
		text := manifest.Text{Language: t.Language, Manifest: convertKeys[manifest.TextKey](t.Manifest)}
		for _, c := range t.Components {
			text.Components = append(text.Components, manifest.ComponentText{ID: manifest.ComponentID(c.ID), Text: convertKeys[manifest.ComponentTextKey](c.Text)})
		}
		texts = append(texts, text)
	}
	return texts
}

func convertKeys[K, From ~int64](from map[From]string) map[K]string {
	if from == nil {
		return nil
	}
	to := make(map[K]string)
	for k, v := range from {
		to[K(k)] = v
	}
	return to
}

// describedReader keeps the first error.
type describedReader struct {
	files *describedFiles
	path  []string // of what is read
	err   error
}

func (r *describedReader) fail(err error) {
	if r.err == nil {
		r.err = at(r.path, err)
	}
}

// in goes one step down, until the function that it returns is called.
func (r *describedReader) in(format string, args ...any) (out func()) {
	r.path = append(r.path, fmt.Sprintf(format, args...))
	return func() { r.path = r.path[:len(r.path)-1] }
}

func (r *describedReader) section(s manifest.Section, from describedSequence) manifest.Sequence {
	defer r.in("%v", s)()
	return r.sequence(from)
}

func (r *describedReader) sequence(from describedSequence) manifest.Sequence {
	if from == nil {
		return nil
	}
	seq := make(manifest.Sequence, len(from))
	for i, c := range from {
		out := r.in("[%d]", i)
		seq[i] = r.command(c)
		out()
	}
	return seq
}

func (r *describedReader) command(from describedCommand) manifest.Command {
	c := manifest.Command{Code: r.code(from.Do), Policy: from.Policy, Nil: from.Nil, Index: (*manifest.ComponentIndex)(from.Index)}
	r.checkArgument(c.Code, from)
	if from.Parameters != nil {
		c.Parameters = r.parameters(from.Parameters)
	}
	for i, nested := range from.Sequences {
		out := r.in(".sequences[%d]", i)
		c.Sequences = append(c.Sequences, r.sequence(nested))
		out()
	}
	for i, o := range from.Overrides {
		out := r.in(".overrides[%d]", i)
		if o.Parameters == nil {
			r.fail(fmt.Errorf("no parameters: %w", manifest.ErrMalformed))
		} else {
			c.Overrides = append(c.Overrides, manifest.Override{Index: o.Index, Parameters: r.parameters(o.Parameters)})
		}
		out()
	}
	for i, o := range from.Copies {
		out := r.in(".copies[%d].keys", i)
		list := manifest.ParameterCopy{Source: o.Source}
		for _, name := range o.Keys {
			list.Keys = append(list.Keys, r.parameterKey(name))
		}
		c.Copies = append(c.Copies, list)
		out()
	}
	if from.Custom != nil {
		c.Custom = from.Custom.value()
	}
	return c
}

// checkArgument makes sure that a command has its own argument and no other.
func (r *describedReader) checkArgument(code manifest.Code, from describedCommand) {
	want, optional := "policy", true
	switch code {
	case manifest.DirectiveSetComponentIndex:
		want, optional = "index", false
	case manifest.DirectiveOverrideParameters, manifest.DirectiveSetParameters:
		want, optional = "parameters", false
	case manifest.DirectiveTryEach, manifest.DirectiveRunSequence:
		want, optional = "sequences", false
	case manifest.DirectiveOverrideMultiple:
		want, optional = "overrides", false
	case manifest.DirectiveCopyParams:
		want, optional = "copies", false
	default:
		if code <= manifest.MaxCustom {
			want = "custom"
		}
	}
	there := false
	for _, argument := range []struct {
		name    string
		present bool
	}{
		{"policy", from.Policy != 0}, {"index", from.Index != nil}, {"parameters", from.Parameters != nil}, {"sequences", from.Sequences != nil},
		{"overrides", from.Overrides != nil}, {"copies", from.Copies != nil}, {"custom", from.Custom != nil},
		{"nil", from.Nil && code != manifest.DirectiveTryEach},
	} {
		there = there || argument.present && argument.name == want
		if argument.present && argument.name != want {
			r.fail(fmt.Errorf("%s takes %s, not %s: %w", from.Do, want, argument.name, manifest.ErrCommand))
		}
	}
	if !there && !optional {
		r.fail(fmt.Errorf("%s without its %s: %w", from.Do, want, manifest.ErrCommand))
	}
}

// maxCode is above all code points of commands and parameters.
const maxCode = 64

func (r *describedReader) code(name string) manifest.Code {
	for c := range manifest.Code(maxCode) {
		if c.String() == name {
			return c
		}
	}
	defer r.in(".do")()
	return manifest.Code(r.custom(name, "command"))
}

func (r *describedReader) parameterKey(name string) manifest.ParameterKey {
	for k := range manifest.ParameterKey(maxCode) {
		if k.String() == name {
			return k
		}
	}
	return manifest.ParameterKey(r.custom(name, "parameter"))
}

// custom reads a number for which there is no name.
func (r *describedReader) custom(name, kind string) int64 {
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil || n > manifest.MaxCustom {
		r.fail(fmt.Errorf("%.80q is no %s's name, and no number of a custom one (%d and below): %w", name, kind, manifest.MaxCustom, manifest.ErrUnsupported))
	}
	return n
}

func (v *describedValue) value() manifest.Value {
	switch {
	case v.Bytes != nil:
		return []byte(*v.Bytes)
	case v.Text != nil:
		return *v.Text
	case v.Int != nil:
		return *v.Int
	case v.Bool != nil:
		return *v.Bool
	}
	return nil
}

func (r *describedReader) parameters(from *describedParameters) *manifest.Parameters {
	defer r.in(".parameters")()
	p := &manifest.Parameters{
		VendorID:        (*manifest.UUID)(from.VendorID),
		VendorPEN:       from.VendorPEN.bytes(),
		ClassID:         (*manifest.UUID)(from.ClassID),
		DeviceID:        (*manifest.UUID)(from.DeviceID),
		ImageDigest:     from.ImageDigest,
		ImageSize:       from.ImageSize,
		Slot:            from.Slot,
		StrictOrder:     from.StrictOrder,
		SoftFailure:     from.SoftFailure,
		Content:         from.Content.bytes(),
		EncryptionInfo:  from.EncryptionInfo.bytes(),
		URI:             from.URI,
		SourceComponent: from.SourceComponent,
		InvokeArgs:      from.InvokeArgs.bytes(),
		FetchArguments:  from.FetchArguments.bytes(),
		UseBefore:       from.UseBefore,
		MinimumBattery:  from.MinimumBattery,
		UpdatePriority:  from.UpdatePriority,
		WaitInfo:        r.wait(from.WaitInfo),
		Metadata:        r.metadata(from.Metadata),
	}
	if from.Version != nil {
		v := r.version(*from.Version)
		p.Version = &v
	}
	for name, v := range from.Custom {
		p.Custom = append(p.Custom, manifest.CustomParameter{Key: r.parameterKey(name), Value: v.value()})
	}
	r.parameterFiles(p, from)
	return p
}

func (b *hexBytes) bytes() []byte {
	if b == nil {
		return nil
	}
	return *b
}

func (r *describedReader) parameterFiles(p *manifest.Parameters, from *describedParameters) {
	if from.ImageFile != "" {
		digest, size, err := r.files.image(from.ImageFile)
		if err == nil && (p.ImageDigest != nil || p.ImageSize != nil || size == 0) {
			err = fmt.Errorf("%w: image-file %s beside image-digest or image-size, or empty", manifest.ErrMalformed, from.ImageFile)
		}
		if err != nil {
			r.fail(err)
		}
		p.ImageDigest, p.ImageSize = &digest, &size
	}
	if from.ContentFile != "" {
		content, err := r.files.content(from.ContentFile)
		if err == nil && p.Content != nil {
			err = fmt.Errorf("%w: content-file %s beside content", manifest.ErrMalformed, from.ContentFile)
		}
		if err != nil {
			r.fail(err)
		}
		p.Content = content
	}
}

func (r *describedReader) version(from describedVersion) manifest.VersionMatch {
	comparison := slices.Index(comparisons[:], from.Comparison)
	if comparison < int(manifest.VersionGreater) {
		r.fail(fmt.Errorf("comparison %.80q, expected one of %q: %w", from.Comparison, comparisons[manifest.VersionGreater:], manifest.ErrUnsupported))
	}
	return manifest.VersionMatch{Comparison: manifest.Comparison(comparison), Version: from.Version}
}

func (r *describedReader) wait(from *describedWait) *manifest.WaitInfo {
	if from == nil {
		return nil
	}
	w := &manifest.WaitInfo{Authorization: from.Authorization, Power: from.Power, Network: from.Network, Time: from.Time,
		TimeOfDay: from.TimeOfDay, DayOfWeek: from.DayOfWeek, TimeOfDayUTC: from.TimeOfDayUTC, DayOfWeekUTC: from.DayOfWeekUTC}
	if o := from.OtherDevice; o != nil {
		w.OtherDevice = &manifest.OtherDevice{Device: o.Device}
		for _, v := range o.Versions {
			w.OtherDevice.Versions = append(w.OtherDevice.Versions, r.version(v))
		}
	}
	return w
}

func (r *describedReader) metadata(from *describedMetadata) *manifest.ComponentMetadata {
	if from == nil {
		return nil
	}
	m := &manifest.ComponentMetadata{Default: from.Default, FileType: from.FileType, Modified: from.Modified, Created: from.Created,
		Users: r.permissions(from.Users), Groups: r.permissions(from.Groups), Roles: r.permissions(from.Roles)}
	if from.Creator != nil {
		creator := r.actor(*from.Creator)
		m.Creator = &creator
	}
	return m
}

func (r *describedReader) permissions(from []describedPermission) []manifest.Permission {
	var list []manifest.Permission
	for _, p := range from {
		list = append(list, manifest.Permission{Actor: r.actor(p.Actor), Permissions: p.Permissions})
	}
	return list
}

func (r *describedReader) actor(from describedActor) manifest.Actor {
	switch {
	case from.UUID != nil:
		return manifest.Actor{Kind: manifest.ActorUUID, UUID: manifest.UUID(*from.UUID)}
	case from.Name != nil:
		return manifest.Actor{Kind: manifest.ActorName, Name: *from.Name}
	case from.Bytes != nil:
		return manifest.Actor{Kind: manifest.ActorBytes, Bytes: string(*from.Bytes)}
	case from.ID != nil:
		return manifest.Actor{ID: *from.ID}
	}
	r.fail(fmt.Errorf("actor without id, bytes, name or uuid: %w", manifest.ErrMalformed))
	return manifest.Actor{ID: math.MinInt64}
}

func (r *describedReader) payloads(from map[string]describedPayload) []manifest.Payload {
	var list []manifest.Payload
	for _, key := range slices.Sorted(maps.Keys(from)) {
		out := r.in("payloads[%.80q]", key)
		p := from[key]
		data := p.Data.bytes()
		var err error
		switch {
		case (p.File == "") == (p.Data == nil):
			err = fmt.Errorf("expected either file or data: %w", manifest.ErrMalformed)
		case p.File != "":
			data, err = r.files.content(p.File)
		}
		if err != nil {
			r.fail(err)
		}
		list = append(list, manifest.Payload{Key: key, Data: data})
		out()
	}
	return list
}
