// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"strconv"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// describe returns the description of e; Describe finds out whether it says everything.
func describe(e *manifest.Envelope) *description {
	m := &e.Manifest
	d := &description{
		SequenceNumber: &m.SequenceNumber,
		ReferenceURI:   m.ReferenceURI,
		ComponentID:    describeID(m.ComponentID),
		SetVersion:     m.SetVersion,
		Shared:         describeSequence(m.Shared),
		Resolution:     describeSequence(m.DependencyResolution.Sequence),
		PayloadFetch:   describeSequence(m.PayloadFetch.Sequence),
		Candidate:      describeSequence(m.CandidateVerification.Sequence),
		Install:        describeSequence(m.Install.Sequence),
		Validate:       describeSequence(m.Validate),
		Load:           describeSequence(m.Load),
		Invoke:         describeSequence(m.Invoke),
		Uninstall:      describeSequence(m.Uninstall),
		CoSWID:         m.CoSWID.Raw,
		Untagged:       e.Untagged,
	}
	if e.Hash != 0 && e.Hash != verify.SHA256 {
		d.DigestAlgorithm = e.Hash.String()
	}
	for _, id := range m.Components {
		d.Components = append(d.Components, describedID(id))
	}
	for _, dependency := range m.Dependencies {
		d.Dependencies = append(d.Dependencies, describedDependency{dependency.Index, describeID(dependency.Prefix)})
	}
	for _, s := range []manifest.Section{manifest.SectionDependencyResolution, manifest.SectionPayloadFetch,
		manifest.SectionCandidateVerification, manifest.SectionInstall, manifest.MemberCoSWID, manifest.MemberText} {
		if m.SeverableDigest(s).IsZero() {
			continue
		}
		d.Severable = append(d.Severable, s.String())
	}
	for _, t := range m.Text.Texts {
		text := describedText{Language: t.Language, Manifest: convertKeys[describedTextKey](t.Manifest)}
		for _, c := range t.Components {
			text.Components = append(text.Components, describedComponentText{describedID(c.ID), convertKeys[describedComponentTextKey](c.Text)})
		}
		d.Text = append(d.Text, text)
	}
	for _, p := range e.Payloads {
		if d.Payloads == nil {
			d.Payloads = make(map[string]describedPayload)
		}
		d.Payloads[p.Key] = describedPayload{Data: (*hexBytes)(&p.Data)}
	}
	return d
}

func describeID(id manifest.ComponentID) *describedID {
	if id == nil {
		return nil
	}
	d := describedID(id)
	return &d
}

func describeSequence(from manifest.Sequence) describedSequence {
	if from == nil {
		return nil
	}
	seq := describedSequence{}
	for _, c := range from {
		seq = append(seq, describeCommand(c))
	}
	return seq
}

func describeCommand(c manifest.Command) describedCommand {
	d := describedCommand{Do: c.Code.String(), Policy: c.Policy, Nil: c.Nil, Index: (*describedIndex)(c.Index), Parameters: describeParameters(c.Parameters)}
	if c.Code <= manifest.MaxCustom {
		d.Do = strconv.FormatInt(int64(c.Code), 10)
		d.Custom = describeValue(c.Custom)
	}
	for _, nested := range c.Sequences {
		d.Sequences = append(d.Sequences, describeSequence(nested))
	}
	for _, o := range c.Overrides {
		d.Overrides = append(d.Overrides, describedOverride{o.Index, describeParameters(o.Parameters)})
	}
	for _, o := range c.Copies {
		list := describedCopy{Source: o.Source}
		for _, k := range o.Keys {
			name := k.String()
			if k <= manifest.MaxCustom {
				name = strconv.FormatInt(int64(k), 10)
			}
			list.Keys = append(list.Keys, name)
		}
		d.Copies = append(d.Copies, list)
	}
	return d
}

