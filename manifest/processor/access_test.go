// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// owned is a root manifest of the owner, for components 0 to 2, and a dependency of an application, kept in component 4.
type owned struct {
	t    *testing.T
	keys *verify.KeySet
	s    *store
	acl  processor.ACL
}

func newOwned(t *testing.T, grants ...processor.Grant) *owned {
	keys, err := verify.NewKeySet(verify.Entry{Key: signer.Public(), Groups: []string{"owner"}}, verify.Entry{Key: testkeys.Ed25519(2).Public(), Groups: []string{"app"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range grants {
		grants[i].Group = "app"
	}
	return &owned{t, keys, newStore(map[string]string{"00": "zero", "01": "one", "02": "two", "03": "secret", "04": ""}),
		append(processor.ACL{{Group: "owner"}}, grants...)}
}

// run processes the dependency, for components 0 and 3, and goes on with after in the root.
func (o *owned) run(dependency seq, after ...manifest.Command) error {
	child := manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{componentID(0), componentID(3)}}
	child.Install.Sequence = dependency
	b, d, err := signBy(o.t, testkeys.Ed25519(2), child)
	if err != nil {
		o.t.Fatal(err)
	}
	o.s.cells["04"].content = b
	root := release(3, shared(index(3), params(manifest.Parameters{ImageDigest: &d})), append(seq{index(3), integrity, process}, after...), nil)
	root.Components = append(root.Components, componentID(4))
	root.Dependencies = []manifest.Dependency{{Index: 3}}
	e, err := sign(o.t, manifest.Options{}, root)
	if err != nil {
		o.t.Fatal(err)
	}
	v, err := manifest.OpenBytes(e, o.keys, one(o.t))
	if err != nil {
		o.t.Fatal(err)
	}
	return startWith(o.t, v, processor.Options{Platform: o.s, Identity: identity, Access: o.acl, Dependencies: &processor.Dependencies{Floor: noFloor,
		Open: func(b []byte) (*manifest.Verified, error) { return manifest.OpenBytes(b, o.keys, one(o.t)) }}}, manifest.SectionInstall)
}

// A dependency cannot have its dependent read or change what it may not read or change itself.
func TestCMD_06_SourceOfADependency(t *testing.T) {
	setSource := func(i uint64) manifest.Command {
		return manifest.Command{Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{SourceComponent: &i}}
	}
	for _, tt := range []struct {
		name      string
		grant     processor.Grant
		directive manifest.Command
		want      error
	}{
		{"copy", processor.Grant{Prefix: componentID(0)}, copyc, verify.ErrPolicy},
		{"copy from what it may read", processor.Grant{Prefix: componentID(3), Source: true}, copyc, nil},
		{"swap", processor.Grant{Prefix: componentID(0)}, swap, verify.ErrPolicy},
		{"swap with what it may read", processor.Grant{Prefix: componentID(3), Source: true}, swap, verify.ErrPolicy},
		{"swap with what it may swap", processor.Grant{Prefix: componentID(3), Commands: []manifest.Code{manifest.DirectiveSwap}}, swap, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOwned(t, processor.Grant{Prefix: componentID(0)}, tt.grant)
			// The root's own source is component 2; set-parameters leaves what the dependency has set.
			err := o.run(seq{index(0), from(1)}, index(0), of("secret"), setSource(2), tt.directive)
			if tt.want != nil {
				o.s.refused(t, err, tt.want)
			} else if err != nil || string(o.s.cells["00"].content) != "secret" {
				t.Errorf("got %v, component 0 holds %q", err, o.s.cells["00"].content)
			}
		})
	}
}

// Parameters of a component that others have set are copied by who may read it.
func TestCMD_06_CopiedParameters(t *testing.T) {
	uri := []manifest.ParameterKey{manifest.ParameterURI}
	for name, tt := range map[string]struct {
		grant processor.Grant
		want  error
	}{
		"no right on it":    {processor.Grant{Prefix: componentID(0)}, verify.ErrPolicy},
		"another parameter": {processor.Grant{Prefix: componentID(3), Source: true, Parameters: uri}, verify.ErrPolicy},
		"it may be read":    {processor.Grant{Prefix: componentID(3), Source: true}, nil},
		"all rights on it":  {processor.Grant{Prefix: componentID(3)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOwned(t, processor.Grant{Prefix: componentID(0)}, tt.grant)
			err := o.run(seq{index(0), {Code: manifest.DirectiveCopyParams, Copies: []manifest.ParameterCopy{{Source: 1, Keys: []manifest.ParameterKey{manifest.ParameterContent}}}}})
			if tt.want != nil {
				o.s.refused(t, err, tt.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
