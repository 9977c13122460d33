// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// Errors of the Updater itself. Errors of the packages below pass through, wrapped.
var (
	// ErrNoUpdate says that the offered release is the one the device already runs.
	ErrNoUpdate = errors.New("firmament: no update")
	// ErrGivenUp says that this very release was rejected, or given up by the boot loader, on this device. It is
	// tried again when a release with a higher sequence number has been accepted.
	ErrGivenUp = errors.New("firmament: release was given up on this device")
	// ErrJournal says that the journal is damaged, or that a newer version wrote into it what this one cannot do without. Nothing is
	// assumed then.
	ErrJournal = errors.New("firmament: journal unreadable")
	// ErrOptions says that a required option is missing or out of range. Nothing is trusted by default.
	ErrOptions = errors.New("firmament: options")
)

// A Finder finds the envelope that is aimed at this device now. A tuf/client is one; so is anything that fetches bytes,
// since the envelope carries its author's signature. An Updater does not call it twice at once.
type Finder interface {
	// Find returns the content of the named target, at most manifest.MaxEnvelopeSize bytes: it reads no more from whoever
	// sends them. It returns soon after ctx is done. Its errors come out of Check, wrapped.
	Find(ctx context.Context, target string) ([]byte, error)
}

// A CustomFinder is a Finder that can say, too, what signed metadata says of the target besides: its custom JSON object, nil if there is none. A tuf/client is one.
// Deltas, chunk indexes and packed payloads are listed there, see Options.Planner.
type CustomFinder interface {
	Finder
	FindCustom(ctx context.Context, target string) (envelope, custom []byte, err error)
}

// A Planner brings a payload to the sink in the cheapest way that help allows. A plan.Planner (package fetch/plan) is one. Like a fetch.Fetcher it gives the sink verified
// bytes alone.
type Planner interface {
	Fetch(ctx context.Context, o fetch.Options, res fetch.Resource, help fetch.Help, sink fetch.Sink) (fetch.Stats, error)
}

// FinderFunc makes a function a Finder.
type FinderFunc func(ctx context.Context, target string) ([]byte, error)

// Find calls f.
func (f FinderFunc) Find(ctx context.Context, target string) ([]byte, error) { return f(ctx, target) }

// Options says what an Updater works with. All fields are required unless their comment says otherwise.
type Options struct {
	Storage install.Storage // directory for the journal, the fetch checkpoint and the lock; see install.OpenDir
	Finder  Finder          // where envelopes come from
	Target  string          // what to ask the Finder for; default TargetPath of Identity and channel "stable"
	Keys    *verify.KeySet  // the authors' keys
	Policy  verify.Policy   // how many of them must have signed
	Counter verify.Counter  // anti-rollback counter, raised to a release's sequence number when it is accepted

	Identity  processor.Identity   // what the manifest's vendor, class and device conditions are compared with
	Component manifest.ComponentID // the component that Installer installs
	Installer install.Installer

	// SequenceJump bounds how far above the accepted release's sequence number an offered one may be, so that one bad release cannot use
	// up the numbers there are. Default: processor.DefaultSequenceJump. Beyond it a release is manifest.ErrSequence and verify.ErrPolicy, unless a
	// key of the group Recovery (verify.Entry.Groups) has signed it, too; "" is no group.
	SequenceJump uint64
	Recovery     string

	// CheckURI is asked about every URI of a payload or its chunk index before anything is fetched, as the manifest has it, which is before Base comes
	// in, and about those that signed metadata offers besides (Planner). Nil returns allow; other errors should wrap verify.ErrPolicy. Default: processor.CheckURI.
	CheckURI func(uri string) error

	Fetch fetch.Options // Source is required; Storage defaults to Options.Storage
	Base  string        // absolute URL or path of the folder that relative payload URIs lead on from, without a query; optional

	// Planner makes downloads smaller than the image: packed, if the Finder is a CustomFinder; with deltas and chunks that the device has, if the Installer is Readable,
	// too. Optional; without it images come whole.
	Planner Planner
	// Budget is asked before each download how many bytes it may take, whatever the way, chunk digests included: nothing if it is 0 or less. A download beyond it is
	// fetch.ErrBudget; what was verified is kept. Optional; without it Fetch.MaxBytes is the budget, and 0 there is no limit.
	Budget func() int64

	// Development accepts sample keys among Keys, whose secret halves are published (verify.Key.Published). For tests only.
	Development bool

	// Events is told what happens. It is called from the goroutine that does the work, which waits for it, and must not call the Updater. Optional.
	Events func(Event)
}

