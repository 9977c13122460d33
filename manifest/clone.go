// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "slices"

func (m *Manifest) clone() Manifest {
	c := *m
	c.Components = make([]ComponentID, len(m.Components))
	for i, id := range m.Components {
		c.Components[i] = make(ComponentID, len(id))
		for k, part := range id {
			c.Components[i][k] = slices.Clone(part)
		}
	}
	c.Shared = m.Shared.clone()
	c.Validate = m.Validate.clone()
	c.Load = m.Load.clone()
	c.Invoke = m.Invoke.clone()
	c.PayloadFetch.Sequence = m.PayloadFetch.Sequence.clone()
	c.Install.Sequence = m.Install.Sequence.clone()
	c.Text.Raw = slices.Clone(m.Text.Raw)
	return c
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
		c[i] = cmd
	}
	return c
}

func (p *Parameters) clone() *Parameters {
	return &Parameters{
		VendorID:       clonePointer(p.VendorID),
		ClassID:        clonePointer(p.ClassID),
		ImageDigest:    clonePointer(p.ImageDigest),
		Slot:           clonePointer(p.Slot),
		StrictOrder:    clonePointer(p.StrictOrder),
		SoftFailure:    clonePointer(p.SoftFailure),
		ImageSize:      clonePointer(p.ImageSize),
		URI:            clonePointer(p.URI),
		InvokeArgs:     slices.Clone(p.InvokeArgs),
		DeviceID:       clonePointer(p.DeviceID),
		FetchArguments: slices.Clone(p.FetchArguments),
	}
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
