// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// complete is a manifest with every member, command and parameter there is.
func complete() *manifest.Envelope {
	digest := verify.Sum(verify.SHA384, []byte("image"))
	permissions := []manifest.Permission{
		{Actor: manifest.Actor{ID: 7}, Permissions: manifest.TraverseExec},
		{Actor: manifest.Actor{ID: -7}, Permissions: manifest.ListRead},
		{Actor: manifest.Actor{Kind: manifest.ActorBytes, Bytes: "b"}, Permissions: manifest.Delete},
		{Actor: manifest.Actor{Kind: manifest.ActorName, Name: "root"}, Permissions: manifest.WriteAttrEx},
		{Actor: manifest.Actor{Kind: manifest.ActorUUID, UUID: manifest.UUID{9}}, Permissions: manifest.Sync},
	}
	all := &manifest.Parameters{
		VendorID: &manifest.UUID{1}, ClassID: &manifest.UUID{2}, ImageDigest: &digest, UseBefore: new(uint64(1 << 40)), Slot: new(uint64(1)),
		StrictOrder: new(true), ImageSize: new(uint64(5)), Content: []byte{}, EncryptionInfo: encryptionInfo, URI: new("#payload"),
		SourceComponent: new(uint64(1)), InvokeArgs: []byte("a"), DeviceID: &manifest.UUID{3}, FetchArguments: []byte("f"),
		MinimumBattery: new(uint64(100)), UpdatePriority: new(int64(-3)),
		Version: &manifest.VersionMatch{Comparison: manifest.VersionGreaterEqual, Version: []int64{1, 2, manifest.Beta, 4}},
		WaitInfo: &manifest.WaitInfo{Authorization: new(int64(-1)), Power: new(int64(1)), Network: new(int64(2)),
			OtherDevice: &manifest.OtherDevice{Device: []byte("d"), Versions: []manifest.VersionMatch{{Comparison: manifest.VersionEqual, Version: []int64{3}}}},
			Time:        new(uint64(1)), TimeOfDay: new(uint64(86399)), DayOfWeek: new(uint64(6)), TimeOfDayUTC: new(uint64(0)), DayOfWeekUTC: new(uint64(0))},
		Metadata: &manifest.ComponentMetadata{Default: new(manifest.CreateWrite), Users: permissions, Groups: permissions[:1], Roles: permissions[3:],
			FileType: manifest.FileSymlink, Modified: new(uint64(1)), Created: new(uint64(2)), Creator: &permissions[4].Actor},
		Custom: []manifest.CustomParameter{{Key: -256, Value: true}, {Key: -257, Value: "text"}},
	}
	nested := manifest.Sequence{
		{Code: manifest.DirectiveOverrideParameters, Parameters: &manifest.Parameters{SoftFailure: new(false), VendorPEN: []byte{0x82, 0x37}}},
		{Code: manifest.ConditionIsDependency},
	}
	everyCommand := manifest.Sequence{
		{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{List: []uint64{5, 0}}},
		{Code: manifest.DirectiveOverrideParameters, Parameters: all},
		{Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{URI: new("#other")}},
		{Code: manifest.DirectiveOverrideMultiple, Overrides: []manifest.Override{{0, &manifest.Parameters{Slot: new(uint64(0))}}, {5, &manifest.Parameters{URI: new("u")}}}},
		{Code: manifest.DirectiveCopyParams, Copies: []manifest.ParameterCopy{{1, []manifest.ParameterKey{21, 3, -256}}}},
		{Code: -256, Custom: []byte("b")}, {Code: -256, Custom: "t"}, {Code: -300, Custom: int64(-1)}, {Code: -300},
		{Code: manifest.DirectiveTryEach, Sequences: []manifest.Sequence{nested, nested}, Nil: true},
		{Code: manifest.DirectiveRunSequence, Sequences: []manifest.Sequence{nested}},
	}
	for _, code := range []manifest.Code{1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 18, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 33} {
		everyCommand = append(everyCommand, manifest.Command{Code: code, Policy: 15})
	}
	short := manifest.Sequence{{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{All: true}}, {Code: manifest.ConditionImageMatch}}
	m := manifest.Manifest{
		SequenceNumber: 1 << 50, ReferenceURI: "http://a/b", ComponentID: manifest.ComponentID{[]byte("root")}, SetVersion: []int64{1, 0, manifest.Alpha},
		Components:   []manifest.ComponentID{{{0}}, {{1}, {}}},
		Dependencies: []manifest.Dependency{{Index: 1}, {Index: 5, Prefix: manifest.ComponentID{[]byte("d")}}},
		Shared:       short, Validate: short, Load: short, Invoke: short, Uninstall: short,
		DependencyResolution: manifest.SeverableSequence{Sequence: short}, PayloadFetch: manifest.SeverableSequence{Sequence: short},
		CandidateVerification: manifest.SeverableSequence{Sequence: short}, Install: manifest.SeverableSequence{Sequence: everyCommand},
		CoSWID: manifest.SeverableCoSWID{Raw: dict(num(1), tstr("unsorted"), num(0), dict(num(5), num(0), num(1), num(0)))},
		Text: manifest.SeverableText{Texts: []manifest.Text{
			{Language: "en", Manifest: map[manifest.TextKey]string{1: "a\nb", 4: "yaml"}, Components: []manifest.ComponentText{
				{ID: manifest.ComponentID{{0}}, Text: map[manifest.ComponentTextKey]string{1: "vendor", 8: "1.0 α"}},
				{ID: manifest.ComponentID{{0}, {1}}},
			}},
			{Language: "de-AT"},
		}},
	}
	return &manifest.Envelope{Manifest: m, Options: everything, Untagged: true, Payloads: []manifest.Payload{{Key: "#unnamed", Data: []byte("x")}}}
}

