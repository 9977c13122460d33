// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

var (
	vendor   = manifest.UUID{1}
	class    = manifest.UUID{2}
	full     = manifest.RecordOnFailure | manifest.SysinfoOnFailure | manifest.SysinfoOnSuccess
	sameSums = cmp.Comparer(func(x, y verify.Digest) bool { return x == y })
)

// device is one component whose content is text.
type device struct {
	slot    uint64
	content string
}

func (d *device) Component(manifest.ComponentID) (processor.Component, error) { return d, nil }
func (d *device) Slot(context.Context) (uint64, error)                        { return d.slot, nil }
func (d *device) Fetch(_ context.Context, r processor.FetchRequest) error {
	if strings.HasPrefix(r.URI, "broken") {
		return errors.New("no route")
	}
	d.content = r.URI
	return nil
}
func (d *device) Match(_ context.Context, want verify.Digest, size int64) error {
	if seen := verify.Sum(verify.SHA256, []byte(d.content)); seen != want {
		return &processor.Mismatch{Want: want, Seen: seen, Size: int64(len(d.content))}
	}
	return nil
}

func override(p manifest.Parameters) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveOverrideParameters, Parameters: &p}
}

func image(uri string) manifest.Command {
	d := verify.Sum(verify.SHA256, []byte(uri))
	return override(manifest.Parameters{URI: &uri, ImageDigest: &d, ImageSize: new(uint64(len(uri)))})
}

func do(c manifest.Code) manifest.Command { return manifest.Command{Code: c, Policy: full} }

func slot(n uint64) manifest.Command { return override(manifest.Parameters{Slot: &n}) }

// run runs a two-slot update and returns what it reports.
func run(t *testing.T, d *device, uris ...string) (*manifest.Verified, *report.Report, error) {
	t.Helper()
	m := manifest.Manifest{SequenceNumber: 1, ReferenceURI: "https://example.com/m", Components: []manifest.ComponentID{{{0}}}}
	m.Shared = manifest.Sequence{override(manifest.Parameters{VendorID: &vendor, ClassID: &class}), do(manifest.ConditionVendorID), do(manifest.ConditionClassID)}
	var alternatives []manifest.Sequence
	for i, uri := range uris {
		alternatives = append(alternatives, manifest.Sequence{slot(uint64(i)), do(manifest.ConditionComponentSlot), image(uri)})
	}
	m.Install.Sequence = manifest.Sequence{{Code: manifest.DirectiveTryEach, Sequences: alternatives}, do(manifest.DirectiveFetch)}
	m.Validate = manifest.Sequence{do(manifest.ConditionImageMatch)}
	_, v := signed(t, m)
	var recorder report.Recorder
	p, err := processor.New(t.Context(), v, processor.Options{Platform: d,
		Identity: processor.Identity{VendorID: vendor, ClassID: class}, OnEvent: recorder.Event})
	if err != nil {
		t.Fatal(err)
	}
	failure := p.Run(t.Context(), sections...)
	r, err := recorder.Report(v, failure)
	if err != nil {
		t.Fatal(err)
	}
	return v, r, failure
}

var sections = []manifest.Section{manifest.SectionInstall, manifest.SectionValidate}

func trust(t *testing.T, i int) (*verify.KeySet, verify.Policy) {
	t.Helper()
	keys, err := verify.NewKeySet(verify.Entry{Key: testkeys.Ed25519(i).Public()})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		t.Fatal(err)
	}
	return keys, policy
}