func describeValue(v manifest.Value) *describedValue {
	switch v := v.(type) {
	case []byte:
		return &describedValue{Bytes: describeBytes(v)}
	case string:
		return &describedValue{Text: &v}
	case int64:
		return &describedValue{Int: &v}
	case bool:
		return &describedValue{Bool: &v}
	}
	return nil
}

func describeBytes(b []byte) *hexBytes {
	if b == nil {
		return nil
	}
	return (*hexBytes)(&b)
}

func describeParameters(p *manifest.Parameters) *describedParameters {
	if p == nil {
		return nil
	}
	d := &describedParameters{
		VendorID:        (*describedUUID)(p.VendorID),
		VendorPEN:       describeBytes(p.VendorPEN),
		ClassID:         (*describedUUID)(p.ClassID),
		DeviceID:        (*describedUUID)(p.DeviceID),
		ImageDigest:     p.ImageDigest,
		ImageSize:       p.ImageSize,
		Slot:            p.Slot,
		StrictOrder:     p.StrictOrder,
		SoftFailure:     p.SoftFailure,
		Content:         describeBytes(p.Content),
		EncryptionInfo:  describeBytes(p.EncryptionInfo),
		URI:             p.URI,
		SourceComponent: p.SourceComponent,
		InvokeArgs:      describeBytes(p.InvokeArgs),
		FetchArguments:  describeBytes(p.FetchArguments),
		UseBefore:       p.UseBefore,
		MinimumBattery:  p.MinimumBattery,
		UpdatePriority:  p.UpdatePriority,
		WaitInfo:        describeWait(p.WaitInfo),
		Metadata:        describeMetadata(p.Metadata),
	}
	if p.Version != nil {
		v := describeVersion(*p.Version)
		d.Version = &v
	}
	for _, c := range p.Custom {
		if d.Custom == nil {
			d.Custom = make(map[string]describedValue)
		}
		if v := describeValue(c.Value); v != nil {
			d.Custom[strconv.FormatInt(int64(c.Key), 10)] = *v
		}
	}
	return d
}

func describeVersion(v manifest.VersionMatch) describedVersion {
	d := describedVersion{Version: v.Version}
	if int(v.Comparison) < len(comparisons) {
		d.Comparison = comparisons[v.Comparison]
	}
	return d
}

func describeWait(w *manifest.WaitInfo) *describedWait {
	if w == nil {
		return nil
	}
	d := &describedWait{Authorization: w.Authorization, Power: w.Power, Network: w.Network, Time: w.Time,
		TimeOfDay: w.TimeOfDay, DayOfWeek: w.DayOfWeek, TimeOfDayUTC: w.TimeOfDayUTC, DayOfWeekUTC: w.DayOfWeekUTC}
	if o := w.OtherDevice; o != nil {
		d.OtherDevice = &describedOtherDevice{Device: o.Device}
		for _, v := range o.Versions {
			d.OtherDevice.Versions = append(d.OtherDevice.Versions, describeVersion(v))
		}
	}
	return d
}

func describeMetadata(m *manifest.ComponentMetadata) *describedMetadata {
	if m == nil {
		return nil
	}
	d := &describedMetadata{Default: m.Default, FileType: m.FileType, Modified: m.Modified, Created: m.Created,
		Users: describePermissions(m.Users), Groups: describePermissions(m.Groups), Roles: describePermissions(m.Roles)}
	if m.Creator != nil {
		creator := describeActor(*m.Creator)
		d.Creator = &creator
	}
	return d
}

func describePermissions(from []manifest.Permission) []describedPermission {
	var list []describedPermission
	for _, p := range from {
		list = append(list, describedPermission{describeActor(p.Actor), p.Permissions})
	}
	return list
}

func describeActor(a manifest.Actor) describedActor {
	switch a.Kind {
	case manifest.ActorUUID:
		return describedActor{UUID: (*describedUUID)(&a.UUID)}
	case manifest.ActorName:
		return describedActor{Name: &a.Name}
	case manifest.ActorBytes:
		return describedActor{Bytes: describeBytes([]byte(a.Bytes))}
	}
	return describedActor{ID: &a.ID}
}