// encryptionInfo has the outer form of a COSE_Encrypt_Tagged with a header map that is not sorted.
var encryptionInfo = tag(96, arr(bstr(dict(num(1), num(1))), dict(num(5), bstr(make([]byte, 12))), []byte{0xf6},
	arr(arr(bstr(), dict(num(-1), dict(num(1), num(2), num(-1), num(1)), num(4), bstr([]byte("kid"))), bstr(make([]byte, 24))))))

func TestCompleteModel(t *testing.T) {
	members := []manifest.Section{15, 16, 18, 20, manifest.MemberCoSWID, manifest.MemberText}
	for name, severable := range map[string][]manifest.Section{"in the manifest": nil, "severable": members} {
		t.Run(name, func(t *testing.T) {
			e := complete()
			check(t, e.Manifest.MakeSeverable(verify.SHA512, severable...))
			b, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			u, err := everything.InspectBytes(b)
			if err != nil {
				t.Fatal(err)
			}
			got := u.Envelope()
			for i := range got.Manifest.Install.Sequence {
				clearOffsets(got.Manifest.Install.Sequence[i : i+1])
			}
			want := complete().Manifest.Install.Sequence
			if diff := cmp.Diff(want, got.Manifest.Install.Sequence, cmp.Comparer(sameDigest)); diff != "" {
				t.Errorf("install (-written +read)\n%s", diff)
			}
			if diff := cmp.Diff(complete().Manifest.Text.Texts[0], got.Manifest.Text.Texts[0]); diff != "" {
				t.Errorf("text (-written +read)\n%s", diff)
			}
			if again, err := got.Encode(); err != nil || !bytes.Equal(again, b) {
				t.Errorf("written back as\n%x, %v\nnot\n%x", again, err, b)
			}
			// No single byte of it is needless: every mutation reads differently or not at all.
			readable := 0
			for i := range b {
				for _, flip := range []byte{0x01, 0x20, 0x80} {
					mutant := bytes.Clone(b)
					mutant[i] ^= flip
					mutant = mend(mutant)
					u, err := everything.InspectBytes(mutant)
					if err != nil {
						continue
					}
					readable++
					if again, err := u.Envelope().Encode(); err != nil || !bytes.Equal(again, mutant) {
						t.Fatalf("byte %d ^ %#x: read, but written back differently: %v", i, flip, err)
					}
				}
			}
			if readable == 0 {
				t.Error("no mutant could be read: this has tested nothing")
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func clearOffsets(seq manifest.Sequence) {
	for i := range seq {
		seq[i].Offset = 0
		for _, nested := range seq[i].Sequences {
			clearOffsets(nested)
		}
	}
}

// The copies that a Verified gives out have no memory in common with it.
func TestCompleteModelIsCopied(t *testing.T) {
	u, err := everything.InspectBytes(mustEncode(t, complete()))
	check(t, err)
	first := u.Envelope()
	p := first.Manifest.Install.Sequence[1].Parameters
	p.Metadata.Users[0].Permissions, p.WaitInfo.OtherDevice.Device[0], p.Version.Version[0] = 0, 0, 9
	*p.WaitInfo.Power, *p.Metadata.Creator, *p.UpdatePriority = 9, manifest.Actor{}, 9
	p.EncryptionInfo[5]++
	c := first.Manifest.Install.Sequence
	*c[3].Overrides[0].Parameters.Slot, c[4].Copies[0].Keys[0], c[5].Custom.([]byte)[0] = 9, 1, 0
	first.Manifest.Dependencies[1].Prefix[0][0], first.Manifest.ComponentID[0][0], first.Manifest.SetVersion[0] = 0, 0, 9
	first.Manifest.Text.Texts[0].Manifest[1], first.Manifest.Text.Texts[0].Components[0].Text[1] = "", ""
	first.Manifest.CoSWID.Raw[0] = 0
	if b := mustEncode(t, u.Envelope()); !bytes.Equal(b, mustEncode(t, complete())) {
		t.Error("changing a copy has changed the original")
	}
}

func mustEncode(t *testing.T, e *manifest.Envelope) []byte {
	t.Helper()
	b, err := e.Encode()
	check(t, err)
	return b
}

// Each of these is refused although it is one small step from what is accepted.
func TestCBR_10_ParameterValues(t *testing.T) {
	wrap := func(key int64, content ...[]byte) func(p *parts) {
		return func(p *parts) { p.shared = params(num(key), bstr(content...)) }
	}
	metadata := func(content ...[]byte) func(p *parts) { return wrap(30, dict(content...)) }
	five := arr(num(1), num(2), num(3), num(4), num(5))
	checkParts(t, map[string]partsTest{
		"pen empty":           {func(p *parts) { p.shared = params(num(1), tag(112, bstr())) }, manifest.ErrMalformed},
		"pen unfinished":      {func(p *parts) { p.shared = params(num(1), tag(112, bstr([]byte{0x81}))) }, manifest.ErrMalformed},
		"pen with padding":    {func(p *parts) { p.shared = params(num(1), tag(112, bstr([]byte{0x80, 1}))) }, manifest.ErrMalformed},
		"pen of another tag":  {func(p *parts) { p.shared = params(num(1), tag(111, bstr([]byte{1}))) }, manifest.ErrMalformed},
		"use before negative": {func(p *parts) { p.shared = params(num(4), num(-1)) }, manifest.ErrMalformed},
		"source unknown":      {func(p *parts) { p.shared = params(num(22), num(1)) }, manifest.ErrComponent},
		"battery negative":    {func(p *parts) { p.shared = params(num(26), num(-1)) }, manifest.ErrMalformed},
		"info untagged":       {wrap(19, encryptionInfo[2:]), manifest.ErrMalformed},
		"info encrypt0":       {wrap(19, tag(16, encryptionInfo[2:])), manifest.ErrMalformed},
		"info repeats a key":  {wrap(19, tag(96, dict(num(4), num(0), num(1), num(0), num(4), num(0)))), manifest.ErrMalformed},
		"info trailing":       {wrap(19, encryptionInfo, num(0)), manifest.ErrMalformed},
		"info long":           {wrap(19, tag(96, bstr(make([]byte, manifest.MaxEncryptionInfo)))), manifest.ErrLimit},
		"version empty":       {wrap(28, arr(num(1), arr())), manifest.ErrMalformed},
		"version of three":    {wrap(28, arr(num(1), arr(num(1)), num(0))), manifest.ErrMalformed},
		"comparison 0":        {wrap(28, arr(num(0), arr(num(1)))), manifest.ErrUnsupported},
		"comparison 6":        {wrap(28, arr(num(6), arr(num(1)))), manifest.ErrUnsupported},
		"version -1 first":    {wrap(28, arr(num(1), arr(num(-1)))), manifest.ErrMalformed},
		"version -4":          {wrap(28, arr(num(1), arr(num(1), num(-4)))), manifest.ErrMalformed},
		"two pre-releases":    {wrap(28, arr(num(1), arr(num(1), num(-1), num(-1)))), manifest.ErrMalformed},
		"REG-22 version long": {wrap(28, arr(num(1), arr(slices.Repeat([][]byte{num(1)}, 17)...))), manifest.ErrLimit},
		"version trailing":    {wrap(28, arr(num(1), arr(num(1))), num(0)), manifest.ErrMalformed},
		"wait for nothing":    {wrap(29, dict()), manifest.ErrMalformed},
		"wait event 10":       {wrap(29, dict(num(10), num(0))), manifest.ErrUnsupported},
		"time of day":         {wrap(29, dict(num(6), num(86400))), manifest.ErrMalformed},
		"day of week":         {wrap(29, dict(num(9), num(7))), manifest.ErrMalformed},
		"other device bare":   {wrap(29, dict(num(4), arr(bstr()))), manifest.ErrMalformed},
		"other device any":    {wrap(29, dict(num(4), arr(bstr(), arr()))), manifest.ErrMalformed},
		"metadata 9":          {metadata(num(9), num(0)), manifest.ErrUnsupported},
		"permission bit 14":   {metadata(num(1), num(1<<14)), manifest.ErrUnsupported},
		"file type 0":         {metadata(num(5), num(0)), manifest.ErrUnsupported},
		"file type 4":         {metadata(num(5), num(4)), manifest.ErrUnsupported},
		"time untagged":       {metadata(num(6), num(0)), manifest.ErrMalformed},
		"time of tag 0":       {metadata(num(6), tag(0, num(0))), manifest.ErrMalformed},
		"nobody":              {metadata(num(2), dict()), manifest.ErrMalformed},
		"actor is an array":   {metadata(num(8), five), manifest.ErrMalformed},
		"actor of tag 36":     {metadata(num(8), tag(36, bstr(make([]byte, 16)))), manifest.ErrMalformed},
		"actor short uuid":    {metadata(num(8), tag(37, bstr(make([]byte, 15)))), manifest.ErrMalformed},
		"actor with escape":   {metadata(num(8), tstr("a\x1b[2J")), manifest.ErrMalformed},
		"actor twice":         {metadata(num(2), dict(num(1), num(0), num(1), num(0))), manifest.ErrMalformed},
		"REG-29 actor tagged": {metadata(num(2), dict(tag(37, bstr(make([]byte, 16))), num(0), tag(37, bstr(make([]byte, 16))), num(0))), manifest.ErrMalformed},
	})
}

func TestCBR_10_CommandArguments(t *testing.T) {
	command := func(code int64, argument []byte) func(p *parts) {
		return func(p *parts) { p.validate = arr(num(code), argument) }
	}
	slot := dict(num(5), num(0))
	checkParts(t, map[string]partsTest{
		"override nothing":        {command(34, dict()), manifest.ErrMalformed},
		"override no parameters":  {command(34, dict(num(0), dict())), manifest.ErrMalformed},
		"override no component":   {command(34, dict(num(1), slot)), manifest.ErrComponent},
		"override twice":          {command(34, dict(num(0), slot, num(0), slot)), manifest.ErrMalformed},
		"override soft":           {command(34, dict(num(0), dict(num(13), []byte{0xf5}))), manifest.ErrCommand},
		"copy nothing":            {command(35, dict()), manifest.ErrMalformed},
		"copy no keys":            {command(35, dict(num(0), arr())), manifest.ErrMalformed},
		"copy a key twice":        {command(35, dict(num(0), arr(num(3), num(3)))), manifest.ErrMalformed},
		"copy an unknown key":     {command(35, dict(num(0), arr(num(6)))), manifest.ErrUnsupported},
		"copy a scope":            {command(35, dict(num(0), arr(num(12)))), manifest.ErrCommand},
		"copy from no component":  {command(35, dict(num(1), arr(num(3)))), manifest.ErrComponent},
		"set soft":                {command(19, dict(num(13), []byte{0xf5})), manifest.ErrCommand},
		"fetch in shared":         {func(p *parts) { p.shared = arr(num(21), num(0)) }, manifest.ErrCommand},
		"copy-params in shared":   {func(p *parts) { p.shared = arr(num(35), dict(num(0), arr(num(3)))) }, manifest.ErrCommand},
		"process in shared":       {func(p *parts) { p.shared = arr(num(11), num(0)) }, manifest.ErrCommand},
		"write in shared, nested": {func(p *parts) { p.shared = arr(num(32), bstr(arr(num(18), num(0)))) }, manifest.ErrCommand},
	})
	if _, err := openOwn(t, seal(t, parts{components: goodParts().components, shared: params(num(5), num(0)), validate: arr(num(19), slot)}.manifest())); err != nil {
		t.Errorf("set-parameters: %v", err)
	}
}

func TestCustomNumbers(t *testing.T) {
	o := manifest.Options{Registry: manifest.Registry{
		Commands:   []manifest.CustomCommand{{Code: -256, Condition: true}, {Code: -255}, {Code: 100}},
		Parameters: []manifest.ParameterKey{-256, -255, 99},
	}}
	inspect := func(p parts) error { _, err := o.InspectBytes(seal(t, p.manifest())); return err }
	with := func(code int64, argument []byte) parts {
		p := goodParts()
		p.validate = arr(num(code), argument)
		return p
	}
	for name, argument := range map[string][]byte{"bytes": bstr(), "text": tstr("a"), "int": num(-9), "nil": {0xf6}} {
		if err := inspect(with(-256, argument)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	shared := goodParts()
	shared.shared = arr(num(-256), num(0))
	parameter := func(key int64, v []byte) parts { p := goodParts(); p.shared = params(num(key), v); return p }
	if err := inspect(parameter(-256, []byte{0xf5})); err != nil {
		t.Errorf("parameter: %v", err)
	}
	for name, test := range map[string]struct {
		p    parts
		want error
	}{
		"bool":                 {with(-256, []byte{0xf5}), manifest.ErrMalformed},
		"array":                {with(-256, arr()), manifest.ErrMalformed},
		"reserved, registered": {with(-255, num(0)), manifest.ErrUnsupported},
		"positive, registered": {with(100, num(0)), manifest.ErrUnsupported},
		"not registered":       {with(-257, num(0)), manifest.ErrUnsupported},
		"in shared":            {shared, manifest.ErrCommand},
		"parameter nil":        {parameter(-256, []byte{0xf6}), manifest.ErrMalformed},
		"parameter reserved":   {parameter(-255, num(0)), manifest.ErrUnsupported},
		"parameter positive":   {parameter(99, num(0)), manifest.ErrUnsupported},
		"parameter other":      {parameter(-257, num(0)), manifest.ErrUnsupported},
	} {
		if err := inspect(test.p); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestVersionMatch(t *testing.T) {
	const rc = manifest.ReleaseCandidate
	for _, test := range []struct {
		comparison manifest.Comparison
		want, seen []int64
		matches    bool
	}{
		{manifest.VersionEqual, []int64{1}, []int64{1, 9, 9}, true},
		{manifest.VersionEqual, []int64{1, 2}, []int64{1}, false},
		{manifest.VersionEqual, []int64{1, 0}, []int64{1}, true},
		{manifest.VersionGreater, []int64{2, 0, rc}, []int64{2, 0, 0}, true},
		{manifest.VersionLesser, []int64{2, 0, 0}, []int64{2, 0, rc, 1}, true},
		{manifest.VersionLesser, []int64{2, 0, rc}, []int64{2, 0, manifest.Beta}, true},
		{manifest.VersionLesser, []int64{2, 0, manifest.Beta}, []int64{2, 0, manifest.Alpha}, true},
		{manifest.VersionGreater, []int64{1, 9}, []int64{2, 0, rc}, true},
		{manifest.VersionGreaterEqual, []int64{1, 0}, []int64{1, 0, 5}, true},
		{manifest.VersionLesser, []int64{1, 10}, []int64{1, 9, 9}, true},
		{manifest.VersionLesserEqual, []int64{1, 10}, []int64{1, 10, 1}, true},
		{manifest.VersionGreater, []int64{1}, []int64{1, 1}, false},
		{0, []int64{1}, []int64{1}, false},
	} {
		v := manifest.VersionMatch{Comparison: test.comparison, Version: test.want}
		if got := v.Matches(test.seen); got != test.matches {
			t.Errorf("%v matches %v: got %t, want %t", v, test.seen, got, test.matches)
		}
	}
}

// Encode does not drop an argument that belongs to another command.
func TestEncodeRefusesStrayNewArguments(t *testing.T) {
	p := &manifest.Parameters{Slot: new(uint64(0))}
	for name, c := range map[string]manifest.Command{
		"custom value":      {Code: manifest.DirectiveFetch, Custom: int64(1)},
		"overrides":         {Code: manifest.DirectiveFetch, Overrides: []manifest.Override{{0, p}}},
		"copies":            {Code: manifest.DirectiveFetch, Copies: []manifest.ParameterCopy{{0, nil}}},
		"policy":            {Code: -256, Policy: 1},
		"parameters":        {Code: manifest.DirectiveOverrideMultiple, Parameters: p},
		"nil override":      {Code: manifest.DirectiveOverrideMultiple, Overrides: []manifest.Override{{0, nil}}},
		"positive custom":   {Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{Custom: []manifest.CustomParameter{{Key: 5, Value: int64(1)}}}},
		"nothing to select": {Code: manifest.DirectiveSetComponentIndex},
	} {
		e := &manifest.Envelope{Options: everything, Manifest: manifest.Manifest{
			Components: []manifest.ComponentID{{{0}}}, Validate: manifest.Sequence{c}}}
		if _, err := e.Encode(); !errors.Is(err, manifest.ErrCommand) {
			t.Errorf("%s: got %v, want ErrCommand", name, err)
		}
	}
}
