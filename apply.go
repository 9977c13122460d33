// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"context"
	"fmt"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

// An Offer is a verified release that this device may install. Apply compares it with the device's state once more, and does not ask the Finder again: it is as
// fresh as its Check. It belongs to the Updater that made it, and is not changed by Apply.
type Offer struct {
	Release  Release // of Manifest; Apply goes by the manifest itself
	verified *manifest.Verified
	custom   []byte // what signed metadata says besides; only a planner reads it
}

// release is what the authors signed, whatever became of the exported field.
func (o *Offer) release() Release { return Release{o.verified.SequenceNumber(), o.verified.Digest()} }

// Manifest returns the verified manifest.
func (o *Offer) Manifest() *manifest.Verified { return o.verified }

// Check asks the Finder for the current envelope, verifies it, and compares it with what the device has. It returns
// ErrNoUpdate if the device has it, or waits for a reboot into it; manifest.ErrSequence if it is older than what was accepted or is on trial, or
// another manifest under the same sequence number; ErrGivenUp; manifest.ErrNotApplicable if it is for other devices; and the errors of the
// Finder and of manifest.Open.
//
// Check writes nothing itself, and downloads no payload; the Finder may persist what it verified. It may be called in any state, and again and again.
func (u *Updater) Check(ctx context.Context) (*Offer, error) {
	if err := u.use(); err != nil {
		return nil, err
	}
	defer u.mu.Unlock()
	b, custom, err := u.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", u.o.Target, err)
	}
	v, err := manifest.OpenBytes(b, u.o.Keys, u.o.Policy)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.o.Target, err)
	}
	o := &Offer{verified: v, custom: custom}
	o.Release = o.release()
	if err := u.admit(ctx, o.Release); err != nil {
		return nil, err
	}
	if _, err := u.processor(ctx, o); err != nil {
		return nil, err
	}
	u.emit(Event{Kind: EventFound, Release: o.Release})
	return o, nil
}

// find asks for the custom object only if somebody reads it.
func (u *Updater) find(ctx context.Context) (envelope, custom []byte, err error) {
	if f, ok := u.o.Finder.(CustomFinder); ok && u.o.Planner != nil {
		return f.FindCustom(ctx, u.o.Target)
	}
	envelope, err = u.o.Finder.Find(ctx, u.o.Target)
	return envelope, nil, err
}

// admit compares rel with what was accepted, with what is on trial, and with what was given up.
func (u *Updater) admit(ctx context.Context, rel Release) error {
	if u.j.state.finishing {
		return fmt.Errorf("release %d is accepted, the next boot starts it: %w", u.j.state.accepted.Sequence, ErrNoUpdate)
	}
	st, err := u.status(ctx)
	if err != nil {
		return err
	}
	floor := st.Accepted
	if st.State == install.Staged || st.State == install.Trial {
		floor = st.Current
	}
	count, err := u.o.Counter.Value(ctx)
	if err != nil {
		return fmt.Errorf("anti-rollback counter: %w", err)
	}
	switch {
	case rel == floor:
		return fmt.Errorf("release %d is %s: %w", rel.Sequence, st.State, ErrNoUpdate)
	case rel.Sequence < floor.Sequence, rel.Sequence < count, rel.Sequence == floor.Sequence && floor.known():
		return fmt.Errorf("release %d, device has %d, counter %d: %w", rel.Sequence, floor.Sequence, count, manifest.ErrSequence)
	case u.j.state.isGivenUp(rel):
		return fmt.Errorf("release %d: %w", rel.Sequence, ErrGivenUp)
	}
	return nil
}

// processor prepares the run of o's manifest, and with that checks all that can be checked without a side effect.
func (u *Updater) processor(ctx context.Context, o *Offer) (*processor.Processor, error) {
	return processor.New(ctx, o.verified, processor.Options{
		Platform:      platform{u, o.custom},
		Identity:      u.o.Identity,
		Journal:       steps{u.j},
		SequenceFloor: u.j.state.accepted.Sequence,
		SequenceJump:  u.o.SequenceJump,
		Recovery:      u.o.Recovery,
		CheckURI:      u.o.CheckURI,
	})
}

// Apply installs o into the place that is not running and arms its trial boot: nil means Staged, and the caller reboots
// when it suits. An Apply that was cut short, by power or by an error, goes on where it was when it is called with
// the same release again.
//
// The payload comes in the cheapest way that Options.Planner finds, within Options.Budget; Status tells which. Its bytes reach the Installer only after their chunk digest, signed by the author, was found right. On
// any error the running image, the confirmed one, and the anti-rollback counter are what they were before; an older release
// that was staged may have lost its place. A cut leaves the states Writing, Candidate or Staged, or that older release.
func (u *Updater) Apply(ctx context.Context, o *Offer) error {
	if o == nil || o.verified == nil {
		return fmt.Errorf("apply without an offer of Check: %w", ErrOptions)
	}
	if err := u.use(); err != nil {
		return err
	}
	defer u.mu.Unlock()
	rel := o.release()
	if err := u.admit(ctx, rel); err != nil {
		return err
	}
	st, err := u.status(ctx)
	if err != nil {
		return err
	}
	if st.State == install.Trial || st.Reboot && st.State != install.Staged {
		return fmt.Errorf("apply release %d while %d is %s: %w", rel.Sequence, st.Current.Sequence, st.State, install.ErrUnconfirmed)
	}
	p, err := u.processor(ctx, o)
	if err != nil {
		return err
	}
	if u.j.state.current != rel || u.j.state.void {
		if err := u.j.begin(rel); err != nil {
			return err
		}
		if p, err = u.processor(ctx, o); err != nil {
			return err
		}
	}
	if err := p.Run(ctx, manifest.SectionPayloadFetch, manifest.SectionInstall, manifest.SectionValidate); err != nil {
		return err
	}
	if err := u.j.adopt(rel); err != nil {
		return err
	}
	if err := u.machine.Install(ctx); err != nil {
		return err
	}
	u.emit(Event{Kind: EventStaged, Release: rel})
	return nil
}
