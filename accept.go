// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"context"
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/install"
)

// Resume finishes what a power cut interrupted and notices what the boot loader did. Call it first thing after every
// boot, before Check. It needs no network.
//
// If Status says Trial, the running image is unconfirmed: find out whether it is healthy, then Accept or Reject. Failed means that
// the boot loader went back to the confirmed image; the release is given up, and a report says so. Writing and
// Candidate mean that an Apply was cut short: Check and Apply go on with it.
func (u *Updater) Resume(ctx context.Context) (Status, error) {
	if err := u.use(); err != nil {
		return Status{}, err
	}
	defer u.mu.Unlock()
	if u.j.state.finishing {
		if err := u.finishAccept(ctx); err != nil {
			return Status{}, err
		}
	}
	st, err := u.status(ctx)
	if err != nil {
		return Status{}, err
	}
	switch {
	case u.j.state.isGivenUp(st.Current) && (st.State == install.Candidate || st.State == install.Staged || st.State == install.Trial):
		// Reject was decided, and cut before the boot loader knew.
		err = u.machine.Reject(ctx)
	case st.State == install.Rejected:
		err = u.machine.Reject(ctx)
	case st.State == install.Failed && u.j.state.install.State != install.Failed:
		err = u.giveUp(ctx, install.Failed, "the boot loader gave the trial up")
	case st.State == install.Trial:
		u.emit(Event{Kind: EventTrial, Release: st.Current})
	}
	if err != nil {
		return Status{}, err
	}
	return u.status(ctx)
}

// Accept confirms the image on trial. The order is: the decision is durable; the boot loader marks the image good; the
// anti-rollback counter is raised; the report is queued. A cut before the first leaves the trial; after it,
// Resume finishes the rest. Accept of what is accepted already does nothing.
//
// install.ErrState unless an image that this updater installed is on trial.
func (u *Updater) Accept(ctx context.Context) error {
	if err := u.use(); err != nil {
		return err
	}
	defer u.mu.Unlock()
	s := &u.j.state
	if !s.finishing {
		st, err := u.status(ctx)
		if err != nil {
			return err
		}
		if st.State == install.Updated && s.accepted == s.subject {
			return nil
		}
		if st.State != install.Trial || !st.Current.known() || s.isGivenUp(st.Current) {
			return fmt.Errorf("accept release %d in state %s: %w", st.Current.Sequence, st.State, install.ErrState)
		}
		if err := u.j.append(releaseRecord(kindAccept, st.Current)); err != nil {
			return err
		}
	}
	return u.finishAccept(ctx)
}

// finishAccept does what follows from a durable decision. Each step may be repeated.
//
// The boot loader may have started the confirmed image in between: for this once, and then the next boot brings the accepted
// one up and finishes; or because it gave the trial up, and then the image is confirmed all the same, unless it is damaged. In that
// case the decision is taken back: the counter is not raised yet.
func (u *Updater) finishAccept(ctx context.Context) error {
	q, err := u.machine.Query(ctx)
	if err != nil || q.State == install.Staged {
		return err
	}
	err = u.machine.Accept(ctx)
	if errors.Is(err, install.ErrVerifyAfterWrite) {
		return u.giveUp(ctx, install.Failed, err.Error())
	}
	if err != nil {
		return err
	}
	rel := u.j.state.accepted
	if err := u.o.Counter.Raise(ctx, rel.Sequence); err != nil {
		return fmt.Errorf("raise the anti-rollback counter to %d: %w", rel.Sequence, err)
	}
	if err := u.j.append(&record{Kind: kindAccepted, ID: u.j.state.nextID}); err != nil {
		return err
	}
	u.emit(Event{Kind: EventAccepted, Release: rel})
	return nil
}

// Reject gives up the image that is staged or on trial; reason goes into the report. The caller reboots into the confirmed
// image. The release is not tried again on this device until a newer one has been accepted.
//
// A cut leaves the former state or Rejected; Resume finishes it. install.ErrState if nothing is there to reject: what
// was accepted goes back by a newer release only.
func (u *Updater) Reject(ctx context.Context, reason string) error {
	if err := u.use(); err != nil {
		return err
	}
	defer u.mu.Unlock()
	st, err := u.status(ctx)
	if err != nil {
		return err
	}
	switch {
	case u.j.state.finishing,
		st.State != install.Candidate && st.State != install.Staged && st.State != install.Trial && st.State != install.Rejected:
		return fmt.Errorf("reject release %d in state %s: %w", st.Current.Sequence, st.State, install.ErrState)
	}
	return u.giveUp(ctx, install.Rejected, reason)
}

// giveUp records the decision and its report, then tells the machine.
func (u *Updater) giveUp(ctx context.Context, state install.State, reason string) error {
	rel := u.j.state.subject
	if rel.known() && !u.j.state.isGivenUp(rel) {
		r := releaseRecord(kindGiveUp, rel)
		r.State, r.Reason, r.ID = state, truncate(reason, maxReason), u.j.state.nextID
		if err := u.j.append(r); err != nil {
			return err
		}
	}
	u.emit(Event{Kind: EventReverted, Release: rel, Reason: reason})
	if state == install.Failed {
		return u.machine.Fail(ctx)
	}
	return u.machine.Reject(ctx)
}
