// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// indexEntry is what another program has found in a published envelope.
type indexEntry struct {
	File           string                       `json:"file"`
	Tagged         bool                         `json:"tagged_107"`
	Digest         string                       `json:"manifest_digest"`
	Sequence       uint64                       `json:"sequence_number"`
	Auth           []struct{ Valid bool }       `json:"auth"`
	Sections       map[string][]json.RawMessage `json:"sections"`
	SharedSequence []json.RawMessage            `json:"shared_sequence"`
	Integrated     map[string]indexEntry        `json:"integrated"`
}

func readVector(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := fs.ReadFile(vectors.SUIT(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func vectorIndex(tb testing.TB) []indexEntry {
	tb.Helper()
	var index []indexEntry
	if err := json.Unmarshal(readVector(tb, "index.json"), &index); err != nil || len(index) != 34 {
		tb.Fatalf("index of %d vectors, %v; want 34", len(index), err)
	}
	return index
}

// allKeys returns every key that has authenticated a vector, and a policy of one of them.
func allKeys(tb testing.TB) (*verify.KeySet, verify.Policy) {
	tb.Helper()
	p256, err := verify.ParsePublicKeyPEM(readVector(tb, "suit-p256-public.pem"))
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(readVector(tb, "encryption/fwenc-hmac256.hex"))))
	if err != nil {
		tb.Fatal(err)
	}
	macer, err := verify.NewMacer(secret)
	if err != nil {
		tb.Fatal(err)
	}
	var point struct{ X, Y string }
	if err := json.Unmarshal(readVector(tb, "encryption/fwenc-dependent-p256-private.json"), &point); err != nil {
		tb.Fatal(err)
	}
	raw, err := hex.DecodeString("04" + point.X + point.Y)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		tb.Fatal(err)
	}
	dependent, err := verify.NewKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: p256}, verify.Entry{Key: dependent}, verify.Entry{Key: macer.Key(), Secret: macer})
	if err != nil {
		tb.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		tb.Fatal(err)
	}
	return keys, policy
}

func TestM1_VectorIndex(t *testing.T) {
	keys, policy := allKeys(t)
	for _, want := range vectorIndex(t) {
		t.Run(want.File, func(t *testing.T) {
			checkIndexed(t, readVector(t, want.File), want, keys, policy)
		})
	}
}

// unchecked is the one vector that processes a dependency it has not checked.
const unchecked = "trust-domains/example2_integrated.cbor"

func checkIndexed(t *testing.T, b []byte, want indexEntry, keys *verify.KeySet, policy verify.Policy) {
	var o manifest.Options
	if want.File == unchecked {
		if _, err := o.OpenBytes(b, keys, policy); !errors.Is(err, manifest.ErrCommand) {
			t.Errorf("strict: got %v, want ErrCommand", err)
		}
		o.Compat = manifest.CompatUncheckedDependency
	}
	v, err := o.OpenBytes(b, keys, policy)
	switch {
	case len(want.Auth) == 0:
		if !errors.Is(err, verify.ErrThreshold) {
			t.Errorf("nobody signed: got %v, want ErrThreshold", err)
		}
	case !want.Auth[0].Valid:
		if !errors.Is(err, verify.ErrSignature) {
			t.Errorf("bad signature: got %v, want ErrSignature", err)
		}
	case err != nil:
		t.Fatal(err)
	case v.Digest().String() != "sha256:"+want.Digest || v.SequenceNumber() != want.Sequence:
		t.Errorf("got %v, sequence number %d; want %s, %d", v.Digest(), v.SequenceNumber(), want.Digest, want.Sequence)
	}
	u, err := o.InspectBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	e := u.Envelope()
	if again, err := e.Encode(); err != nil || !bytes.Equal(again, b) || e.Untagged == want.Tagged {
		t.Errorf("written back as\n%x, %v\nnot\n%x", again, err, b)
	}
	checkCommands(t, &e.Manifest, want)
	for key, inner := range want.Integrated {
		if inner.Digest == "" {
			continue // not an envelope
		}
		data, ok := v.IntegratedPayload(key)
		if !ok {
			t.Fatalf("no payload %s", key)
		}
		checkIndexed(t, data, inner, keys, policy)
	}
}

// checkCommands compares the commands of each section with those of the index.
func checkCommands(t *testing.T, m *manifest.Manifest, want indexEntry) {
	sections := map[string][]json.RawMessage{"shared-sequence": want.SharedSequence}
	for name, commands := range want.Sections {
		sections[name] = commands
	}
	for s := manifest.Section(0); s < 25; s++ {
		seq, _ := m.Section(s)
		var got, names []string
		for _, c := range seq {
			got = append(got, c.Code.String())
		}
		for _, raw := range sections[s.String()] {
			var pair [2]any
			if err := json.Unmarshal(raw, &pair); err != nil {
				t.Fatal(err)
			}
			name := strings.NewReplacer("dir-", "directive-", "cond-", "condition-").Replace(pair[0].(string))
			name = strings.NewReplacer("vendor-id", "vendor-identifier", "class-id", "class-identifier").Replace(name)
			names = append(names, strings.Replace(name, "identifierentifier", "identifier", 1))
		}
		if diff := cmp.Diff(names, got); diff != "" {
			t.Errorf("%v: (-index +read)\n%s", s, diff)
		}
	}
}
