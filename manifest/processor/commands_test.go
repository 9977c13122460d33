// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

func of(text string) manifest.Command {
	return override(manifest.Parameters{ImageDigest: digest(text), ImageSize: new(uint64(len(text)))})
}

func params(p manifest.Parameters) manifest.Command { return override(p) }

func from(i uint64) manifest.Command { return override(manifest.Parameters{SourceComponent: &i}) }

// con sets the content that write and check-content take.
func con(text string) manifest.Command { return params(manifest.Parameters{Content: []byte(text)}) }

var (
	write = command(manifest.DirectiveWrite)
	copyc = command(manifest.DirectiveCopy)
	swap  = command(manifest.DirectiveSwap)
)

func runStore(tb testing.TB, s *store, install seq, o processor.Options) error {
	tb.Helper()
	n := len(s.cells)
	v, err := tryOpen(tb, release(n, shared(), append(seq{index(0)}, install...), nil))
	if err != nil {
		tb.Fatal(err)
	}
	o.Platform, o.Identity = s, identity
	return startWith(tb, v, o, manifest.SectionInstall)
}

// Each command, with what it leaves behind or why it fails.
func TestCommands(t *testing.T) {
	v1 := manifest.VersionMatch{Comparison: manifest.VersionGreaterEqual, Version: []int64{1, 2}}
	for _, tt := range []struct {
		name    string
		install seq
		want    string // content of component 0
		err     error
	}{
		{"write", seq{params(manifest.Parameters{Content: []byte("new")}), write}, "new", nil},
		{"write nothing given", seq{write}, "zero", processor.ErrParameter},
		{"copy by digest", seq{of("one"), from(1), copyc}, "one", nil},
		{"copy other digest", seq{of("two"), from(1), copyc}, "zero", manifest.ErrDigest},
		{"copy matched source", seq{index(1), of("one"), imageMatch, index(0), from(1), copyc}, "one", nil},
		{"copy unknown source", seq{from(1), copyc}, "zero", processor.ErrParameter},
		{"copy without source", seq{of("one"), copyc}, "zero", processor.ErrParameter},
		{"copy from itself", seq{of("zero"), from(0), copyc}, "zero", manifest.ErrCommand},
		{"swap", seq{from(1), swap}, "one", nil},
		{"swap twice", seq{from(1), swap, swap}, "zero", nil},
		{"check-content", seq{params(manifest.Parameters{Content: []byte("zero")}), command(manifest.ConditionCheckContent)}, "zero", nil},
		{"check-content other", seq{params(manifest.Parameters{Content: []byte("zerO")}), command(manifest.ConditionCheckContent)}, "zero", manifest.ErrCondition},
		{"check-content shorter", seq{params(manifest.Parameters{Content: []byte("zer")}), command(manifest.ConditionCheckContent)}, "zero", manifest.ErrCondition},
		{"image-not-match", seq{of("one"), command(manifest.ConditionImageNotMatch)}, "zero", nil},
		{"image-not-match does", seq{of("zero"), command(manifest.ConditionImageNotMatch)}, "zero", manifest.ErrCondition},
		{"image-not-match no digest", seq{command(manifest.ConditionImageNotMatch)}, "zero", manifest.ErrCondition},
		{"version", seq{params(manifest.Parameters{Version: &v1}), command(manifest.ConditionVersion)}, "zero", nil},
		{"version too low", seq{index(1), params(manifest.Parameters{Version: &v1}), command(manifest.ConditionVersion)}, "zero", manifest.ErrCondition},
		{"use-before", seq{params(manifest.Parameters{UseBefore: new(uint64(1001))}), command(manifest.ConditionUseBefore)}, "zero", nil},
		{"use-before over", seq{params(manifest.Parameters{UseBefore: new(uint64(1000))}), command(manifest.ConditionUseBefore)}, "zero", manifest.ErrCondition},
		{"use-before 64 bits", seq{params(manifest.Parameters{UseBefore: new(uint64(1<<63 + 5))}), command(manifest.ConditionUseBefore)}, "zero", nil},
		{"battery", seq{params(manifest.Parameters{MinimumBattery: new(uint64(50))}), command(manifest.ConditionMinimumBattery)}, "zero", nil},
		{"battery low", seq{params(manifest.Parameters{MinimumBattery: new(uint64(51))}), command(manifest.ConditionMinimumBattery)}, "zero", manifest.ErrCondition},
		{"authorized", seq{params(manifest.Parameters{UpdatePriority: new(int64(-3))}), command(manifest.ConditionUpdateAuthorized)}, "zero", nil},
		{"not authorized", seq{params(manifest.Parameters{UpdatePriority: new(int64(6))}), command(manifest.ConditionUpdateAuthorized)}, "zero", manifest.ErrCondition},
		{"wait", seq{params(manifest.Parameters{WaitInfo: &manifest.WaitInfo{Time: new(uint64(9))}}), command(manifest.DirectiveWait)}, "zero", nil},
		{"wait local time", seq{params(manifest.Parameters{WaitInfo: &manifest.WaitInfo{TimeOfDay: new(uint64(9))}}), command(manifest.DirectiveWait)}, "zero", manifest.ErrUnsupported},
		{"set does not replace", seq{params(manifest.Parameters{Content: []byte("a")}),
			{Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{Content: []byte("b")}}, write}, "a", nil},
		{"set where unset", seq{{Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{Content: []byte("b")}}, write}, "b", nil},
		{"override-multiple selects the last", seq{index(1), {Code: manifest.DirectiveOverrideMultiple, Overrides: []manifest.Override{
			{Index: 0, Parameters: &manifest.Parameters{Content: []byte("m")}},
			{Index: 1, Parameters: &manifest.Parameters{Content: []byte("n")}}}}, write, index(0), write}, "m", nil},
		{"copy-params", seq{index(1), params(manifest.Parameters{Content: []byte("p"), URI: new("u")}), index(0),
			{Code: manifest.DirectiveCopyParams, Copies: []manifest.ParameterCopy{{Source: 1, Keys: []manifest.ParameterKey{manifest.ParameterContent, manifest.ParameterURI}}}}, write}, "p", nil},
		{"is-dependency", seq{command(manifest.ConditionIsDependency)}, "zero", manifest.ErrCondition},
		{"unlinked by condition", seq{tryOrNil(seq{abort, write}, seq{abort})}, "zero", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one"})
			s.battery = 50
			s.cells["00"].version, s.cells["01"].version = []int64{1, 2, 3}, []int64{1, 1, 9}
			err := runStore(t, s, tt.install, processor.Options{})
			if !errors.Is(err, tt.err) || string(s.cells["00"].content) != tt.want {
				t.Errorf("got %v, %q; want %v, %q", err, s.cells["00"].content, tt.err, tt.want)
			}
		})
	}
}

