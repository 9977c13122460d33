// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func image(content, uri string) author.Image {
	return author.Image{URI: uri, Digest: verify.Sum(verify.SHA256, []byte(content)), Size: int64(len(content))}
}

// dependency returns a small signed envelope.
func dependency(t *testing.T) []byte {
	t.Helper()
	b := author.Builder{SequenceNumber: 2}
	c := b.Component(manifest.ComponentID{[]byte("radio")})
	b.Write(manifest.SectionInstall, c, []byte("content"), nil)
	return sign(t, &b)
}

func sign(t *testing.T, b *author.Builder) []byte {
	t.Helper()
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	out, err := author.Sign(t.Context(), e, testkeys.P256(1))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// gateway is a release by every template at once.
func gateway(t *testing.T) *author.Builder {
	b := &author.Builder{SequenceNumber: 2, SetVersion: []int64{1, 2, manifest.ReleaseCandidate, 1},
		ComponentID: manifest.ComponentID{[]byte("root")}, ReferenceURI: "https://a/full.suit", CoSWID: []byte{0xa2, 0x01, 0x61, 'x', 0x00, 0x05},
		Texts:     []manifest.Text{{Language: "en", Manifest: map[manifest.TextKey]string{manifest.TextUpdateDescription: "a release"}}},
		Severable: []manifest.Section{manifest.SectionInstall, manifest.MemberText, manifest.MemberCoSWID}}
	flash, ram, config := b.Component(manifest.ComponentID{{0}}), b.Component(manifest.ComponentID{{1}}), b.Component(manifest.ComponentID{{2}})
	radio := b.Dependency(manifest.ComponentID{[]byte("radio.suit")})
	vendor := author.VendorID("example.com")
	b.Compatibility(flash, vendor, author.ClassID(vendor, "gateway"), nil)
	b.Expect(flash, image("firmware", ""))
	b.Expect(ram, image("firmware", ""))
	b.Download(manifest.SectionPayloadFetch, flash, image("firmware", "https://a/fw"), nil)
	b.Integrate(config, "#config", []byte("config"))
	b.IntegrateDependency(radio, "#radio", dependency(t))
	b.Process(radio, manifest.SectionInstall, manifest.SectionValidate)
	b.Validate(flash)
	b.Copy(manifest.SectionLoad, flash, ram, nil)
	b.Invoke(ram, []byte("quiet"))
	b.Uninstall(radio)
	return b
}

func open(t *testing.T, b []byte) *manifest.Verified {
	t.Helper()
	keys, err := verify.NewKeySet(verify.Entry{Key: testkeys.P256(1).Public()})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		t.Fatal(err)
	}
	v, err := manifest.OpenBytes(b, keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBuilderTemplates(t *testing.T) {
	b := gateway(t)
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	v := open(t, sign(t, b))
	m := v.Manifest()
	if got := m.Indices(); len(got) != 4 || got[3] != 3 {
		t.Errorf("indices %v", got)
	}
	for s, want := range map[manifest.Section]int{
		manifest.SectionShared: 11, manifest.SectionDependencyResolution: 5, manifest.SectionPayloadFetch: 4,
		manifest.SectionInstall: 7, manifest.SectionValidate: 5, manifest.SectionLoad: 4, manifest.SectionInvoke: 3, manifest.SectionUninstall: 2,
	} {
		if seq, ok := v.Section(s); !ok || len(seq) != want {
			t.Errorf("%v has %d commands, want %d: %+v", s, len(seq), want, seq)
		}
	}
	text, err := author.Describe(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := author.ParseDescription(text, nil, manifest.Options{}); err != nil {
		t.Error(err)
	}
}

// cells are a device whose components keep what they are given.
type cells map[string][]byte

type cell struct {
	in cells
	id string
}

func (c cells) Component(id manifest.ComponentID) (processor.Component, error) {
	return &cell{c, id.String()}, nil
}

func (c *cell) Fetch(_ context.Context, r processor.FetchRequest) error {
	c.in[c.id] = r.Integrated
	return nil
}

func (c *cell) Open(context.Context) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(c.in[c.id])), int64(len(c.in[c.id])), nil
}

func (c *cell) Write(_ context.Context, r processor.WriteRequest) (err error) {
	c.in[c.id], err = io.ReadAll(r.Content)
	return err
}

// What the Dependency Template makes is run by a processor that relaxes nothing of it.
func TestDependencyTemplateRuns(t *testing.T) {
	b := &author.Builder{SequenceNumber: 2}
	b.Component(manifest.ComponentID{{0}})
	radio := b.Dependency(manifest.ComponentID{{1}})
	b.IntegrateDependency(radio, "#radio", dependency(t))
	b.Process(radio, manifest.SectionInstall)
	device := cells{}
	p, err := processor.New(t.Context(), open(t, sign(t, b)), processor.Options{Platform: device, Compat: processor.CompatUnidentified,
		Dependencies: &processor.Dependencies{Open: func(b []byte) (*manifest.Verified, error) { return open(t, b), nil },
			Floor: func(context.Context, manifest.ComponentID) (uint64, error) { return 0, nil }}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), manifest.SectionDependencyResolution, manifest.SectionInstall); err != nil {
		t.Error(err)
	}
	if id := (manifest.ComponentID{[]byte("radio")}).String(); string(device[id]) != "content" {
		t.Errorf("%s holds %q", id, device[id])
	}
	b.Resolve(radio, "#radio", verify.Sum(verify.SHA256, nil), 0)
	if _, err := b.Build(); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("without a size: %v", err)
	}
}

