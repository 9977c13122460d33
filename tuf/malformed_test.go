// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// update applies data to the Set as the next file of role.
func update(s *tuf.Set, role tuf.Role, data []byte, at time.Time) error {
	switch role {
	case tuf.RoleRoot:
		return s.UpdateRoot(data)
	case tuf.RoleTimestamp:
		_, err := s.UpdateTimestamp(data, at)
		return err
	case tuf.RoleSnapshot:
		return s.RestoreSnapshot(data)
	}
	return s.RestoreTargets(data)
}

var allRoles = []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets}

// covers: B3
func TestTUF_20_NotMetadata(t *testing.T) {
	for _, data := range []string{
		"", "null", "{}", "[]", "1", `"x"`, `{"signed":{}}`, `{"signatures":[]}`, `{"signed":{},"signatures":null}`,
		`{"signed":null,"signatures":[]}`, `{"signed":{},"signatures":{}}`, `{"signed":{},"signatures":[null]}`,
		`{"signed":{},"signatures":[{}]}`, `{"signed":{},"signatures":[{"keyid":1,"sig":"00"}]}`,
		`{"signed":{},"signed":{},"signatures":[]}`, `{"signed":{"a":1,"a":1},"signatures":[]}`,
		`{"signed":{"targets":{"a":null}},"signatures":[]}`,
		`{"signed":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `,"signatures":[]}`,
	} {
		for _, role := range allRoles {
			r := tuftest.New()
			s := refreshed(t, r)
			if err := update(s, role, []byte(data), r.Now); !errors.Is(err, tuf.ErrMalformed) && !errors.Is(err, tuf.ErrThreshold) {
				t.Errorf("%s %.40q: %v, want ErrMalformed", role, data, err)
			}
		}
		if _, err := tuf.OpenRoot([]byte(data)); !errors.Is(err, tuf.ErrMalformed) {
			t.Errorf("OpenRoot %.40q: %v, want ErrMalformed", data, err)
		}
	}
}

// TestTUF_20_Shape: correctly signed, but not what the specification calls the role.
//
// covers: B3, B8, B24
func TestTUF_20_Shape(t *testing.T) {
	raw := func(s string) any { return json.RawMessage(s) }
	set := func(path string, to any) func(map[string]any) {
		names := strings.Split(path, " ")
		return func(m map[string]any) {
			for _, name := range names[:len(names)-1] {
				m = m[name].(map[string]any)
			}
			if to == nil {
				delete(m, names[len(names)-1])
				return
			}
			m[names[len(names)-1]] = to
		}
	}
	type edit struct {
		name string
		do   func(map[string]any)
	}
	common := []edit{
		{"no type", set("_type", nil)}, {"other type", set("_type", "mirrors")}, {"type no string", set("_type", 1)},
		{"no spec version", set("spec_version", nil)}, {"spec 2", set("spec_version", "2.0.0")}, {"spec 10", set("spec_version", "10.0")},
		{"no version", set("version", nil)}, {"version 0", set("version", 0)}, {"version -1", set("version", -1)},
		{"version text", set("version", "1")}, {"no expiry", set("expires", nil)}, {"expiry offset", set("expires", "2030-01-01T00:00:00+00:00")},
		{"expiry fraction", set("expires", "2030-01-01T00:00:00.5Z")}, {"expiry number", set("expires", 1)}, {"expiry day 32", set("expires", "2030-01-32T00:00:00Z")},
	}
	meta := func(file string) []edit {
		at := "meta " + file
		return []edit{
			{"no meta", set("meta", nil)}, {"meta null", set("meta", raw("null"))}, {"meta empty", set("meta", raw("{}"))},
			{"entry null", set(at, raw("null"))}, {"entry empty", set(at, raw("{}"))}, {"version 0", set(at+" version", 0)},
			{"length 0", set(at+" length", 0)}, {"length -1", set(at+" length", -1)}, {"hashes null", set(at+" hashes", raw("null"))},
			{"hash no hex", set(at+" hashes sha256", "zz")}, {"hash short", set(at+" hashes sha256", "00")}, {"hash number", set(at+" hashes sha256", 1)},
		}
	}
	edits := map[tuf.Role][]edit{
		tuf.RoleTimestamp: append(meta("snapshot.json"), edit{"second file", set("meta x.json", raw(`{"version":1}`))}),
		tuf.RoleSnapshot:  append(meta("targets.json"), edit{"name no json", set("meta x", raw(`{"version":1}`))}),
		tuf.RoleTargets: {
			{"no targets", set("targets", nil)}, {"targets null", set("targets", raw("null"))}, {"target null", set("targets a", raw("null"))},
			{"no length", set("targets a", raw(`{"hashes":{}}`))}, {"length -1", set("targets a", raw(`{"hashes":{},"length":-1}`))},
			{"no hashes", set("targets a", raw(`{"length":1}`))}, {"custom no object", set("targets a", raw(`{"hashes":{},"length":1,"custom":[]}`))},
		},
		tuf.RoleRoot: {
			{"no keys", set("keys", nil)}, {"keys null", set("keys", raw("null"))}, {"key null", set("keys a", raw("null"))},
			{"no roles", set("roles", nil)}, {"role null", set("roles timestamp", raw("null"))}, {"no targets role", set("roles targets", nil)},
			{"keyids null", set("roles timestamp keyids", raw("null"))}, {"keyids of numbers", set("roles timestamp keyids", raw("[1]"))},
			{"consistent text", set("consistent_snapshot", "true")},
			{"ed25519 short", set("keys a", raw(`{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"00"}}`))},
			{"ed25519 no hex", set("keys a", raw(`{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"zz"}}`))},
			{"ed25519 small order", set("keys a", map[string]any{"keytype": "ed25519", "scheme": "ed25519", "keyval": map[string]any{"public": strings.Repeat("00", 32)}})},
			{"ed25519 no value", set("keys a", raw(`{"keytype":"ed25519","scheme":"ed25519"}`))},
			{"ecdsa no pem", set("keys a", raw(`{"keytype":"ecdsa","scheme":"ecdsa-sha2-nistp256","keyval":{"public":"x"}}`))},
			{"ecdsa with an ed25519 key", set("keys a", map[string]any{"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": map[string]any{"public": ed25519PEM()}})},
			{"scheme number", set("keys a", raw(`{"keytype":"ecdsa","scheme":1}`))},
		},
	}
	for _, role := range allRoles {
		for _, e := range slices.Concat(common, edits[role]) {
			r := tuftest.New()
			s := refreshed(t, r)
			r.Edit = func(_ tuf.Role, signed map[string]any) { e.do(signed) }
			r.Version[role]++
			if err := update(s, role, r.Build(role), r.Now); !errors.Is(err, tuf.ErrMalformed) {
				t.Errorf("%s, %s: %v, want ErrMalformed", role, e.name, err)
			}
		}
	}
}

func ed25519PEM() string {
	text, err := testkeys.Ed25519(1).Public().MarshalPEM()
	if err != nil {
		panic(err)
	}
	return string(text)
}

// A key id may sign once (section 4.2.1), even where once is enough.
func TestTUF_12_KeyIDSignsTwice(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	signed := r.Signed(tuf.RoleTimestamp)
	signed["version"] = 2
	sig := tuftest.Signature(signed, r.Keys[tuf.RoleTimestamp][0])
	_, err := s.UpdateTimestamp(tuftest.Envelope(signed, []any{sig, sig}), r.Now)
	if !errors.Is(err, tuf.ErrMalformed) || !errors.Is(err, tuf.ErrThreshold) {
		t.Errorf("got %v, want ErrMalformed and ErrThreshold", err)
	}
}

// Keys of a type that this package does not know stand beside the ones that count, and do not count.
//
// covers: B6
func TestTUF_20_UnknownKeyType(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	r.Edit = func(role tuf.Role, signed map[string]any) {
		if role != tuf.RoleRoot {
			return
		}
		signed["keys"].(map[string]any)["pq"] = map[string]any{"keytype": "ml-dsa", "scheme": "ml-dsa-65", "keyval": map[string]any{"public": "00"}}
		signed["keys"].(map[string]any)["odd"] = map[string]any{"keytype": "other", "keyval": map[string]any{}}
		role0 := signed["roles"].(map[string]any)["timestamp"].(map[string]any)
		role0["keyids"] = append(role0["keyids"].([]any), "pq", "odd", "never listed")
	}
	r.Publish(tuf.RoleRoot, tuf.RoleTimestamp)
	if err := refresh(s, r); err != nil {
		t.Errorf("threshold 1: %v", err)
	}
	r.Thresholds[tuf.RoleTimestamp] = 2
	r.Publish(tuf.RoleRoot, tuf.RoleTimestamp)
	if err := refresh(s, r); !errors.Is(err, tuf.ErrThreshold) {
		t.Errorf("threshold 2: %v, want ErrThreshold", err)
	}
}

// One good signature is enough for a threshold of one, whatever stands beside it.
func TestSignatureBesideBadOnes(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	signed := r.Signed(tuf.RoleTimestamp)
	signed["version"] = 2
	good := tuftest.Signature(signed, r.Keys[tuf.RoleTimestamp][0])
	for _, sig := range []string{"", "zz", "00", strings.Repeat("00", 64)} {
		sigs := []any{map[string]any{"keyid": "other", "sig": sig}, good}
		if _, err := s.UpdateTimestamp(tuftest.Envelope(signed, sigs), r.Now); err != nil {
			t.Errorf("beside %q: %v", sig, err)
		}
	}
}

func TestUnknownFieldsAreSigned(t *testing.T) {
	r := tuftest.New()
	r.Keys[tuf.RoleTargets] = []verify.Signer{testkeys.P256(7)}
	r.Edit = func(role tuf.Role, signed map[string]any) {
		signed["x-new"] = map[string]any{"n": json.RawMessage("9007199254740993"), "s": "ä\n"}
		if role == tuf.RoleTargets {
			signed["targets"].(map[string]any)["fw/a.suit"].(map[string]any)["custom"] = map[string]any{"note": "line\none", "n": json.RawMessage("9007199254740993")}
		}
	}
	r.Publish(tuf.RoleRoot)
	r.Publish()
	s := refreshed(t, r)
	file, err := s.Targets().Target("fw/a.suit")
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"n":9007199254740993,"note":"line\u000aone"}`; string(file.Custom) != want {
		t.Errorf("custom %s, want %s", file.Custom, want)
	}
	if err := s.UpdateRoot([]byte(strings.Replace(string(r.Root(2)), `x-new`, `x-old`, 1))); !errors.Is(err, tuf.ErrThreshold) {
		t.Errorf("unknown field changed: %v, want ErrThreshold", err)
	}
}