// What a run reports is enough to tell what it did.
func TestReconstruct(t *testing.T) {
	for _, tt := range []struct {
		name    string
		device  device
		uris    []string
		reason  report.Reason
		outcome []string // of the commands that did not succeed, and the last
	}{
		{"first slot", device{slot: 0}, []string{"a", "b"}, report.ReasonOK,
			[]string{"condition-image-match ok"}},
		{"second slot", device{slot: 1}, []string{"a", "b"}, report.ReasonOK,
			[]string{"condition-component-slot failed", "condition-image-match ok"}},
		{"fetch fails", device{slot: 1}, []string{"a", "broken"}, report.ReasonOperationFailed,
			[]string{"condition-component-slot failed", "directive-fetch ended"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, r, _ := run(t, &tt.device, tt.uris...)
			if r.Result.Reason != tt.reason {
				t.Errorf("reason %v, want %v", r.Result.Reason, tt.reason)
			}
			sealed, err := report.Seal(t.Context(), r, testkeys.Ed25519(2), cose.Ed25519)
			if err != nil {
				t.Fatal(err)
			}
			keys, policy := trust(t, 2)
			opened, by, err := report.Open(sealed, keys, policy)
			if err != nil {
				t.Fatal(err)
			}
			if signers := by.Keys(""); len(signers) != 1 || signers[0] != testkeys.Ed25519(2).Public() {
				t.Errorf("sealed by %v", signers)
			}
			if diff := cmp.Diff(r, opened, sameSums); diff != "" {
				t.Error(diff)
			}
			steps, err := report.Reconstruct(v, opened, sections...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, s := range steps {
				word := [...]string{"ok", "failed", "ended"}[s.Outcome]
				if s.Outcome != report.Succeeded || i == len(steps)-1 {
					got = append(got, fmt.Sprint(s.Command, " ", word))
				}
			}
			if diff := cmp.Diff(tt.outcome, got); diff != "" {
				t.Error(diff)
			}
			var out bytes.Buffer
			if err := report.Print(&out, opened, steps); err != nil {
				t.Fatal(err)
			}
			t.Log("\n" + out.String())
		})
	}
}

// A condition that is never met ends the run at its try-each.
func TestReconstructNoSlot(t *testing.T) {
	d := device{slot: 7}
	v, _, err := run(t, &device{}, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	p, err := processor.New(t.Context(), v, processor.Options{Platform: &d, Identity: processor.Identity{VendorID: vendor, ClassID: class}})
	if err != nil {
		t.Fatal(err)
	}
	var recorder report.Recorder
	r, err := recorder.Report(v, p.Run(t.Context(), sections...))
	if err != nil || r.Result.Reason != report.ReasonConditionFailed || r.Result.Record.Section != manifest.SectionInstall {
		t.Errorf("got %+v, %v", r, err)
	}
}

// A report that cannot be true is told.
func TestMismatch(t *testing.T) {
	v, good, _ := run(t, &device{slot: 1}, "a", "b")
	for name, change := range map[string]func(r *report.Report){
		"other manifest": func(r *report.Report) { r.Digest = verify.Sum(verify.SHA256, nil) },
		"other uri":      func(r *report.Report) { r.URI = "x" },
		"no such offset": func(r *report.Report) {
			rec := *r.Records[len(r.Records)-1].Record
			rec.Offset++
			r.Records = append(r.Records, report.Entry{Record: &rec})
		},
		"no such section": func(r *report.Report) {
			r.Records = append(r.Records, report.Entry{Record: &report.Record{Section: manifest.SectionLoad}})
		},
		"ended nowhere": func(r *report.Report) {
			r.Result = report.Result{Reason: report.ReasonOperationFailed, Record: &report.Record{Section: manifest.SectionLoad}}
		},
		"a directive failed and it went on": func(r *report.Report) {
			fetch := findFetch(v)
			r.Records = append(r.Records, report.Entry{Record: &report.Record{Section: manifest.SectionInstall, Offset: fetch}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := *good
			r.Records = nil
			for _, e := range good.Records {
				if e.Record != nil {
					r.Records = append(r.Records, e)
				}
			}
			change(&r)
			if _, err := report.Reconstruct(v, &r, sections...); !errors.Is(err, report.ErrMismatch) {
				t.Errorf("got %v, want ErrMismatch", err)
			}
		})
	}
}

func findFetch(v *manifest.Verified) int {
	seq, _ := v.Section(manifest.SectionInstall)
	return seq[1].Offset
}

func sample() *report.Report {
	seen := verify.Sum(verify.SHA256, []byte("seen"))
	rec := &report.Record{Manifest: []int{2, 1}, Section: manifest.SectionInstall, Offset: 300, Component: 1,
		Properties: manifest.Parameters{ImageDigest: &seen}, Path: []int{0, 1, 5}, Success: true}
	return &report.Report{URI: "https://example.com/m", Digest: seen, Nonce: []byte("nonce"),
		Records: []report.Entry{{Record: rec}, {Record: &report.Record{Section: manifest.SectionValidate}},
			{Claims: &report.Claims{Component: manifest.ComponentID{{1}, {2}}, Properties: manifest.Parameters{Slot: new(uint64(3)), ImageDigest: &seen}}}},
		Result: report.Result{Code: -5, Record: &report.Record{Section: manifest.SectionInstall, Offset: 9}, Reason: report.ReasonInvokePending, Foreseen: true},
		Capabilities: &report.Capabilities{
			Components: []report.ComponentCapability{{ID: manifest.ComponentID{{0}}}, {ID: manifest.ComponentID{[]byte("fs")}, Below: true}},
			Commands:   []manifest.Code{1, 2, -300}, Parameters: []manifest.ParameterKey{3}, Algorithms: []int64{-9, -19}, Dependencies: []int64{1},
		}}
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	b, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := report.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameSums); diff != "" {
		t.Error(diff)
	}
	for n := range b {
		if _, err := report.Decode(b[:n]); err == nil {
			t.Fatalf("accepted when cut to %d bytes", n)
		}
	}
}

// Result true is not the number 1 (notes, 23), and false is nothing.
func TestResultTrue(t *testing.T) {
	r := sample()
	r.Result = report.Result{}
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte{0x04, 0xf5})
	for _, v := range []byte{0x01, 0xf4, 0xf6} {
		bad := bytes.Clone(b)
		bad[at+1] = v
		if _, err := report.Decode(bad); !errors.Is(err, manifest.ErrMalformed) {
			t.Errorf("%#x: got %v", v, err)
		}
	}
}

// A report is the answer to one question.
func TestCheckNonce(t *testing.T) {
	r := sample()
	if err := r.CheckNonce(r.Nonce); err != nil {
		t.Error(err)
	}
	for _, want := range [][]byte{nil, {}, []byte("nonc"), []byte("Nonce")} {
		if err := r.CheckNonce(want); !errors.Is(err, report.ErrNonce) {
			t.Errorf("%q: got %v, want %v", want, err, report.ErrNonce)
		}
	}
	r.Nonce = nil
	if err := r.CheckNonce(nil); !errors.Is(err, report.ErrNonce) {
		t.Errorf("none: got %v, want %v", err, report.ErrNonce)
	}
}

// Every changed byte of a sealed report is refused, as are other keys and none.
func TestSealMutations(t *testing.T) {
	sealed, err := report.Seal(t.Context(), sample(), testkeys.Ed25519(2), cose.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	keys, policy := trust(t, 2)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x01
		if _, _, err := report.Open(bad, keys, policy); err == nil {
			t.Errorf("byte %d changed, accepted", i)
		}
	}
	others, _ := trust(t, 3)
	if _, _, err := report.Open(sealed, others, policy); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("another key: got %v", err)
	}
	if _, _, err := report.Open(sealed, nil, policy); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("no key: got %v", err)
	}
	if _, _, err := report.Open(sealed, keys, nil); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("no policy: got %v", err)
	}
}

