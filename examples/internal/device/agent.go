// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/manifest"
)

// Outcome is what one cycle of the agent came to, as --json prints it.
type Outcome struct {
	Result   string            `json:"result"`            // status, up-to-date, staged, accepted, reverted, given-up
	State    string            `json:"state"`             // PSA state
	Slot     string            `json:"slot"`              // the running slot
	Sequence uint64            `json:"sequence"`          // of the release that State is about
	Accepted uint64            `json:"accepted"`          // sequence number that runs confirmed
	Counter  uint64            `json:"counter"`           // anti-rollback counter
	Reboot   bool              `json:"reboot"`            // a boot is due
	Health   string            `json:"health,omitempty"`  // evidence
	Version  string            `json:"version,omitempty"` // for people, of the release that was found
	Way      string            `json:"way,omitempty"`     // how the image that State is about came: delta, chunks or full
	Network  int64             `json:"network,omitempty"` // bytes that came over the network for it, in the process that finished it, chunk digests and what else was needed included
	Reused   int64             `json:"reused,omitempty"`  // payload bytes that came from what the device had
	Fallback string            `json:"fallback,omitempty"`
	Fetched  int64             `json:"fetched,omitempty"` // payload bytes that were verified in this process
	Kept     int64             `json:"kept,omitempty"`    // payload bytes that an earlier process had verified
	Image    int64             `json:"image,omitempty"`   // signed size
	Reports  []firmamentReport `json:"reports,omitempty"` // not delivered yet
}

type firmamentReport struct {
	ID       uint64 `json:"id"`
	State    string `json:"state"`
	Sequence uint64 `json:"sequence"`
	Reason   string `json:"reason,omitempty"`
	Way      string `json:"way,omitempty"`
	Network  int64  `json:"network,omitempty"`
}

// AcceptedText says which release runs confirmed.
func (o Outcome) AcceptedText() string {
	if o.Accepted == 0 {
		return "no release is confirmed yet"
	}
	return fmt.Sprintf("release %d is confirmed", o.Accepted)
}

// Line is the outcome for people.
func (o Outcome) Line() string {
	line := fmt.Sprintf("%s: slot %s runs, %s, state %s", o.Result, o.Slot, o.AcceptedText(), o.State)
	if o.Result == "given-up" {
		line += fmt.Sprintf("; release %d is not tried again, a newer one is", o.Sequence)
	}
	return line
}

// ErrUnhealthy says that the image on trial failed its health check and was rejected.
var ErrUnhealthy = errors.New("unhealthy")

// Cycle is one run of the agent on the device folder dir: the simulated boot if the folder has one, then Resume, then either
// the decision over an image on trial, or Check and Apply. Lines for people go to out.
func Cycle(ctx context.Context, dir string, o Options, out io.Writer) (res Outcome, err error) {
	bar := cli.NewBar(out, "fetching")
	var first, last fetch.Progress
	reverted := false // in this cycle
	events := o.Events
	o.Events = func(e firmament.Event) {
		switch e.Kind {
		case firmament.EventFetching:
			if first.Total == 0 {
				first = e.Progress
			}
			last = e.Progress
			bar.Set(e.Progress.Done, e.Progress.Total)
		case firmament.EventFetched:
			bar.Done()
			res.Way, res.Network, res.Reused, res.Fallback = wayText(e.Download.Way), e.Download.Network, e.Download.Reused, e.Download.Fallback
			for _, f := range e.Fallbacks {
				fmt.Fprintf(out, "not by %v: %v\n", f.Way, f.Err)
			}
			fmt.Fprintln(out, downloadText(e.Download, last.Total))
		case firmament.EventReverted:
			reverted = true
		}
		if events != nil {
			events(e)
		}
	}
	o.Fetch.OnRetry = func(r fetch.Retry) {
		bar.Done()
		fmt.Fprintf(out, "trying again in %v: %v\n", r.Wait.Round(100*time.Millisecond), r.Err)
	}
	d, err := Open(dir, o)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if reverted, err = d.simulateBoot(ctx, o.Again, out); err != nil {
		return res, err
	}
	err = d.step(ctx, dir, &res, &reverted, out)
	bar.Done()
	res.Kept, res.Fetched, res.Image = first.Done, last.Done-first.Done, last.Total
	if res.Way == "" && last.Way != fetch.WayNone { // it did not arrive
		res.Way, res.Network = wayText(last.Way), last.Network
	}
	err = errors.Join(err, d.describe(ctx, &res))
	if err != nil && res.Reboot {
		err = cli.RebootDue(err)
	}
	return res, err
}

// simulateBoot plays the boot loader: the start of the process stands for power coming on. It reports whether another slot was started than the time before.
func (d *Device) simulateBoot(ctx context.Context, again bool, out io.Writer) (switched bool, err error) {
	if !d.Config.Simulated {
		return false, nil
	}
	before, err := d.Boot.Boot(ctx)
	if err != nil {
		return false, err
	}
	n, _, err := d.Boot.Next(CheckSlot(d.Slots))
	if err != nil {
		return false, err
	}
	if switched = n != before.Current; switched || !again {
		fmt.Fprintf(out, "simulated boot loader: started slot %s\n", slot.Name(n))
	}
	return switched, nil
}

// wayText is "" for an image of which it is not known how it came.
func wayText(w fetch.Way) string {
	if w == fetch.WayNone {
		return ""
	}
	return w.String()
}

