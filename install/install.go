// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package install puts verified bytes where the device boots from, and keeps apart the three things that
// other updaters mix up: an image that is installed, one that is confirmed, and one that went back.
//
// The words are those of the PSA Certified Firmware Update API 1.0: an image is being written (Writing), lies
// whole and verified in its place (Candidate), is armed for a trial boot (Staged), runs on trial (Trial), and
// is then accepted (Updated), rejected (Rejected), or given up by the boot loader (Failed).
//
// An [Installer] knows one place and one boot loader, and keeps no state of its own. A [Machine] drives it
// through the states and keeps in a [Journal] what a boot loader cannot know. Sub-packages hold installers:
// slot writes raw A/B slots. installtest is the contract test for your own.
//
// Power may fail between any two operations. What each verb leaves behind is written at the verb.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// Errors to branch on. Each is found with errors.Is.
var (
	// ErrState says that the verb does not fit the state: Accept without a trial, Install without a candidate.
	ErrState = errors.New("install: wrong state")
	// ErrBounds says that the image does not fit the slot, or more was written than was announced.
	ErrBounds = errors.New("install: out of bounds")
	// ErrVerifyAfterWrite says that what the medium gave back is not what the manifest's digest names.
	ErrVerifyAfterWrite = errors.New("install: medium does not hold what was written")
	// ErrUnconfirmed says that the running image is not the confirmed one, so the other slot is still needed.
	ErrUnconfirmed = errors.New("install: running image is not confirmed")
	// ErrNoBootable says that no slot holds an image that may boot.
	ErrNoBootable = errors.New("install: no bootable slot")
	// ErrBusy says that another process holds a Storage, or this one does already.
	ErrBusy = simfs.ErrBusy
)

// Storage is where durable state lives: a directory, opened with OpenDir, or the simulated one of package installtest. It
// names files by slash-separated relative paths and has the methods OpenFile, Mkdir, Rename, Remove, ReadDir, SyncDir and Lock.
type Storage = simfs.FS

// Device is a slot: a block device, or a file of fixed size. It is an io.ReaderAt, an io.WriterAt and an io.Closer with
// Size() (int64, error) and Sync() error.
type Device = simfs.Device

// OpenDir opens the existing directory path as Storage.
func OpenDir(path string) (Storage, error) { return simfs.OpenDir(path) }

// OpenDevice opens an existing block device or regular file as a slot. It never creates one.
func OpenDevice(path string) (Device, error) { return simfs.OpenDevice(path) }

// State is a component's state. The values are those of the PSA Firmware Update API 1.0, section 4.1.
type State uint8

// The states.
const (
	Ready     State = 0 // nothing under way
	Writing   State = 1 // an image is being written
	Candidate State = 2 // an image is whole and verified in its place; nothing will boot it
	Staged    State = 3 // the next boot tries the image
	Failed    State = 4 // the boot loader gave the trial up; the device runs what it ran before
	Trial     State = 5 // the image runs, unconfirmed
	Rejected  State = 6 // the image was rejected; the device runs, or boots next, what it ran before
	Updated   State = 7 // the image is confirmed
)

var stateNames = [...]string{"Ready", "Writing", "Candidate", "Staged", "Failed", "Trial", "Rejected", "Updated"}

// String returns the PSA name of the state, such as "Staged".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// An Image is what one slot is to hold: Size bytes with that Digest, as the signed manifest names them.
type Image struct {
	Size   int64
	Digest verify.Digest
}

// Status is what an installer's boot loader knows.
type Status struct {
	// State is Ready (nothing armed), Staged, Trial or Failed.
	State State
	// Reboot is true when the next boot brings up another image than the one that runs, apart from a trial:
	// a rejected image still runs, or an accepted one was left by a fallback.
	Reboot bool
}

// An Installer writes one component's image into the place that is not running and hands it to the boot
// loader. Every method is idempotent: after a power cut it is called again with the same arguments.
// Methods are not called concurrently.
type Installer interface {
	// Query asks the boot loader. It changes nothing.
	Query(ctx context.Context) (Status, error)

	// Begin makes the target place free for img and returns the writer for it. Before it returns, the place
	// must be durably unbootable: no trial armed. It refuses with ErrUnconfirmed while
	// the place is still needed, and with ErrBounds, before it changed anything, when img does not fit.
	Begin(ctx context.Context, img Image) (Writer, error)

	// Install arms the trial boot of img, which Writer.Finish found whole. Durable on return. A cut leaves
	// the trial armed or not armed.
	Install(ctx context.Context, img Image) error

	// Accept confirms the image on trial. It is called once the decision is durable, and works too when the
	// boot loader has meanwhile given the trial up. Without a trial it does nothing.
	Accept(ctx context.Context) error

	// Reject makes the next boot the confirmed image. Without a trial it does nothing.
	Reject(ctx context.Context) error
}

// A Slotted installer has numbered places, and says which one Begin would write: the manifest's
// component-slot condition asks for it.
type Slotted interface {
	Slot(ctx context.Context) (uint64, error)
}

// A Readable installer can read its places: what they hold can make an update cheaper. Neither is trusted with anything. Readers are good until the next Begin for
// another image, or the next boot.
type Readable interface {
	// Running reads the place that runs, which does not change meanwhile. Behind the image may be anything.
	Running(ctx context.Context) (*io.SectionReader, error)
	// Target reads the place that Begin writes: what is left there of other images, while it is written over.
	Target(ctx context.Context) (*io.SectionReader, error)
}

// A Verifier is an Installer that can read its target place back: nil if it holds img, ErrVerifyAfterWrite if not.
// A Machine asks before it confirms an image that the boot loader has given up.
type Verifier interface {
	Verify(ctx context.Context, img Image) error
}

// A Writer takes an image's bytes in order. The caller hands it verified bytes only.
type Writer interface {
	// Offset is the position of the next byte.
	Offset() int64
	// Write appends p. Writing beyond the image's size is ErrBounds, and nothing of p is written.
	Write(p []byte) (int, error)
	// Sync makes all that was written durable.
	Sync() error
	// Finish syncs, reads the medium back and compares it with the image's digest: nil means that the image
	// is a Candidate. ErrVerifyAfterWrite if it differs; the writer can then only be closed.
	Finish(ctx context.Context) error
	// Close releases the writer. What was written stays.
	Close() error
}

// A Resumer is a Writer whose medium keeps what was written and synced before a power cut.
type Resumer interface {
	// Resume moves Offset to offset, at most the image's size. The caller knows that the bytes before it
	// were written and synced; Finish reads them back all the same. When it returns an error, Offset is what it was.
	Resume(offset int64) error
}

// A Stager is a Writer into a place that nothing reads before Finish has returned nil. Only such a place may
// receive a payload without chunk digests, which is verified as a whole, by Finish.
type Stager interface {
	Staging() bool
}