// blocks is the refusal of a manifest with such signatures, of which nil verifies.
func blocks(errs ...error) error {
	var e verify.Evidence
	for _, err := range errs {
		e.Signatures = append(e.Signatures, verify.Signature{Entry: verify.Entry{Key: testkeys.Ed25519(1).Public()}, Err: err})
	}
	return &verify.PolicyError{Evidence: e, Err: verify.ErrThreshold}
}

func TestReasonOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want report.Reason
	}{
		{nil, report.ReasonOK},
		{manifest.ErrMalformed, report.ReasonCBORParse},
		{verify.ErrAlgorithm, report.ReasonAlgUnsupported},
		{&verify.PolicyError{Err: verify.ErrThreshold}, report.ReasonUnauthorised},
		{verify.ErrPolicy, report.ReasonUnauthorised},
		{blocks(verify.ErrMalformed), report.ReasonCOSEUnsupported},
		{blocks(verify.ErrUnsupported, verify.ErrLimit), report.ReasonCOSEUnsupported},
		{blocks(verify.ErrMalformed, verify.ErrAlgorithm), report.ReasonAlgUnsupported},
		{blocks(verify.ErrAlgorithm, verify.ErrSignature), report.ReasonUnauthorised},
		{blocks(verify.ErrAlgorithm, verify.ErrKeyUnknown), report.ReasonUnauthorised},
		{blocks(verify.ErrKeyRevoked, verify.ErrUnsupported), report.ReasonUnauthorised},
		{blocks(nil, verify.ErrAlgorithm), report.ReasonUnauthorised},
		{&processor.Error{Command: manifest.ConditionDependencyIntegrity, Err: blocks(nil)}, report.ReasonUnauthorised},
		{&processor.Error{Command: manifest.DirectiveFetch, Err: blocks(verify.ErrAlgorithm)}, report.ReasonAlgUnsupported},
		{&processor.Error{Command: manifest.DirectiveFetch, Err: blocks(nil)}, report.ReasonComponentUnauthorised},
		{&processor.Error{Command: manifest.DirectiveFetch, Err: verify.ErrKeyUnknown}, report.ReasonOperationFailed},
		{&processor.Error{Command: manifest.DirectiveFetch, Err: manifest.ErrCondition}, report.ReasonOperationFailed},
		{&processor.Error{Command: manifest.DirectiveTryEach, Err: manifest.ErrCondition}, report.ReasonConditionFailed},
		{&processor.Error{Err: verify.ErrPolicy}, report.ReasonComponentUnauthorised},
		{&processor.Error{Err: manifest.ErrComponent}, report.ReasonComponentUnsupported},
		{&processor.Error{Err: processor.ErrParameter}, report.ReasonParameterUnsupported},
		{&processor.Error{Err: processor.ErrSevered}, report.ReasonSeveringUnsupported},
		{&processor.Error{Err: manifest.ErrCondition}, report.ReasonConditionFailed},
		{&processor.Error{Err: manifest.ErrCommand}, report.ReasonCommandUnsupported},
		{&processor.Error{Err: errors.New("i/o")}, report.ReasonOperationFailed},
	} {
		if got := report.ReasonOf(tt.err); got != tt.want {
			t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
		}
	}
}

