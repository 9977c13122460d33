// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// An Explanation is an error as a command prints it.
type Explanation struct {
	Result string `json:"result"` // always "error"
	Error  string `json:"error"`  // the sentinel's name, such as "tuf.ErrRollback"; "error" if there is none
	Cause  string `json:"cause"`
	Next   string `json:"next,omitempty"`
	Reboot bool   `json:"reboot,omitempty"` // a boot is due all the same
	Exit   int    `json:"exit"`
}

// A rebootError is an error after which a boot is due.
type rebootError struct{ error }

func (e rebootError) Unwrap() error { return e.error }

// RebootDue marks an error after which a boot is due: its Explanation says so.
func RebootDue(err error) error { return rebootError{err} }

// A Rule names a sentinel, and says which exit code it has and what to do next.
type Rule struct {
	Err  error
	Name string
	Exit int
	Next string
}

// own are the rules of the commands themselves. They come first: who marked an error knew more than its cause.
var own = []Rule{
	{ErrUsage, "usage", Usage, "run the command with -h"},
	{ErrInput, "input", Usage, "name another file, or correct this one"},
	{ErrDamaged, "damaged", Trouble, "restore the folder from a backup, or make a new one with firmctl init"},
	{context.Canceled, "interrupted", Trouble, "run it again: it goes on where it was"},
}