// downloadText says what a download took.
func downloadText(d firmament.Download, size int64) string {
	switch {
	case d.Way == fetch.WayDelta:
		return fmt.Sprintf("downloaded: %s instead of %s, a delta from the image that runs", cli.Bytes(d.Network), cli.Bytes(size))
	case d.Way == fetch.WayChunks:
		return fmt.Sprintf("downloaded: %s instead of %s, the other chunks were on the device", cli.Bytes(d.Network), cli.Bytes(size))
	case d.Way == fetch.WayPacked:
		return fmt.Sprintf("downloaded: %s instead of %s, the image packed", cli.Bytes(d.Network), cli.Bytes(size))
	case d.Network < size: // the rest came before, in another process
		return fmt.Sprintf("downloaded: %s, what was missing of the image's %s", cli.Bytes(d.Network), cli.Bytes(size))
	}
	return fmt.Sprintf("downloaded: %s, the image's %s and %s of chunk digests and what was tried before", cli.Bytes(d.Network), cli.Bytes(size), cli.Bytes(d.Network-size))
}

// step does what is due, and says in res what it was. reverted becomes true when the Updater finds that the boot loader went back.
func (d *Device) step(ctx context.Context, dir string, res *Outcome, reverted *bool, out io.Writer) error {
	st, err := d.Updater.Resume(ctx)
	if err != nil {
		return err
	}
	if st.State == install.Trial {
		return d.decide(ctx, dir, st, res, out)
	}
	switch { // said once: from then on it is in the state
	case st.State == install.Failed && *reverted:
		fmt.Fprintf(out, "reverted: release %d did not come up, the boot loader went back to %s\n", st.Current.Sequence, before(st))
	case st.State == install.Rejected && *reverted:
		fmt.Fprintf(out, "reverted: release %d was rejected, back to %s\n", st.Current.Sequence, before(st))
	}
	offer, err := d.Updater.Check(ctx)
	if errors.Is(err, firmament.ErrNoUpdate) {
		if res.Result = "up-to-date"; st.State == install.Staged {
			res.Result = "staged"
		}
		return nil
	}
	if errors.Is(err, firmament.ErrGivenUp) && (st.State == install.Failed || st.State == install.Rejected) {
		if res.Result = "given-up"; *reverted {
			res.Result = "reverted"
		}
		return nil
	}
	if err != nil {
		return err
	}
	res.Version = version(offer.Manifest().Manifest())
	fmt.Fprintf(out, "found: release %s, manifest %s\n", named(offer.Release.Sequence, res.Version), offer.Release.Manifest)
	if err := d.Updater.Apply(ctx, offer); err != nil {
		return err
	}
	fmt.Fprintf(out, "staged: release %s, the next boot tries it\n", named(offer.Release.Sequence, res.Version))
	res.Result = "staged"
	return nil
}

// version is what the author calls the release, "" if there is no word of it. Package manifest lets no control characters through.
func version(m manifest.Manifest) string {
	for _, t := range m.Text.Texts {
		for _, c := range t.Components {
			if v := c.Text[manifest.TextComponentVersion]; v != "" {
				return v
			}
		}
	}
	return ""
}

// named is a release for people.
func named(sequence uint64, version string) string {
	if version == "" {
		return fmt.Sprint(sequence)
	}
	return fmt.Sprintf("%d (%s)", sequence, version)
}

func (d *Device) decide(ctx context.Context, dir string, st firmament.Status, res *Outcome, out io.Writer) error {
	health, err := d.Healthy(ctx, dir)
	if errors.Is(err, cli.ErrInput) {
		return err // no verdict: the image is not to blame
	}
	if err != nil {
		if rerr := d.Updater.Reject(ctx, err.Error()); rerr != nil {
			return errors.Join(err, rerr)
		}
		return fmt.Errorf("release %d was rejected, the next boot goes back to %s: %w: %w", st.Current.Sequence, before(st), ErrUnhealthy, err)
	}
	if err := d.Updater.Accept(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "accepted: release %d (%s)\n", st.Current.Sequence, health)
	res.Result, res.Health = "accepted", health
	return nil
}

// before names what runs when the release on trial is given up.
func before(st firmament.Status) string {
	if st.Accepted.Sequence == 0 {
		return "what ran before"
	}
	return fmt.Sprintf("release %d", st.Accepted.Sequence)
}

func (d *Device) describe(ctx context.Context, res *Outcome) error {
	st, err := d.Updater.Status(ctx)
	if err != nil {
		return err
	}
	b, err := d.Boot.Boot(ctx)
	if err != nil {
		return err
	}
	if res.Counter, err = d.Counter.Value(ctx); err != nil {
		return err
	}
	res.State, res.Slot, res.Reboot = st.State.String(), slot.Name(b.Current), st.Reboot
	res.Sequence, res.Accepted = st.Current.Sequence, st.Accepted.Sequence
	if res.Way == "" {
		res.Way, res.Network, res.Reused, res.Fallback = wayText(st.Download.Way), st.Download.Network, st.Download.Reused, st.Download.Fallback
	}
	for _, r := range d.Updater.Reports() {
		res.Reports = append(res.Reports, firmamentReport{r.ID, r.State.String(), r.Release.Sequence, r.Reason, wayText(r.Download.Way), r.Download.Network})
	}
	return nil
}

// Describe returns the state of the device folder dir without changing it or using the network.
func Describe(ctx context.Context, dir string) (res Outcome, err error) {
	d, err := Open(dir, Options{})
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	res.Result = "status"
	return res, d.describe(ctx, &res)
}