// In use means not to be written; unlinking counts once.
func TestUnlink(t *testing.T) {
	s := newStore(map[string]string{"00": "zero"})
	s.cells["00"].refs, s.cells["00"].linked = 1, true
	put := seq{params(manifest.Parameters{Content: []byte("new")}), write}
	s.refused(t, runStore(t, s, put, processor.Options{}), manifest.ErrComponent)
	s.refused(t, runStore(t, s, append(seq{unlink}, put...), processor.Options{}), manifest.ErrComponent) // the other one still does
	s.cells["00"].refs = 0
	if err := runStore(t, s, append(seq{unlink, unlink}, put...), processor.Options{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"unlink 00", "write 00"}, s.log); diff != "" {
		t.Error(diff)
	}
}

// Who has signed must be allowed to, before anything is done.
func TestCMD_12_Access(t *testing.T) {
	put := seq{params(manifest.Parameters{Content: []byte("new")}), write}
	copyTo0 := seq{of("one"), from(1), copyc}
	swapTo0 := seq{from(1), swap}
	keysOf := []manifest.ParameterKey{manifest.ParameterContent, manifest.ParameterVendorID, manifest.ParameterClassID}
	for _, tt := range []struct {
		name    string
		acl     processor.ACL
		install seq
		want    error
	}{
		{"everything", processor.ACL{{}}, put, nil},
		{"nothing", processor.ACL{}, put, verify.ErrPolicy},
		{"another group", processor.ACL{{Group: "others"}}, put, verify.ErrPolicy},
		{"another prefix", processor.ACL{{Prefix: componentID(1)}}, put, verify.ErrPolicy},
		{"the prefix", processor.ACL{{Prefix: componentID(0)}}, put, nil},
		{"not this command", processor.ACL{{Commands: []manifest.Code{manifest.DirectiveOverrideParameters}}}, put, verify.ErrPolicy},
		{"not this parameter", processor.ACL{{Parameters: []manifest.ParameterKey{manifest.ParameterURI}}}, put, verify.ErrPolicy},
		{"these parameters", processor.ACL{{Parameters: keysOf}}, put, nil},
		{"not the source", processor.ACL{{Prefix: componentID(0)}}, copyTo0, verify.ErrPolicy},
		{"the source, to read it", processor.ACL{{Prefix: componentID(0)}, {Prefix: componentID(1), Source: true}}, copyTo0, nil},
		{"the source, to change it", processor.ACL{{Prefix: componentID(0)}, {Prefix: componentID(1), Commands: []manifest.Code{manifest.DirectiveCopy}}}, copyTo0, verify.ErrPolicy},
		{"a target to read only", processor.ACL{{Prefix: componentID(0), Source: true}, {Prefix: componentID(1)}}, copyTo0, verify.ErrPolicy},
		{"the source of a swap, to read it", processor.ACL{{Prefix: componentID(0)}, {Prefix: componentID(1), Source: true}}, swapTo0, verify.ErrPolicy},
		{"the source of a swap, to copy into", processor.ACL{{Prefix: componentID(0)}, {Prefix: componentID(1), Commands: []manifest.Code{manifest.DirectiveCopy}}}, swapTo0, verify.ErrPolicy},
		{"both sides of a swap", processor.ACL{{Commands: []manifest.Code{manifest.DirectiveSwap, manifest.DirectiveOverrideParameters}}}, swapTo0, nil},
		{"an alternative never reached", processor.ACL{{Commands: []manifest.Code{manifest.DirectiveOverrideParameters}}},
			seq{try(seq{checkVendor}, seq{write})}, verify.ErrPolicy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one"})
			err := runStore(t, s, tt.install, processor.Options{Access: tt.acl})
			if tt.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			s.refused(t, err, tt.want)
		})
	}
}