// A Release names one signed manifest.
type Release struct {
	Sequence uint64        // suit-manifest-sequence-number
	Manifest verify.Digest // digest of the manifest, as the authors signed it
}

func (r Release) known() bool { return !r.Manifest.IsZero() }

// An Updater takes one device from one release to the next: [Updater.Resume] first thing after every boot, then
// [Updater.Check] and [Updater.Apply], a reboot, and [Updater.Accept] or [Updater.Reject] by the new image.
//
// All durable state is one journal, the boot loader's, and a counter. Power may fail at any time; what each method leaves
// behind is said there. Methods may be called from several goroutines and wait for each other, so that Status waits for as long as an
// Apply downloads: show Options.Events meanwhile, and end the Apply by its context. One process at a time holds the storage directory.
type Updater struct {
	o    Options
	base *url.URL
	lock io.Closer

	mu      sync.Mutex
	closed  bool
	j       *journal
	machine *install.Machine
	fetch   fetch.Options // with what New added
	fetcher *fetch.Fetcher
	tally   tally
}

// New opens the updater in o.Storage. ErrOptions if o lacks something, and with it verify.ErrPolicy if o trusts a sample key;
// ErrJournal if the journal cannot be trusted; install.ErrBusy while another process holds the directory. It makes no request, and asks neither
// Finder nor Installer. Close it when done.
func New(o Options) (*Updater, error) {
	base, err := o.check()
	if err != nil {
		return nil, err
	}
	lock, err := o.Storage.Lock("lock")
	if err != nil {
		return nil, fmt.Errorf("lock the storage directory: %w", err)
	}
	u := &Updater{o: o, base: base, lock: lock}
	if err := u.open(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return u, nil
}

func (u *Updater) open() error {
	// What was being written when power failed. The lock is held, so nobody is writing it now.
	if err := durable.RemoveTemps(u.o.Storage, "."); err != nil {
		return fmt.Errorf("remove stale temporary files: %w", err)
	}
	j, err := openJournal(u.o.Storage)
	if err != nil {
		return err
	}
	f := u.o.Fetch
	if f.Storage == nil {
		f.Storage = u.o.Storage
	}
	progress := f.OnProgress
	f.OnProgress = func(p fetch.Progress) {
		if progress != nil {
			progress(p)
		}
		u.emit(Event{Kind: EventFetching, Release: j.state.current, Progress: p})
	}
	fetcher, err := fetch.New(f)
	if err != nil {
		return errors.Join(err, j.close())
	}
	u.j, u.fetch, u.fetcher, u.machine = j, f, fetcher, install.NewMachine(u.o.Installer, j)
	return nil
}

// Close releases the journal and the lock. It waits for a method that is running; methods called later return
// fs.ErrClosed. Closing twice does nothing.
func (u *Updater) Close() error {
	if err := u.use(); err != nil {
		return nil
	}
	defer u.mu.Unlock()
	u.closed = true
	return errors.Join(u.j.close(), u.lock.Close())
}

// use locks u, unless it is closed.
func (u *Updater) use() error {
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return fmt.Errorf("updater: %w", fs.ErrClosed)
	}
	return nil
}