func TestBuilderIsDeterministic(t *testing.T) {
	inner := dependency(t)
	var last []byte
	for range 5 {
		b := &author.Builder{SequenceNumber: 2, Severable: []manifest.Section{manifest.SectionInstall}}
		c, d := b.Component(manifest.ComponentID{{0}}), b.Dependency(manifest.ComponentID{{1}})
		for _, uri := range []string{"#c", "#a", "#b"} {
			b.Payload(uri, []byte(uri))
		}
		b.Integrate(c, "#image", []byte("image"))
		b.IntegrateDependency(d, "#d", inner)
		e, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && !bytes.Equal(got, last) {
			t.Fatal("the same builder gives other bytes")
		}
		last = got
	}
}

func TestBuilderRefuses(t *testing.T) {
	id := manifest.ComponentID{{0}}
	for name, test := range map[string]struct {
		build func(b *author.Builder)
		want  error
	}{
		"nothing":     {func(b *author.Builder) {}, manifest.ErrComponent},
		"last number": {func(b *author.Builder) { b.Validate(b.Component(id)); b.SequenceNumber = math.MaxUint64 }, manifest.ErrSequence},
		"zero vendor": {func(b *author.Builder) { b.Compatibility(b.Component(id), manifest.UUID{}, manifest.UUID{1}, nil) }, manifest.ErrMalformed},
		"no digest":   {func(b *author.Builder) { b.Expect(b.Component(id), author.Image{Size: 1}) }, manifest.ErrMalformed},
		"no size": {func(b *author.Builder) {
			b.Expect(b.Component(id), author.Image{Digest: verify.Sum(verify.SHA256, nil)})
		}, manifest.ErrMalformed},
		"no uri":            {func(b *author.Builder) { b.Download(manifest.SectionInstall, b.Component(id), image("a", ""), nil) }, manifest.ErrMalformed},
		"no such component": {func(b *author.Builder) { b.Copy(manifest.SectionInstall, 7, b.Component(id), nil) }, manifest.ErrComponent},
		"component twice":   {func(b *author.Builder) { b.Component(id); b.Validate(b.Component(id)) }, manifest.ErrComponent},
		"after dependency":  {func(b *author.Builder) { b.Dependency(id); b.Component(id) }, manifest.ErrComponent},
		"no section":        {func(b *author.Builder) { b.Add(99, b.Component(id), manifest.Command{Code: manifest.ConditionAbort}) }, manifest.ErrUnsupported},
		"not an envelope":   {func(b *author.Builder) { b.IntegrateDependency(b.Dependency(id), "#d", []byte("d")) }, manifest.ErrMalformed},
		"directive in shared": {func(b *author.Builder) {
			b.Add(manifest.SectionShared, b.Component(id), manifest.Command{Code: manifest.DirectiveFetch})
		}, manifest.ErrCommand},
		"unchecked dependency": {func(b *author.Builder) {
			b.Add(manifest.SectionInstall, b.Dependency(id), manifest.Command{Code: manifest.DirectiveProcessDependency})
		}, manifest.ErrCommand},
		"wrong payload": {func(b *author.Builder) {
			c := b.Component(id)
			b.Expect(c, image("a", ""))
			b.Download(manifest.SectionInstall, c, image("a", "#a"), nil)
			b.Payload("#a", []byte("b"))
		}, manifest.ErrDigest},
		"payload twice": {func(b *author.Builder) { b.Integrate(b.Component(id), "#a", []byte("a")); b.Payload("#a", []byte("a")) }, manifest.ErrMalformed},
		"unregistered":  {func(b *author.Builder) { b.Add(manifest.SectionInstall, b.Component(id), manifest.Command{Code: -256}) }, manifest.ErrUnsupported},
		"severed shared": {func(b *author.Builder) {
			b.Validate(b.Component(id))
			b.Severable = []manifest.Section{manifest.SectionShared}
		}, manifest.ErrUnsupported},
		"severed nothing": {func(b *author.Builder) {
			b.Validate(b.Component(id))
			b.Severable = []manifest.Section{manifest.SectionInstall}
		}, manifest.ErrComponent},
	} {
		b := &author.Builder{SequenceNumber: 2}
		test.build(b)
		if _, err := b.Build(); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestRevert(t *testing.T) {
	release := func(n uint64, content string) *manifest.Envelope {
		b := &author.Builder{SequenceNumber: n, ReferenceURI: "http://a/"}
		b.Integrate(b.Component(manifest.ComponentID{{0}}), "#image", []byte(content))
		e, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	old, bad := release(4, "old"), release(6, "bad")
	signed, err := author.Sign(t.Context(), old, testkeys.P256(1))
	if err != nil {
		t.Fatal(err)
	}
	u, err := manifest.InspectBytes(signed)
	if err != nil {
		t.Fatal(err)
	}
	e, err := author.Revert(u.Envelope(), bad)
	if err != nil {
		t.Fatal(err)
	}
	next, err := author.NextSequenceNumber(bad.Manifest.SequenceNumber)
	if err != nil || e.Manifest.SequenceNumber != 7 || next <= 7 {
		t.Errorf("revert has %d, the next release %d, %v", e.Manifest.SequenceNumber, next, err)
	}
	if len(e.Authentication) != 0 || string(e.Payloads[0].Data) != "old" || e.Manifest.ReferenceURI != "" {
		t.Errorf("got %+v", e)
	}
	if _, err := author.Revert(bad, old); !errors.Is(err, manifest.ErrSequence) {
		t.Errorf("the wrong way round: got %v, want ErrSequence", err)
	}
	if _, err := author.Revert(old, e); !errors.Is(err, manifest.ErrSequence) {
		t.Errorf("a revert envelope: got %v, want ErrSequence", err)
	}
	b := &author.Builder{SequenceNumber: 8}
	b.Integrate(b.Component(manifest.ComponentID{{1}}), "#image", []byte("x"))
	other, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := author.Revert(old, other); !errors.Is(err, manifest.ErrComponent) {
		t.Errorf("another component: got %v, want ErrComponent", err)
	}
	if _, err := author.NextSequenceNumber(math.MaxUint64 - 1); !errors.Is(err, manifest.ErrSequence) {
		t.Errorf("no room: got %v, want ErrSequence", err)
	}
}

// Devices keep a floor for a dependency, too: one that the release has replaced is not reverted to.
func TestRevertDependency(t *testing.T) {
	release := func(n uint64, content string) *manifest.Envelope {
		inner := author.Builder{SequenceNumber: n}
		inner.Write(manifest.SectionInstall, inner.Component(manifest.ComponentID{[]byte("radio")}), []byte(content), nil)
		b := &author.Builder{SequenceNumber: n}
		radio := b.Dependency(manifest.ComponentID{[]byte("radio.suit")})
		b.IntegrateDependency(radio, "#radio", sign(t, &inner))
		b.Process(radio, manifest.SectionInstall)
		e, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	old := release(4, "old")
	if _, err := author.Revert(old, release(6, "bad")); !errors.Is(err, manifest.ErrSequence) {
		t.Errorf("another dependency: got %v, want ErrSequence", err)
	}
	same := *old
	same.Manifest.SequenceNumber = 6
	if _, err := author.Revert(old, &same); err != nil {
		t.Error("the same dependency:", err)
	}
}

// Two people sign on their own machines; the builder puts it together.
func TestDetachedSigning(t *testing.T) {
	e, err := example3(t).Build()
	if err != nil {
		t.Fatal(err)
	}
	alice, bob, eve := testkeys.P256(1), testkeys.Ed25519(2), testkeys.P256(3)
	keys, err := verify.NewKeySet(
		verify.Entry{KID: []byte("alice"), Key: alice.Public(), Groups: []string{"release"}},
		verify.Entry{KID: []byte("bob"), Key: bob.Public(), Groups: []string{"release"}})
	if err != nil {
		t.Fatal(err)
	}
	toSign, err := author.ToSign(e)
	if err != nil {
		t.Fatal(err)
	}
	block := func(s author.Signature, over []byte) []byte {
		b, err := author.Block(t.Context(), over, s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	missing := func(want ...verify.Key) {
		t.Helper()
		got, err := author.Missing(e, keys, "release")
		if err != nil || len(got) != len(want) {
			t.Fatalf("missing %v, %v; want %v", got, err, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("missing %v, want %v", got, want)
			}
		}
	}
	missing(alice.Public(), bob.Public())
	byBob := block(author.Signature{Signer: bob, KID: []byte("bob")}, toSign)
	if err := author.Attach(e, keys, byBob, byBob); err != nil || len(e.Authentication) != 1 {
		t.Fatalf("%v, %d blocks", err, len(e.Authentication))
	}
	missing(alice.Public())
	for name, test := range map[string]struct {
		block []byte
		want  error
	}{
		"by another":          {block(author.Signature{Signer: eve}, toSign), verify.ErrSignature},
		"in another's name":   {block(author.Signature{Signer: eve, KID: []byte("alice")}, toSign), verify.ErrSignature},
		"over something else": {block(author.Signature{Signer: alice}, append(bytes.Clone(toSign[:len(toSign)-1]), 0)), verify.ErrSignature},
		"nothing":             {nil, verify.ErrMalformed},
	} {
		if err := author.Attach(e, keys, test.block); !errors.Is(err, test.want) || len(e.Authentication) != 1 {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
	if err := author.Attach(e, keys, block(author.Signature{Signer: alice}, toSign)); err != nil {
		t.Fatal(err)
	}
	missing()
}

func TestSignWithMAC(t *testing.T) {
	macer, err := verify.NewMacer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	e, err := example3(t).Build()
	if err != nil {
		t.Fatal(err)
	}
	b, err := author.SignAs(t.Context(), e, author.Signature{Macer: macer, KID: []byte("shared")})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := verify.NewKeySet(verify.Entry{KID: []byte("shared"), Key: macer.Key(), Secret: macer})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.OpenBytes(b, keys, policy); err != nil {
		t.Error(err)
	}
	for name, s := range map[string]author.Signature{
		"both":      {Macer: macer, Signer: testkeys.P256(1)},
		"neither":   {},
		"algorithm": {Macer: macer, Algorithm: cose.ES256},
	} {
		if _, err := author.SignAs(t.Context(), e, s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// One payload for a fleet: every device has a key of its own.
func TestEncryptForMany(t *testing.T) {
	var recipients []cose.Recipient
	var keys []*ecdh.PrivateKey
	for i := range 100 {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		recipients = append(recipients, cose.Recipient{KID: []byte{byte(i)}, Public: key.PublicKey()})
	}
	info, ciphertext, err := cose.Encrypt(t.Context(), cose.A128GCM, []byte("firmware"), recipients...)
	if err != nil {
		t.Fatal(err)
	}
	b := &author.Builder{SequenceNumber: 2}
	c := b.Component(manifest.ComponentID{{0}})
	b.Expect(c, image("firmware", ""))
	b.Download(manifest.SectionInstall, c, image("firmware", "#encrypted"), info)
	b.Payload("#encrypted", ciphertext)
	v := open(t, sign(t, b))
	seq, _ := v.Section(manifest.SectionInstall)
	parsed, err := cose.ParseEncryptionInfo(seq[0].Parameters.EncryptionInfo)
	if err != nil || len(parsed.Recipients()) != len(keys) {
		t.Errorf("%v", err)
	}
}