func lax(strict bool) manifest.Command { return override(manifest.Parameters{StrictOrder: &strict}) }

// Under strict-order false no component is both target and source.
func TestCMD_05_StrictOrder(t *testing.T) {
	content := params(manifest.Parameters{Content: []byte("c")})
	for _, tt := range []struct {
		name    string
		install seq
		want    error
	}{
		{"written, then source", seq{all(), content, index(0), of("one"), lax(false), write, index(2), of("one"), from(0), copyc}, manifest.ErrCommand},
		{"source, then written", seq{index(1), content, index(0), of("one"), from(1), lax(false), copyc, index(1), write}, manifest.ErrCommand},
		{"exchanged, then written", seq{index(0), content, from(1), lax(false), swap, write}, manifest.ErrCommand},
		{"exchanged, then the source written", seq{all(), content, index(0), from(1), lax(false), swap, index(1), write}, manifest.ErrCommand},
		{"written, then exchanged", seq{index(1), content, index(0), from(1), lax(false), run(index(1), write), swap}, manifest.ErrCommand},
		{"exchanged, then a source", seq{index(0), from(1), index(2), of("one"), from(1), lax(false), index(0), swap, index(2), copyc}, manifest.ErrCommand},
		{"exchanged twice", seq{index(0), from(1), lax(false), swap, swap}, manifest.ErrCommand},
		{"exchanged, then matched", seq{index(0), from(1), of("one"), lax(false), swap, imageMatch}, nil},
		{"in run-sequences", seq{index(2), of("zero"), from(0), index(0), content, lax(false), run(index(0), write), run(index(2), copyc)}, manifest.ErrCommand},
		{"written by two", seq{all(), content, index(0), lax(false), run(index(1), write), run(index(1), write)}, manifest.ErrCommand},
		{"read by two, written by the second", seq{index(1), of("one"), content, index(0), lax(false), run(index(1), imageMatch), run(index(1), imageMatch, write)}, manifest.ErrCommand},
		{"parameters of one, used by another", seq{index(1), content, index(0), lax(false), run(index(1), uri("a")), run(index(1), write)}, manifest.ErrCommand},
		{"parameters of one, compared by another", seq{index(0), lax(false), run(index(1), slot(0), checkSlot), run(index(1), slot(0))}, manifest.ErrCommand},
		{"parameters of one, copied by another", seq{index(0), content, lax(false), run(index(1), content), run(index(2), manifest.Command{Code: manifest.DirectiveCopyParams,
			Copies: []manifest.ParameterCopy{{Source: 1, Keys: []manifest.ParameterKey{manifest.ParameterContent}}}})}, manifest.ErrCommand},
		{"written together, then read together", seq{all(), content, of("c"), lax(false), write, imageMatch}, nil},
		{"nested, then alone, in one of two", seq{all(), content, of("c"), index(0), lax(false), run(index(0), lax(false), run(index(0), write), imageMatch), run(index(1), write)}, nil},
		{"in order", seq{index(0), params(manifest.Parameters{Content: []byte("one")}), write, index(2), of("one"), from(0), copyc}, nil},
		{"apart", seq{all(), content, lax(false), write}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one", "02": "two"})
			err := runStore(t, s, tt.install, processor.Options{})
			if tt.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			s.refused(t, err, tt.want)
		})
	}
}

