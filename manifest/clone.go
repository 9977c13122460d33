// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"maps"
	"slices"
)

func (m *Manifest) clone() Manifest {
	c := *m
	c.ComponentID = m.ComponentID.clone()
	c.SetVersion = slices.Clone(m.SetVersion)
	c.Components = slices.Clone(m.Components)
	for i, id := range m.Components {
		c.Components[i] = id.clone()
	}
	c.Dependencies = slices.Clone(m.Dependencies)
	for i, d := range m.Dependencies {
		c.Dependencies[i].Prefix = d.Prefix.clone()
	}
	c.Shared = m.Shared.clone()
	c.Validate = m.Validate.clone()
	c.Load = m.Load.clone()
	c.Invoke = m.Invoke.clone()
	c.Uninstall = m.Uninstall.clone()
	c.DependencyResolution = m.DependencyResolution.clone()
	c.PayloadFetch = m.PayloadFetch.clone()
	c.CandidateVerification = m.CandidateVerification.clone()
	c.Install = m.Install.clone()
	c.CoSWID = SeverableCoSWID{slices.Clone(m.CoSWID.Raw), clonePointer(m.CoSWID.Digest)}
	c.Text = SeverableText{cloneTexts(m.Text.Texts), clonePointer(m.Text.Digest)}
	return c
}

func (s SeverableSequence) clone() SeverableSequence {
	return SeverableSequence{s.Sequence.clone(), clonePointer(s.Digest)}
}

func (s Sequence) clone() Sequence {
	if s == nil {
		return nil
	}
	c := make(Sequence, len(s))
	for i, cmd := range s {
		if cmd.Index != nil {
			index := *cmd.Index
			index.List = slices.Clone(index.List)
			cmd.Index = &index
		}
		if cmd.Parameters != nil {
			cmd.Parameters = cmd.Parameters.clone()
		}
		if cmd.Sequences != nil {
			alternatives := make([]Sequence, len(cmd.Sequences))
			for k, alt := range cmd.Sequences {
				alternatives[k] = alt.clone()
			}
			cmd.Sequences = alternatives
		}
		cmd.Overrides = slices.Clone(cmd.Overrides)
		for k, o := range cmd.Overrides {
			cmd.Overrides[k].Parameters = o.Parameters.clone()
		}
		cmd.Copies = slices.Clone(cmd.Copies)
		for k, o := range cmd.Copies {
			cmd.Copies[k].Keys = slices.Clone(o.Keys)
		}
		cmd.Custom = cloneValue(cmd.Custom)
		c[i] = cmd
	}
	return c
}

func (p *Parameters) clone() *Parameters {
	c := *p
	c.VendorID = clonePointer(p.VendorID)
	c.ClassID = clonePointer(p.ClassID)
	c.ImageDigest = clonePointer(p.ImageDigest)
	c.UseBefore = clonePointer(p.UseBefore)
	c.Slot = clonePointer(p.Slot)
	c.StrictOrder = clonePointer(p.StrictOrder)
	c.SoftFailure = clonePointer(p.SoftFailure)
	c.ImageSize = clonePointer(p.ImageSize)
	c.Content = slices.Clone(p.Content)
	c.EncryptionInfo = slices.Clone(p.EncryptionInfo)
	c.URI = clonePointer(p.URI)
	c.SourceComponent = clonePointer(p.SourceComponent)
	c.InvokeArgs = slices.Clone(p.InvokeArgs)
	c.DeviceID = clonePointer(p.DeviceID)
	c.FetchArguments = slices.Clone(p.FetchArguments)
	c.MinimumBattery = clonePointer(p.MinimumBattery)
	c.UpdatePriority = clonePointer(p.UpdatePriority)
	c.Version = clonePointer(p.Version)
	if c.Version != nil {
		c.Version.Version = slices.Clone(c.Version.Version)
	}
	c.WaitInfo = p.WaitInfo.clone()
	c.Metadata = p.Metadata.clone()
	c.VendorPEN = slices.Clone(p.VendorPEN)
	c.Custom = slices.Clone(p.Custom)
	for i := range c.Custom {
		c.Custom[i].Value = cloneValue(c.Custom[i].Value)
	}
	return &c
}

func (w *WaitInfo) clone() *WaitInfo {
	if w == nil {
		return nil
	}
	c := *w
	c.Authorization = clonePointer(w.Authorization)
	c.Power = clonePointer(w.Power)
	c.Network = clonePointer(w.Network)
	c.OtherDevice = clonePointer(w.OtherDevice)
	if o := c.OtherDevice; o != nil {
		o.Device = slices.Clone(o.Device)
		o.Versions = slices.Clone(o.Versions)
		for i, v := range o.Versions {
			o.Versions[i].Version = slices.Clone(v.Version)
		}
	}
	c.Time = clonePointer(w.Time)
	c.TimeOfDay = clonePointer(w.TimeOfDay)
	c.DayOfWeek = clonePointer(w.DayOfWeek)
	c.TimeOfDayUTC = clonePointer(w.TimeOfDayUTC)
	c.DayOfWeekUTC = clonePointer(w.DayOfWeekUTC)
	return &c
}

func (m *ComponentMetadata) clone() *ComponentMetadata {
	if m == nil {
		return nil
	}
	c := *m
	c.Default = clonePointer(m.Default)
	c.Users = slices.Clone(m.Users)
	c.Groups = slices.Clone(m.Groups)
	c.Roles = slices.Clone(m.Roles)
	c.Modified = clonePointer(m.Modified)
	c.Created = clonePointer(m.Created)
	c.Creator = clonePointer(m.Creator)
	return &c
}

func (id ComponentID) clone() ComponentID {
	c := slices.Clone(id)
	for i, part := range id {
		c[i] = slices.Clone(part)
	}
	return c
}

func cloneTexts(texts []Text) []Text {
	c := slices.Clone(texts)
	for i, t := range texts {
		c[i].Manifest = maps.Clone(t.Manifest)
		c[i].Components = slices.Clone(t.Components)
		for k, component := range t.Components {
			c[i].Components[k] = ComponentText{ID: component.ID.clone(), Text: maps.Clone(component.Text)}
		}
	}
	return c
}

// cloneValue copies the one kind of Value that can be changed.
func cloneValue(v Value) Value {
	if b, ok := v.([]byte); ok {
		return slices.Clone(b)
	}
	return v
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
