// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// field is one parameter of a component: whether from has it, and to get it.
type field struct {
	key  manifest.ParameterKey
	has  func(p *manifest.Parameters) bool
	copy func(to, from *manifest.Parameters)
}

func pointer[T any](key manifest.ParameterKey, at func(p *manifest.Parameters) **T) field {
	return field{key,
		func(p *manifest.Parameters) bool { return *at(p) != nil },
		func(to, from *manifest.Parameters) { *at(to) = *at(from) }}
}

func bytesField(key manifest.ParameterKey, at func(p *manifest.Parameters) *[]byte) field {
	return field{key,
		func(p *manifest.Parameters) bool { return *at(p) != nil },
		func(to, from *manifest.Parameters) { *at(to) = *at(from) }}
}

// fields are the parameters of components, by ascending key. Strict-order and
// soft-failure are not among them: they belong to the sequence.
var fields = []field{
	{manifest.ParameterVendorID,
		func(p *manifest.Parameters) bool { return p.VendorID != nil || p.VendorPEN != nil },
		func(to, from *manifest.Parameters) { to.VendorID, to.VendorPEN = from.VendorID, from.VendorPEN }},
	pointer(manifest.ParameterClassID, func(p *manifest.Parameters) **manifest.UUID { return &p.ClassID }),
	{manifest.ParameterImageDigest,
		func(p *manifest.Parameters) bool { return p.ImageDigest != nil },
		func(to, from *manifest.Parameters) { to.ImageDigest = from.ImageDigest }},
	pointer(manifest.ParameterUseBefore, func(p *manifest.Parameters) **uint64 { return &p.UseBefore }),
	pointer(manifest.ParameterSlot, func(p *manifest.Parameters) **uint64 { return &p.Slot }),
	pointer(manifest.ParameterImageSize, func(p *manifest.Parameters) **uint64 { return &p.ImageSize }),
	bytesField(manifest.ParameterContent, func(p *manifest.Parameters) *[]byte { return &p.Content }),
	bytesField(manifest.ParameterEncryptionInfo, func(p *manifest.Parameters) *[]byte { return &p.EncryptionInfo }),
	pointer(manifest.ParameterURI, func(p *manifest.Parameters) **string { return &p.URI }),
	pointer(manifest.ParameterSourceComponent, func(p *manifest.Parameters) **uint64 { return &p.SourceComponent }),
	bytesField(manifest.ParameterInvokeArgs, func(p *manifest.Parameters) *[]byte { return &p.InvokeArgs }),
	pointer(manifest.ParameterDeviceID, func(p *manifest.Parameters) **manifest.UUID { return &p.DeviceID }),
	bytesField(manifest.ParameterFetchArguments, func(p *manifest.Parameters) *[]byte { return &p.FetchArguments }),
	pointer(manifest.ParameterMinimumBattery, func(p *manifest.Parameters) **uint64 { return &p.MinimumBattery }),
	pointer(manifest.ParameterUpdatePriority, func(p *manifest.Parameters) **int64 { return &p.UpdatePriority }),
	pointer(manifest.ParameterVersion, func(p *manifest.Parameters) **manifest.VersionMatch { return &p.Version }),
	pointer(manifest.ParameterWaitInfo, func(p *manifest.Parameters) **manifest.WaitInfo { return &p.WaitInfo }),
	pointer(manifest.ParameterComponentMetadata, func(p *manifest.Parameters) **manifest.ComponentMetadata { return &p.Metadata }),
}

// keys returns the parameters that p sets.
func keys(p *manifest.Parameters) []manifest.ParameterKey {
	var out []manifest.ParameterKey
	for _, f := range fields {
		if f.has(p) {
			out = append(out, f.key)
		}
	}
	for _, c := range p.Custom {
		out = append(out, c.Key)
	}
	if p.StrictOrder != nil {
		out = append(out, manifest.ParameterStrictOrder)
	}
	if p.SoftFailure != nil {
		out = append(out, manifest.ParameterSoftFailure)
	}
	return out
}

// ofComponent reports whether p sets a component's parameters, and not only those of a sequence.
func ofComponent(p *manifest.Parameters) bool {
	return len(p.Custom) > 0 || slices.ContainsFunc(fields, func(f field) bool { return f.has(p) })
}

// set sets parameters of component c, and with replace also those that are
// set already.
//
// draft-ietf-suit-manifest-37, sections 8.4.8 and 8.4.10.3;
// draft-ietf-suit-trust-domains-12, section 5.6.1.
func (m *machine) set(from *manifest.Parameters, c int, replace bool) {
	s := m.at(c)
	for _, f := range fields {
		if !f.has(from) || (!replace && f.has(&s.params)) {
			continue
		}
		f.copy(&s.params, from)
		if f.key == manifest.ParameterSourceComponent {
			s.source = m.u
		}
	}
	for _, custom := range from.Custom {
		setCustom(&s.params, custom, replace)
	}
}

func setCustom(p *manifest.Parameters, custom manifest.CustomParameter, replace bool) {
	for i := range p.Custom {
		if p.Custom[i].Key == custom.Key {
			if replace {
				p.Custom[i].Value = custom.Value
			}
			return
		}
	}
	p.Custom = append(p.Custom[:len(p.Custom):len(p.Custom)], custom)
}

// override sets parameters of component c and of the sequence.
func (m *machine) override(f *frame, from *manifest.Parameters, c int) {
	m.set(from, c, true)
	if from.StrictOrder != nil {
		f.setStrict(*from.StrictOrder)
	}
	if from.SoftFailure != nil {
		f.soft = *from.SoftFailure
	}
}

// overrideMultiple sets parameters of several components and selects the last
// of them.
//
// draft-ietf-suit-update-management-14, section 5.7.
func (m *machine) overrideMultiple(f *frame, cmd *manifest.Command) error {
	for i := range cmd.Overrides {
		o := &cmd.Overrides[i]
		if err := m.setIndex(f, manifest.ComponentIndex{One: o.Index}, i > 0); err != nil {
			return err
		}
		if err := m.uses(nil, m.u.targets[f.current[0]], use{target: true}); err != nil {
			return err
		}
		m.override(f, o.Parameters, f.current[0])
	}
	return nil
}

// copyParams copies parameters of other components to component c. A parameter
// that the source does not have is left as it is.
//
// draft-ietf-suit-update-management-14, section 5.8.
func (m *machine) copyParams(cmd *manifest.Command, c int) error {
	for _, from := range cmd.Copies {
		list, err := m.u.m.Resolve(manifest.ComponentIndex{One: from.Source})
		if err != nil {
			return err
		}
		source := m.at(list[0])
		for _, k := range from.Keys {
			if err := m.copyParam(k, source, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *machine) copyParam(k manifest.ParameterKey, source *componentState, c int) error {
	to := m.at(c)
	for _, f := range fields {
		if f.key != k {
			continue
		}
		if f.has(&source.params) {
			f.copy(&to.params, &source.params)
			if k == manifest.ParameterSourceComponent {
				to.source = source.source
			}
		}
		return nil
	}
	if k > manifest.MaxCustom {
		return fmt.Errorf("%w: %v is not a component's", ErrParameter, k)
	}
	for _, custom := range source.params.Custom {
		if custom.Key == k {
			setCustom(&to.params, custom, true)
		}
	}
	return nil
}