// rules are looked up in order: narrow before wide.
var rules = []Rule{
	{firmament.ErrNoUpdate, "firmament.ErrNoUpdate", OK, ""},
	{firmament.ErrGivenUp, "firmament.ErrGivenUp", Refused, "publish a release with a higher sequence number"},
	{firmament.ErrJournal, "firmament.ErrJournal", Trouble, "the state directory is damaged or belongs to a newer agent; restore or re-provision the device"},
	{firmament.ErrOptions, "firmament.ErrOptions", Usage, "complete the configuration"},

	{manifest.ErrNotApplicable, "manifest.ErrNotApplicable", Refused, "publish a manifest with this device's vendor and class identifiers"},
	{manifest.ErrCondition, "manifest.ErrCondition", Refused, "a condition of the manifest does not hold on this device"},
	{manifest.ErrSequence, "manifest.ErrSequence", Refused, "publish a release with a higher sequence number"},
	{manifest.ErrLimit, "manifest.ErrLimit", Refused, "stay within the limit that the cause names"},
	{manifest.ErrUnsupported, "manifest.ErrUnsupported", Refused, "use commands that this version supports"},
	{manifest.ErrComponent, "manifest.ErrComponent", Refused, "name a component that the device has"},
	{manifest.ErrBudget, "manifest.ErrBudget", Refused, "make the manifest simpler"},

	{fetch.ErrDigest, "fetch.ErrDigest", Refused, "the payload is not what the author signed: restore it on the server, or where it came from"},
	{fetch.ErrSize, "fetch.ErrSize", Refused, "the payload does not have the signed size: restore it on the server, or where it came from"},
	{fetch.ErrRedirect, "fetch.ErrRedirect", Refused, "serve the payload without that redirect"},

	{install.ErrBusy, "install.ErrBusy", Trouble, "another agent works on this device: wait for it, or stop it"},
	{install.ErrVerifyAfterWrite, "install.ErrVerifyAfterWrite", Trouble, "the slot's medium is failing: replace it"},
	{install.ErrBounds, "install.ErrBounds", Refused, "the image does not fit the slot: make it smaller or the slot larger"},
	{install.ErrNoBootable, "install.ErrNoBootable", Refused, "no slot holds what the boot record says: re-provision the device"},
	{install.ErrUnconfirmed, "install.ErrUnconfirmed", Refused, "accept or reject the image on trial, and reboot, first"},
	{install.ErrState, "install.ErrState", Refused, "look at the status"},

	{manifest.ErrDigest, "manifest.ErrDigest", Refused, "these are not the bytes that were signed for: restore the payload or the component, or sign the release again"},
	{manifest.ErrCommand, "manifest.ErrCommand", Refused, "correct the manifest"},
	{manifest.ErrNotCanonical, "manifest.ErrNotCanonical", Refused, "encode the envelope deterministically (RFC 8949, section 4.2)"},
	{manifest.ErrMalformed, "manifest.ErrMalformed", Refused, "this is not a SUIT envelope, or a damaged one"},
	{processor.ErrAbsent, "processor.ErrAbsent", Refused, "ask for a section that the manifest has"},
	{processor.ErrOptions, "processor.ErrOptions", Usage, "complete the configuration"},
	{processor.ErrJournal, "processor.ErrJournal", Trouble, "the journal cannot be read or written: check the disk"},

	{verify.ErrKeyRevoked, "verify.ErrKeyRevoked", Refused, "sign with a key that is not revoked"},
	{verify.ErrKeyUnknown, "verify.ErrKeyUnknown", Refused, "sign with a key that the device was provisioned with"},
	{verify.ErrAlgorithm, "verify.ErrAlgorithm", Refused, "use what this version supports: P-256 or Ed25519 keys and their algorithms, and digests by SHA-256, SHA-384 or SHA-512"},
	{verify.ErrSignature, "verify.ErrSignature", Refused, "the bytes are not what was signed, or not by a key that is trusted here: fetch or sign them again"},
	{verify.ErrThreshold, "verify.ErrThreshold", Refused, "collect the missing signatures"},
	{verify.ErrDecrypt, "verify.ErrDecrypt", Refused, "give the device the key that it was encrypted for, or encrypt it again"},
	{verify.ErrExpired, "verify.ErrExpired", Refused, "sign it again with a later time"},
	{verify.ErrClock, "verify.ErrClock", Refused, "give the device a time that it can trust"},
	{verify.ErrCounter, "verify.ErrCounter", Trouble, "the anti-rollback counter cannot be read or written: check the disk, or provision the device again"},
	{verify.ErrPolicy, "verify.ErrPolicy", Refused, "satisfy the device's policy"},

	{fetch.ErrRefused, "fetch.ErrRefused", Trouble, "does the server have that file? publish a release, or correct the server's address"},
	{fetch.ErrEncoding, "fetch.ErrEncoding", Trouble, "have the server send files as they are, without compression"},
	{fetch.ErrResource, "fetch.ErrResource", Refused, "sign the release again with a usable address and chunk size"},
	{fetch.ErrBudget, "fetch.ErrBudget", Trouble, "allow as many bytes as that takes, or wait for a connection that costs less; what was verified is kept"},
	{fetch.ErrStalled, "fetch.ErrStalled", Trouble, "try again later or from another network; what was verified is kept"},
	{fetch.ErrRange, "fetch.ErrRange", Trouble, "the server answers ranges wrongly: use another"},
	{fetch.ErrTLS, "fetch.ErrTLS", Trouble, "is the clock right, and the server's name and certificate? trust its authority here, or use another server"},
	{fetch.ErrAnswer, "fetch.ErrAnswer", Trouble, "is that a web server? correct its address, or use another"},
	{fetch.ErrLimit, "fetch.ErrLimit", Trouble, "use another server"},
	{fetch.ErrTransport, "fetch.ErrTransport", Trouble, "is the server running and reachable? what was verified is kept; try again"},
}

// AddRules puts rules of packages that not every command links in front.
func AddRules(r ...Rule) { rules = append(r, rules...) }

// Explain finds the first rule that fits err. What no rule fits is trouble.
func Explain(err error) Explanation {
	e := explain(err)
	_, e.Reboot = errors.AsType[rebootError](err)
	return e
}

func explain(err error) Explanation {
	for _, r := range slices.Concat(own, rules) {
		if errors.Is(err, r.Err) {
			return Explanation{Result: "error", Error: r.Name, Cause: err.Error(), Next: r.Next, Exit: r.Exit}
		}
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return Explanation{Result: "error", Error: "network", Cause: err.Error(), Next: "check the address, and that nothing else uses it", Exit: Trouble}
	}
	var path *fs.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) {
		return Explanation{Result: "error", Error: "disk", Cause: err.Error(), Next: "check the path, who may write there, and the free space", Exit: Trouble}
	}
	return Explanation{Result: "error", Error: "error", Cause: err.Error(), Exit: Trouble}
}
