// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/manifest"
)

// bench is a shop, its server and one provisioned device with release 1.
type bench struct {
	*world
	t    *testing.T
	shop *shop
	sim  *simfs.Sim
	d    *device
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := newShop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v1 := newRelease(1, image(1, 3*chunkSize))
	f, err := s.publish(t.Context(), v1)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, shop: s, world: &world{server: &server{files: f}, root: f["metadata/1.root.json"], now: func() time.Time { return start }}}
	b.sim = newDevice(t, b.world, v1)
	b.boot()
	t.Cleanup(func() {
		if b.d != nil {
			b.d.updater.Close()
		}
	})
	return b
}

// boot is power off and on; it returns what Resume says.
func (b *bench) boot() firmament.Status {
	b.t.Helper()
	if b.d != nil {
		if err := b.d.updater.Close(); err != nil {
			b.t.Fatal(err)
		}
	}
	var err error
	if b.d, err = b.powerOn(b.sim); err != nil {
		b.t.Fatal(err)
	}
	st, err := b.d.updater.Resume(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

func (b *bench) publish(seq uint64) {
	b.t.Helper()
	var err error
	if b.server.files, err = b.shop.publish(b.t.Context(), newRelease(seq, image(byte(seq), 4*chunkSize))); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) install() error { return b.d.install(b.t.Context()) }

func (b *bench) wantState(want install.State, accepted uint64) {
	b.t.Helper()
	st, err := b.d.updater.Status(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if st.State != want || st.Accepted.Sequence != accepted {
		b.t.Fatalf("state %s, release %d accepted; want %s, %d", st.State, st.Accepted.Sequence, want, accepted)
	}
}

func (b *bench) wantCounter(want uint64) {
	b.t.Helper()
	if got, err := b.d.counter.Value(b.t.Context()); err != nil || got != want {
		b.t.Fatalf("counter %d, %v; want %d", got, err, want)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The whole way: installed, on trial and confirmed are three states, the counter rises with the last (BOO-07), and each event
// comes once.
func TestUpdate(t *testing.T) {
	b := newBench(t)
	b.wantState(install.Ready, 1)
	wantError(t, second(b.d.updater.Check(t.Context())), firmament.ErrNoUpdate)
	b.publish(2)
	must(t, b.install())
	b.wantState(install.Staged, 1)
	wantError(t, second(b.d.updater.Check(t.Context())), firmament.ErrNoUpdate)
	wantError(t, b.d.updater.Accept(t.Context()), install.ErrState)
	if st := b.boot(); st.State != install.Trial || st.Current.Sequence != 2 {
		t.Fatalf("%+v, want Trial of release 2", st)
	}
	b.wantCounter(1)
	must(t, b.d.updater.Accept(t.Context()))
	must(t, b.d.updater.Accept(t.Context())) // BOO-09: idempotent
	b.wantState(install.Updated, 2)
	b.wantCounter(2)
	wantError(t, b.d.updater.Reject(t.Context(), "too late"), install.ErrState)
	for range 5 {
		if st := b.boot(); st.State != install.Updated || st.Reboot {
			t.Fatalf("%+v, want Updated", st)
		}
	}
	r := b.d.updater.Reports()
	if len(r) != 1 || r[0].State != install.Updated || r[0].Release.Sequence != 2 {
		t.Fatalf("reports %+v, want one that says Updated", r)
	}
	must(t, b.d.updater.Delivered(r[0].ID))
	must(t, b.d.updater.Delivered(r[0].ID))
	b.boot()
	if r := b.d.updater.Reports(); len(r) != 0 {
		t.Fatalf("reports %+v after delivery, want none", r)
	}
}

// second returns the error of a two-valued call.
func second[T any](_ T, err error) error { return err }

// An image that rejects itself is not installed again; the next release is (BOO-14).
func TestBOO_14_RejectedIsGivenUp(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.boot()
	must(t, b.d.updater.Reject(t.Context(), "no network"))
	b.wantState(install.Rejected, 1)
	wantError(t, b.d.updater.Accept(t.Context()), install.ErrState)
	if st, err := b.d.updater.Status(t.Context()); err != nil || !st.Reboot {
		t.Fatalf("%+v, %v: want Reboot", st, err)
	}
	if st := b.boot(); st.State != install.Rejected || st.Reboot {
		t.Fatalf("%+v, want Rejected without Reboot", st)
	}
	wantError(t, second(b.d.updater.Check(t.Context())), firmament.ErrGivenUp)
	b.wantCounter(1)
	if r := b.d.updater.Reports(); len(r) != 1 || r[0].State != install.Rejected || r[0].Reason != "no network" {
		t.Fatalf("reports %+v", r)
	}
	b.publish(3)
	must(t, b.install())
	b.boot()
	must(t, b.d.updater.Accept(t.Context()))
	b.wantState(install.Updated, 3)
	if r := b.d.updater.Reports(); len(r) != 2 || r[1].ID != r[0].ID+1 {
		t.Fatalf("reports %+v: want two with successive IDs", r)
	}
}

// An image that never comes up is given up by the boot loader, reported as Failed once, and not tried again (BOO-01).
func TestBOO_01_NeverBoots(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	must(t, b.d.updater.Close())
	b.d = nil
	for {
		d, err := b.switchOn(b.sim)
		must(t, err)
		if boot, err := d.boot.Boot(t.Context()); err != nil || boot.Current == 0 {
			must(t, err)
			break // the image in slot B hangs; the watchdog bites
		}
	}
	if st := b.boot(); st.State != install.Failed || st.Accepted.Sequence != 1 {
		t.Fatalf("%+v, want Failed", st)
	}
	b.boot()
	if r := b.d.updater.Reports(); len(r) != 1 || r[0].State != install.Failed {
		t.Fatalf("reports %+v, want one that says Failed", r)
	}
	wantError(t, second(b.d.updater.Check(t.Context())), firmament.ErrGivenUp)
	b.wantCounter(1)
}

// While an image is on trial, the other slot is still needed.
func TestTrialBlocksApply(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	must(t, b.install())
	b.boot()
	b.publish(3)
	o, err := b.d.updater.Check(t.Context())
	must(t, err)
	wantError(t, b.d.updater.Apply(t.Context(), o), install.ErrUnconfirmed)
	b.wantState(install.Trial, 1)
	must(t, b.d.updater.Accept(t.Context()))
	must(t, b.d.updater.Apply(t.Context(), o))
	b.wantState(install.Staged, 2)
}

// A staged release that was not booted yet makes way for a newer one, not for an older one.
func TestCMD_07_Staged(t *testing.T) {
	b := newBench(t)
	b.publish(5)
	must(t, b.install())
	b.publish(4)
	wantError(t, b.install(), manifest.ErrSequence)
	b.wantState(install.Staged, 1)
	b.publish(6)
	must(t, b.install())
	if st := b.boot(); st.State != install.Trial || st.Current.Sequence != 6 {
		t.Fatalf("%+v, want Trial of release 6", st)
	}
}

// Another manifest under a sequence number that the device has is refused.
func TestCMD_07_SameSequence(t *testing.T) {
	b := newBench(t)
	b.publish(1)
	wantError(t, b.install(), manifest.ErrSequence)
}

// The counter is a floor of its own: it holds when the journal is lost.
func TestCMD_07_CounterIsFloor(t *testing.T) {
	b := newBench(t)
	must(t, b.d.counter.Raise(t.Context(), 10))
	b.publish(9)
	wantError(t, b.install(), manifest.ErrSequence)
	b.publish(10)
	must(t, b.install())
}

// Two agents do not share a device (STO-15).
func TestSTO_15_TwoAgents(t *testing.T) {
	b := newBench(t)
	d, err := b.switchOn(b.sim)
	must(t, err)
	wantError(t, b.start(d, "tuf"), install.ErrBusy)
}

// A journal from a newer version is refused, not guessed at (STO-14); so is a damaged one.
func TestSTO_14_JournalOfNewerVersion(t *testing.T) {
	for name, rec := range map[string][]byte{
		"unknown kind":  {0xa1, 0x01, 0x18, 0x80},
		"unknown field": {0xa2, 0x01, 0x01, 0x18, 0x63, 0x01},
		"no map":        {0x01},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			must(t, b.d.updater.Close())
			b.d = nil
			log, err := durable.OpenLog(b.sim.FS(), "journal", 1<<20)
			must(t, err)
			must(t, errors.Join(log.Append(rec), log.Close()))
			d, err := b.switchOn(b.sim)
			must(t, err)
			wantError(t, b.start(d, "tuf"), firmament.ErrJournal)
		})
	}
}

// A device that is back in its other slot reads with the older program what the newer one wrote: records of kinds that it does not know stay as they
// are, a way that it has no name for stays a number, and a run whose steps it cannot read begins anew (STO-14).
func TestSTO_14_OlderProgramGoesOn(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	good := b.server.tamper
	b.server.tamper = func(name string, p []byte) []byte {
		if name == "payloads/v2" {
			p[3*chunkSize] ^= 1
		}
		return p
	}
	if err := b.install(); err == nil {
		t.Fatal("tampered payload was installed")
	}
	b.server.tamper = good
	must(t, b.d.updater.Close())
	b.d = nil
	later := []byte{0xa3, 0x01, 0x18, 70, 0x02, 0x82, 0xf5, 0x60, 0x18, 99, 0x61, 'x'} // {1: 70, 2: [true, ""], 99: "x"}
	log, err := durable.OpenLog(b.sim.FS(), "journal", 1<<20)
	must(t, err)
	step := []byte{0xa2, 0x01, 0x03, 0x07, 0x42, 0x81, 0x02} // {1: 3, 7: h'8102'}: of another form
	for _, rec := range [][]byte{
		later, step,
		{0xa5, 0x01, 0x09, 0x02, 0x18, 41, 0x04, byte(install.Rejected), 0x09, 0x18, 44, 0x0a, 0x18, 200}, // a report, its way is 200
	} {
		must(t, log.Append(rec))
	}
	must(t, log.Close())
	b.boot()
	must(t, b.install())
	b.boot()
	must(t, b.d.updater.Accept(t.Context()))
	b.wantState(install.Updated, 2)
	reports := b.d.updater.Reports()
	if len(reports) == 0 || reports[0].Release.Sequence != 41 || reports[0].Download.Way != 200 || reports[0].Download.Way.String() != "unknown" {
		t.Errorf("reports are %+v, the first was of release 41, way 200", reports)
	}
	must(t, b.d.updater.Close())
	b.d = nil
	log, err = durable.OpenLog(b.sim.FS(), "journal", 1<<20)
	must(t, err)
	recs, err := log.Records()
	must(t, errors.Join(err, log.Close()))
	has := func(rec []byte) bool {
		return slices.ContainsFunc(recs, func(r []byte) bool { return bytes.Equal(r, rec) })
	}
	if !has(later) {
		t.Errorf("the record of a later version is gone; there are %x", recs)
	}
	if has(step) {
		t.Error("the run did not begin anew: its steps come after one that makes them void")
	}
}

// What is missing is named, and nothing is trusted instead.
func TestOptions(t *testing.T) {
	_, err := firmament.New(firmament.Options{})
	wantError(t, err, firmament.ErrOptions)
	b := newBench(t)
	wantError(t, b.d.updater.Provision(nil), firmament.ErrJournal)
}

// Many failed attempts write no more than a bounded journal (STO-11).
func TestSTO_11_ManyAttempts(t *testing.T) {
	b := newBench(t)
	b.publish(2)
	b.server.tamper = func(name string, p []byte) []byte {
		if name == "payloads/v2" {
			p[0] ^= 1
		}
		return p
	}
	if err := b.install(); err == nil {
		t.Fatal("tampered payload was installed")
	}
	size := func() int64 {
		f, err := b.sim.FS().OpenFile("journal", 0)
		must(t, err)
		n, err := f.Size()
		must(t, errors.Join(err, f.Close()))
		return n
	}
	before, sizeBefore := b.sim.Ops(), size()
	const attempts = 20
	for range attempts {
		if err := b.install(); err == nil {
			t.Fatal("tampered payload was installed")
		}
	}
	if n := size(); n != sizeBefore {
		t.Errorf("the journal grew from %d to %d bytes in %d failed attempts", sizeBefore, n, attempts)
	}
	if per := (b.sim.Ops() - before) / attempts; per > 40 {
		t.Errorf("%d storage operations for each failed attempt", per)
	}
}

// Base is a folder, whether or not its slash was written; what is no part of a folder's address is refused.
func TestBase(t *testing.T) {
	for base, want := range map[string]string{
		"https://updates.example":              "https://updates.example/payloads/v2",
		"https://updates.example/widget":       "https://updates.example/widget/payloads/v2",
		"https://updates.example/widget/":      "https://updates.example/widget/payloads/v2",
		"https://updates.example/a%20b/widget": "https://updates.example/a%20b/widget/payloads/v2",
		"/media/stick/updates":                 "/media/stick/updates/payloads/v2",
		"":                                     "payloads/v2",
		"https://updates.example/widget?v=1":   "",
		"https://updates.example/widget#v1":    "",
		"stick/updates":                        "",
		"://":                                  "",
	} {
		b := newBench(t)
		b.publish(2)
		f := files{}
		for name, content := range b.server.files {
			f[name] = content
			if rest, ok := strings.CutPrefix(name, "payloads/v2"); ok {
				delete(f, name)
				f[want+rest] = content
			}
		}
		b.server.files, b.adjust = f, func(o *firmament.Options) { o.Base = base }
		must(t, b.d.updater.Close())
		d, err := b.powerOn(b.sim)
		if want == "" {
			wantError(t, err, firmament.ErrOptions)
			b.d = nil
			continue
		}
		must(t, err)
		if b.d = d; b.install() != nil {
			t.Errorf("base %q: the payload was not asked for as %s", base, want)
		}
	}
}