// A target whose only digest is of an unknown algorithm is listed and cannot be verified.
func TestTUF_21_UnknownHash(t *testing.T) {
	r := tuftest.New()
	r.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleTargets {
			signed["targets"].(map[string]any)["fw/a.suit"].(map[string]any)["hashes"] = map[string]any{"blake9": "00"}
		}
	}
	r.Publish()
	file, err := refreshed(t, r).Targets().Target("fw/a.suit")
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Verify([]byte("one")); !errors.Is(err, tuf.ErrHash) {
		t.Errorf("verify: %v, want ErrHash", err)
	}
}

// covers: B14
func TestTUF_21_Filename(t *testing.T) {
	d := func(h verify.Hash) verify.Digest { return verify.Sum(h, []byte("x")) }
	for _, c := range []struct {
		path    string
		digests []verify.Digest
		want    string
		err     error
	}{
		{"fw/v/c/stable.suit", []verify.Digest{d(verify.SHA512), d(verify.SHA256)}, "fw/v/c/2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881.stable.suit", nil},
		{"a", []verify.Digest{d(verify.SHA256)}, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881.a", nil},
		{"a", nil, "", tuf.ErrHash},
		{"../a", []verify.Digest{d(verify.SHA256)}, "", tuf.ErrPath},
	} {
		got, err := tuf.TargetFile{Path: c.path, Digests: c.digests}.Filename(true)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", c.path, got, err)
		}
	}
}