// Components are worked on together, as many as allowed.
func TestParallel(t *testing.T) {
	contents := map[string]string{"00": "", "01": "", "02": "", "03": "", "04": "", "05": ""}
	content := params(manifest.Parameters{Content: []byte("c")})
	for name, install := range map[string]seq{
		"true":          {all(), content, lax(false), write},
		"run-sequence":  {all(), content, lax(false), run(write)},
		"run-sequences": {all(), content, index(0), lax(false), run(index(0), write), run(index(1), write), run(index(2), write), run(index(3), write), run(index(4), write), run(index(5), write)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(contents)
			s.together = 3 // effects wait until so many have begun
			if err := runStore(t, s, install, processor.Options{Limits: processor.Limits{Parallel: 3}}); err != nil {
				t.Fatal(err)
			}
			if s.max != 3 || len(s.log) != len(contents) {
				t.Errorf("%d at once, %v", s.max, s.log)
			}
		})
	}
}

// A strand that fails ends the others, and its error is the one that is returned.
func TestParallelFailure(t *testing.T) {
	s := newStore(map[string]string{"00": "", "01": "", "02": ""})
	s.fail = "write 01"
	content := params(manifest.Parameters{Content: []byte("c")})
	err := runStore(t, s, seq{all(), content, lax(false), write, lax(true), index(0), write}, processor.Options{})
	e, ok := errors.AsType[*processor.Error](err)
	if !errors.Is(err, errCut) || !ok || e.Component != 1 {
		t.Errorf("got %v", err)
	}
}

