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
)

// Outcome is what one cycle of the agent came to, as --json prints it.
type Outcome struct {
	Result   string            `json:"result"`            // status, up-to-date, staged, accepted, reverted
	State    string            `json:"state"`             // PSA state
	Slot     string            `json:"slot"`              // the running slot
	Sequence uint64            `json:"sequence"`          // of the release that State is about
	Accepted uint64            `json:"accepted"`          // sequence number that runs confirmed
	Counter  uint64            `json:"counter"`           // anti-rollback counter
	Reboot   bool              `json:"reboot"`            // a boot is due
	Health   string            `json:"health,omitempty"`  // evidence
	Fetched  int64             `json:"fetched,omitempty"` // payload bytes received in this process
	Kept     int64             `json:"kept,omitempty"`    // payload bytes that an earlier process had verified
	Image    int64             `json:"image,omitempty"`   // signed size
	Reports  []firmamentReport `json:"reports,omitempty"` // not delivered yet
}

type firmamentReport struct {
	ID       uint64 `json:"id"`
	State    string `json:"state"`
	Sequence uint64 `json:"sequence"`
	Reason   string `json:"reason,omitempty"`
}

// AcceptedText says which release runs confirmed.
func (o Outcome) AcceptedText() string {
	if o.Accepted == 0 {
		return "no release is confirmed yet"
	}
	return fmt.Sprintf("release %d is confirmed", o.Accepted)
}

// ErrUnhealthy says that the image on trial failed its health check and was rejected.
var ErrUnhealthy = errors.New("unhealthy")

// Cycle is one run of the agent on the device folder dir: the simulated boot if the folder has one, then Resume, then either
// the decision over an image on trial, or Check and Apply. Lines for people go to out.
func Cycle(ctx context.Context, dir string, o Options, out io.Writer) (res Outcome, err error) {
	bar := cli.NewBar(out, "fetching")
	var first, last fetch.Progress
	events := o.Events
	o.Events = func(e firmament.Event) {
		if e.Kind == firmament.EventFetching {
			if first.Total == 0 {
				first = e.Progress
			}
			last = e.Progress
			bar.Set(e.Progress.Done, e.Progress.Total)
		} else if e.Kind == firmament.EventFound {
			fmt.Fprintf(out, "found: release %d, manifest %s\n", e.Release.Sequence, e.Release.Manifest)
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
	if err := d.simulateBoot(out); err != nil {
		return res, err
	}
	res.Result, res.Health, err = d.step(ctx, dir, out)
	bar.Done()
	res.Kept, res.Fetched, res.Image = first.Done, last.Done-first.Done, last.Total
	return res, errors.Join(err, d.describe(ctx, &res))
}

// simulateBoot plays the boot loader: the start of the process stands for power coming on.
func (d *Device) simulateBoot(out io.Writer) error {
	if !d.Config.Simulated {
		return nil
	}
	n, _, err := d.Boot.Next(CheckSlot(d.Slots))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "simulated boot loader: started slot %s\n", slot.Name(n))
	return nil
}

// step returns the result's name and, after a trial, the evidence of health.
func (d *Device) step(ctx context.Context, dir string, out io.Writer) (result, health string, err error) {
	st, err := d.Updater.Resume(ctx)
	if err != nil {
		return "", "", err
	}
	if st.State == install.Trial {
		return d.decide(ctx, dir, st, out)
	}
	switch st.State {
	case install.Failed:
		fmt.Fprintf(out, "reverted: release %d did not come up, the boot loader went back to %s\n", st.Current.Sequence, before(st))
	case install.Rejected:
		fmt.Fprintf(out, "reverted: release %d was rejected, back to %s\n", st.Current.Sequence, before(st))
	}
	offer, err := d.Updater.Check(ctx)
	if errors.Is(err, firmament.ErrNoUpdate) {
		if st.State == install.Staged {
			return "staged", "", nil
		}
		return "up-to-date", "", nil
	}
	if errors.Is(err, firmament.ErrGivenUp) && (st.State == install.Failed || st.State == install.Rejected) {
		return "reverted", "", nil
	}
	if err != nil {
		return "", "", err
	}
	if err := d.Updater.Apply(ctx, offer); err != nil {
		return "", "", err
	}
	fmt.Fprintf(out, "staged: release %d, the next boot tries it\n", offer.Release.Sequence)
	return "staged", "", nil
}

func (d *Device) decide(ctx context.Context, dir string, st firmament.Status, out io.Writer) (result, health string, err error) {
	health, err = d.Healthy(ctx, dir)
	if errors.Is(err, cli.ErrInput) {
		return "", "", err // no verdict: the image is not to blame
	}
	if err != nil {
		if rerr := d.Updater.Reject(ctx, err.Error()); rerr != nil {
			return "", "", errors.Join(err, rerr)
		}
		return "", "", fmt.Errorf("release %d was rejected, the next boot goes back to %s: %w: %w", st.Current.Sequence, before(st), ErrUnhealthy, err)
	}
	if err := d.Updater.Accept(ctx); err != nil {
		return "", "", err
	}
	fmt.Fprintf(out, "accepted: release %d (%s)\n", st.Current.Sequence, health)
	return "accepted", health, nil
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
	for _, r := range d.Updater.Reports() {
		res.Reports = append(res.Reports, firmamentReport{r.ID, r.State.String(), r.Release.Sequence, r.Reason})
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