func (o *Options) check() (*url.URL, error) {
	missing := func(what string) error { return fmt.Errorf("%s is missing: %w", what, ErrOptions) }
	switch {
	case o.Storage == nil:
		return nil, missing("Storage")
	case o.Finder == nil:
		return nil, missing("Finder")
	case o.Keys == nil:
		return nil, missing("Keys")
	case o.Policy == nil:
		return nil, missing("Policy")
	case o.Counter == nil:
		return nil, missing("Counter")
	case o.Installer == nil:
		return nil, missing("Installer")
	case len(o.Component) == 0:
		return nil, missing("Component")
	case o.Fetch.Source == nil:
		return nil, missing("Fetch.Source")
	case o.Identity.VendorID == (manifest.UUID{}) || o.Identity.ClassID == (manifest.UUID{}):
		return nil, missing("Identity.VendorID or ClassID")
	}
	for _, e := range o.Keys.Lookup(nil) {
		if e.Key.Published() && !e.Revoked && !o.Development {
			return nil, fmt.Errorf("%w: %w: %v is a sample key, anybody can sign with it", ErrOptions, verify.ErrPolicy, e.Key)
		}
	}
	if o.Recovery != "" && !slices.ContainsFunc(o.Keys.Lookup(nil), func(e verify.Entry) bool { return e.In(o.Recovery) }) {
		return nil, fmt.Errorf("%w: no key is in the recovery group %q", ErrOptions, o.Recovery)
	}
	if o.CheckURI == nil {
		o.CheckURI = processor.CheckURI
	}
	if o.Target == "" {
		o.Target = TargetPath(o.Identity.VendorID, o.Identity.ClassID, "stable")
	}
	base, err := url.Parse(o.Base)
	if err != nil {
		return nil, fmt.Errorf("the URL Base: %v: %w", err, ErrOptions)
	}
	if base.RawQuery != "" || base.Fragment != "" || o.Base != "" && !base.IsAbs() && !strings.HasPrefix(base.Path, "/") {
		return nil, fmt.Errorf("the URL Base is %s, want one that is absolute, or a path, without query and fragment: %w", fetch.RedactURI(o.Base), ErrOptions)
	}
	// A folder, whether or not its slash was written: without it, the last part of its path would be lost.
	if base.Path != "" && !strings.HasSuffix(base.Path, "/") {
		base = base.JoinPath("/")
	}
	return base, nil
}

// TargetPath returns the name under which a repository keeps the envelope for a device class and channel:
// "fw/<vendor-uuid>/<class-uuid>/<channel>.suit".
func TargetPath(vendor, class manifest.UUID, channel string) string {
	return "fw/" + vendor.String() + "/" + class.String() + "/" + channel + ".suit"
}

// Provision records, once, that the device left the factory with the release v. It is optional: without it, the first
// offer counts as newer than whatever runs, unless the counter says otherwise. ErrJournal if the journal is not empty.
func (u *Updater) Provision(v *manifest.Verified) error {
	if err := u.use(); err != nil {
		return err
	}
	defer u.mu.Unlock()
	if s := u.j.state; s.accepted.known() || s.current.known() {
		return fmt.Errorf("provision: release %d is recorded already: %w", max(s.accepted.Sequence, s.current.Sequence), ErrJournal)
	}
	return u.j.append(releaseRecord(kindProvisioned, Release{v.SequenceNumber(), v.Digest()}))
}

// Status is the device's state in the words of [install.State].
type Status struct {
	State    install.State
	Reboot   bool     // the next boot brings up another image than the one that runs: time to reboot, when it suits
	Current  Release  // whose image State is about; zero if none was ever written
	Accepted Release  // what runs confirmed, or did before the trial; zero if nobody has said, see Provision
	Download Download // how Current's image came, once it is a Candidate
}

// Status returns the state. It changes nothing and needs no network.
func (u *Updater) Status(ctx context.Context) (Status, error) {
	if err := u.use(); err != nil {
		return Status{}, err
	}
	defer u.mu.Unlock()
	return u.status(ctx)
}

func (u *Updater) status(ctx context.Context) (Status, error) {
	r, err := u.machine.Query(ctx)
	if err != nil {
		return Status{}, err
	}
	s := Status{State: r.State, Reboot: r.Reboot, Current: u.j.state.subject, Accepted: u.j.state.accepted, Download: u.j.state.download}
	if r.State == install.Staged {
		s.Reboot = true
	}
	return s, nil
}