func TestPTH_01_CheckPath(t *testing.T) {
	for _, name := range []string{"", ".", "..", "/", "/a", "a/", "a//b", "a/../b", "./a", "a/./b", `a\b`, `C:\x`, "c:x", "a\x00b", "a\nb", "a\x7f", "\xff", strings.Repeat("a", tuf.MaxPath+1)} {
		if err := tuf.CheckPath(name); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("%.20q: %v, want ErrPath", name, err)
		}
	}
	for _, name := range []string{"a", "fw/a b.suit", "x/..y", "ä/#?%41", strings.Repeat("a", tuf.MaxPath)} {
		if err := tuf.CheckPath(name); err != nil {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

// FuzzSet: whatever arrives as the next file of a role, signed or not, does not panic and is not accepted unless the role's key signed it.
func FuzzSet(f *testing.F) {
	r := tuftest.New()
	r.Publish()
	for i, role := range allRoles {
		f.Add(byte(i), r.Files[r.Name(role)])
	}
	f.Fuzz(func(t *testing.T, i byte, data []byte) {
		role := allRoles[int(i)%len(allRoles)]
		s, err := tuf.NewSet(r.Root(1))
		if err != nil {
			t.Fatal(err)
		}
		if err := update(s, role, data, r.Now); err == nil {
			signed(t, r, role, data)
		}
		// The same content with a good signature reaches the parser behind it.
		var content struct{ Signed json.RawMessage }
		if json.Unmarshal(data, &content) == nil && content.Signed != nil {
			if _, err := tuf.Canonical(content.Signed); err == nil {
				_ = update(s, role, tuftest.Sign(content.Signed, r.Keys[role]...), r.Now)
			}
		}
	})
}

func signed(t *testing.T, r *tuftest.Repo, role tuf.Role, data []byte) {
	var got, want struct{ Signed json.RawMessage }
	if json.Unmarshal(data, &got) != nil || json.Unmarshal(r.Files[r.Name(role)], &want) != nil {
		t.Fatalf("accepted as %s: %q", role, data)
	}
	a, errA := tuf.Canonical(got.Signed)
	b, errB := tuf.Canonical(want.Signed)
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Fatalf("accepted as %s although nobody signed it: %q", role, data)
	}
}