// What the device lacks is found before the first effect, wherever it is asked for.
func TestEnvironmentMissing(t *testing.T) {
	device, component := manifest.ErrUnsupported, manifest.ErrComponent
	for code, want := range map[manifest.Code]error{manifest.ConditionUseBefore: device, manifest.ConditionMinimumBattery: device,
		manifest.ConditionUpdateAuthorized: device, manifest.DirectiveWait: device, manifest.ConditionVersion: component, manifest.ConditionCheckContent: component,
		manifest.DirectiveCopy: component, manifest.DirectiveWrite: component, manifest.DirectiveSwap: component, manifest.DirectiveUnlink: component} {
		d := newDevice(1)
		m := release(1, shared(image("new")), seq{index(0), get("u"), tryOrNil(seq{abort, command(code)}, seq{abort})}, nil)
		refused(t, d, start(t, open(t, m), d, manifest.SectionInstall), want)
	}
}

// Custom commands belong to components; those that are conditions are soft.
func TestCustomCommands(t *testing.T) {
	o := manifest.Options{Registry: manifest.Registry{Commands: []manifest.CustomCommand{{Code: -256, Condition: true}, {Code: -257}, {Code: -258}}}}
	for _, tt := range []struct {
		name    string
		install seq
		answer  error
		want    error
		content string
	}{
		{"directive", seq{{Code: -257, Custom: "x"}}, nil, nil, "x"},
		{"condition fails", seq{{Code: -256}}, manifest.ErrCondition, manifest.ErrCondition, "zero"},
		{"condition is soft", seq{tryOrNil(seq{{Code: -256}}, seq{abort})}, manifest.ErrCondition, nil, "zero"},
		{"no answer is not soft", seq{tryOrNil(seq{{Code: -256}}, seq{abort})}, errCut, errCut, "zero"},
		{"not the component's", seq{{Code: -258}}, nil, manifest.ErrComponent, "zero"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero"})
			s.cells["00"].custom = tt.answer
			v, err := openWith(t, o, release(1, shared(), append(seq{index(0)}, tt.install...), nil))
			if err != nil {
				t.Fatal(err)
			}
			err = startWith(t, v, processor.Options{Platform: s, Identity: identity}, manifest.SectionInstall)
			if !errors.Is(err, tt.want) || string(s.cells["00"].content) != tt.content {
				t.Errorf("got %v, %q", err, s.cells["00"].content)
			}
		})
	}
}

// A dry run tells and does nothing.
func TestDryRun(t *testing.T) {
	s := newStore(map[string]string{"00": "zero"})
	v := open(t, release(1, shared(), seq{index(0), params(manifest.Parameters{Content: []byte("x")}), write}, nil))
	p, err := processor.New(t.Context(), v, processor.Options{Platform: s, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	events, err := p.DryRun(t.Context(), manifest.SectionInstall)
	if err != nil || len(s.log) > 0 || len(events) == 0 || events[len(events)-1].Command != manifest.DirectiveWrite {
		t.Errorf("got %v, %v after %v", events, err, s.log)
	}
}

// The time budget ends a wait.
func TestCMD_02_Time(t *testing.T) {
	s := newStore(map[string]string{"00": "zero"})
	s.fail = ""
	err := runStore(t, s, seq{abort}, processor.Options{Limits: processor.Limits{Time: 1}})
	if !errors.Is(err, manifest.ErrBudget) {
		t.Errorf("got %v, want ErrBudget", err)
	}
}

// Where nothing but the cipher says what the plaintext is, the cipher must authenticate.
func TestCopyDecrypts(t *testing.T) {
	for name, want := range map[string]error{"aes-gcm": nil, "aes-ctr": processor.ErrParameter} {
		info := vector(t, "encryption/suit-encryption-info-aes-kw-"+name+".cbor")
		s := newStore(map[string]string{"00": "zero", "01": string(vector(t, "encryption/encrypted-payload-aes-kw-"+name+".bin"))})
		err := runStore(t, s, seq{params(manifest.Parameters{EncryptionInfo: info}), from(1), copyc},
			processor.Options{Compat: processor.CompatNoDigest, Decrypter: recipientKeys(t)})
		if want != nil {
			s.refused(t, err, want)
		} else if err != nil || string(s.cells["00"].content) != string(vector(t, "encryption/plaintext.bin")) {
			t.Errorf("%s: got %v, %q", name, err, s.cells["00"].content)
		}
	}
}