// What is read is written back as it was.
func FuzzDecode(f *testing.F) {
	b, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := report.Decode(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("read %x, wrote %x, %v", b, again, err)
		}
	})
}

// A condition of which the author wants to hear when it holds, as the slot's in the draft's A/B example, has failed if the report has
// nothing of it; a directive cannot have.
func TestReconstructWhatIsNotReported(t *testing.T) {
	success := manifest.RecordOnSuccess | manifest.SysinfoOnSuccess
	in := func(n uint64, uri string) manifest.Sequence {
		return manifest.Sequence{slot(n), {Code: manifest.ConditionComponentSlot, Policy: success}, image(uri)}
	}
	m := manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{{{0}}}}
	m.Shared = manifest.Sequence{override(manifest.Parameters{VendorID: &vendor, ClassID: &class}), do(manifest.ConditionVendorID), do(manifest.ConditionClassID)}
	m.Install.Sequence = manifest.Sequence{{Code: manifest.DirectiveTryEach, Sequences: []manifest.Sequence{in(0, "a"), in(1, "b")}},
		{Code: manifest.DirectiveFetch, Policy: success}}
	_, v := signed(t, m)
	var recorder report.Recorder
	p, err := processor.New(t.Context(), v, processor.Options{Platform: &device{slot: 1},
		Identity: processor.Identity{VendorID: vendor, ClassID: class}, OnEvent: recorder.Event})
	if err != nil {
		t.Fatal(err)
	}
	r, err := recorder.Report(v, p.Run(t.Context(), manifest.SectionInstall))
	if err != nil {
		t.Fatal(err)
	}
	steps, err := report.Reconstruct(v, r, manifest.SectionInstall)
	if err != nil {
		t.Fatal(err)
	}
	var slots []report.Outcome
	for _, s := range steps {
		if s.Command == manifest.ConditionComponentSlot {
			slots = append(slots, s.Outcome)
		}
	}
	if !slices.Equal(slots, []report.Outcome{report.Failed, report.Succeeded}) {
		t.Errorf("slots %v", slots)
	}
	for i, e := range r.Records {
		if e.Record == nil {
			continue
		}
		less := *r
		less.Records = slices.Delete(slices.Clone(r.Records), i, i+1)
		if _, err := report.Reconstruct(v, &less, manifest.SectionInstall); !errors.Is(err, report.ErrMismatch) {
			t.Errorf("without the record of byte %d: %v, want %v", e.Record.Offset, err, report.ErrMismatch)
		}
	}
}
