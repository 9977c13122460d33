// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/verify"
)

func digest(s string) verify.Digest { return verify.Sum(verify.SHA256, []byte(s)) }

func offers() plan.Offers {
	old := plan.Old{Digest: digest("old"), Size: 271_888}
	return plan.Offers{Payloads: []plan.Payload{{
		Digest: digest("new"), Size: 272_176,
		Deltas: []plan.Delta{{From: old, URI: "payloads/a&b.delta", Size: 72_707, Digest: digest("header"), Memory: 917_504}},
		Index:  &plan.Index{URI: "payloads/x.caibx", Size: 488, Digest: digest("index"), From: []plan.Missing{{From: old, Bytes: 250_000}}},
	}, {Digest: digest("second"), Size: 1}}}
}

func TestOffersRoundTrip(t *testing.T) {
	for _, custom := range []string{"", `{}`, `{"version":"1.2","theirs":{"a":[1,2]}}`, `{"firmament-fetch":"something else"}`} {
		o := offers()
		b, err := o.Custom([]byte(custom))
		must(t, err)
		got, err := plan.Parse(b)
		if err != nil || !reflect.DeepEqual(*got, o) {
			t.Errorf("%s: %v, got %+v, want %+v", custom, err, got, o)
		}
		var all map[string]any
		must(t, json.Unmarshal(b, &all))
		if strings.Contains(custom, "theirs") && (all["theirs"] == nil || all["version"] != "1.2") {
			t.Errorf("%s: other members are gone: %s", custom, b)
		}
	}
	for _, custom := range []string{"", "{}", `{"theirs":{}}`} {
		if o, err := plan.Parse([]byte(custom)); err != nil || len(o.Payloads) > 0 {
			t.Errorf("%q: %+v, %v", custom, o, err)
		}
	}
	if _, err := (&plan.Offers{Payloads: []plan.Payload{{Digest: digest("x")}}}).Custom(nil); !errors.Is(err, plan.ErrOffers) {
		t.Errorf("offers that nobody could read: %v", err)
	}
	if _, err := (&plan.Offers{}).Custom([]byte(`{"a":1,"a":2}`)); !errors.Is(err, plan.ErrOffers) {
		t.Errorf("a custom object with a member twice: %v", err)
	}
}

// Everything but the one form is refused.
func TestOffersStrict(t *testing.T) {
	o := offers()
	b, err := o.Custom(nil)
	must(t, err)
	good := string(b)
	for _, c := range []struct{ name, old, new string }{
		{"no JSON", `{`, `[`},
		{"two values", good, good + good},
		{"bytes behind", good, good + "x"},
		{"invalid UTF-8", "a\\u0026b", "a\xffb"},
		{"another version", `"version":1`, `"version":2`},
		{"version as text", `"version":1`, `"version":"1"`},
		{"version twice", `"version":1`, `"version":1,"version":1`},
		{"member twice, spelled differently", `"version":1`, `"version":1,"versio\u006e":1`},
		{"unknown member", `"version":1`, `"version":1,"more":1`},
		{"unknown member of a delta", `"memory":`, `"more":1,"memory":`},
		{"no memory", `"memory":917504,`, ``},
		{"memory of nothing", `"memory":917504`, `"memory":0`},
		{"memory too large", `"memory":917504`, `"memory":4294967296`},
		{"fraction", `"size":72707`, `"size":72707.0`},
		{"exponent", `"size":72707`, `"size":7e4`},
		{"negative", `"size":72707`, `"size":-1`},
		{"minus nothing", `"size":271888`, `"size":-0`},
		{"too large", `"size":72707`, `"size":1099511627777`},
		{"far too large", `"size":72707`, `"size":99999999999999999999`},
		{"empty URI", `payloads/x.caibx`, ``},
		{"long URI", `payloads/x.caibx`, strings.Repeat("x", 1025)},
		{"unreadable digest", `sha256:`, `sha256:0`},
		{"another hash for a patch", `"digest":"` + digest("header").String(), `"digest":"` + verify.Sum(verify.SHA512, nil).String()},
		{"null instead of deltas", good[strings.Index(good, `"deltas":`):strings.Index(good, `"digest":"`+digest("new").String())], `"deltas":null,`},
		{"index larger than any", `"size":488`, `"size":67108865`},
		{"a payload twice", digest("second").String(), digest("new").String()},
		{"too deep", `"version":1`, `"version":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)},
		{"too long", `{`, strings.Repeat(" ", plan.MaxOffers) + `{`},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Errorf("%s: nothing changed in %s", c.name, good)
			continue
		}
		if _, err := plan.Parse([]byte(bad)); !errors.Is(err, plan.ErrOffers) {
			t.Errorf("%s: %v, want %v", c.name, err, plan.ErrOffers)
		}
	}
	o = plan.Offers{}
	for i := range 17 {
		o.Payloads = append(o.Payloads, plan.Payload{Digest: digest(string(rune('a' + i))), Size: 1})
	}
	if _, err := o.Custom(nil); !errors.Is(err, plan.ErrOffers) {
		t.Errorf("17 payloads: %v", err)
	}
}

// FuzzOffers: what Parse reads, Custom writes, and Parse reads as the same.
func FuzzOffers(f *testing.F) {
	o := offers()
	b, err := o.Custom([]byte(`{"theirs":[{"a":null}]}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"firmament-fetch":{"version":1,"payloads":[]}}`))
	f.Fuzz(func(t *testing.T, custom []byte) {
		o, err := plan.Parse(custom)
		if err != nil {
			if !errors.Is(err, plan.ErrOffers) {
				t.Errorf("%v is no %v", err, plan.ErrOffers)
			}
			return
		}
		again, err := o.Custom(nil)
		if err != nil {
			t.Fatalf("read, but not written: %v", err)
		}
		if p, err := plan.Parse(again); err != nil || !reflect.DeepEqual(p, o) {
			t.Errorf("%v, got %+v, want %+v", err, p, o)
		}
	})
}
