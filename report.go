// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
)

// maxReason is how many bytes of a reason a report keeps.
const maxReason = 512

// A Report tells the status tracker (RFC 9019) how a release ended on this device: confirmed (Updated) or reverted
// (Rejected by the device's own health check, Failed when the boot loader went back). Reports survive power cuts and
// are kept in order until they are delivered; the Updater never waits for that.
type Report struct {
	ID       uint64 // grows by one with each report of this device
	State    install.State
	Release  Release
	Reason   string   // why it was reverted; at most 512 bytes, for people
	Download Download // how its image came
}

// Reports returns the reports that are not delivered yet, oldest first; at most 64, the oldest are dropped beyond. Send them, in order, and call Delivered for each
// that has arrived: a report may arrive twice, with the same ID, if power fails in between.
func (u *Updater) Reports() []Report {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.j.state.reports)
}

// Delivered records that the report with that ID has arrived. Durable when it returns nil. Unknown IDs are ignored.
func (u *Updater) Delivered(id uint64) error {
	if err := u.use(); err != nil {
		return err
	}
	defer u.mu.Unlock()
	if !slices.ContainsFunc(u.j.state.reports, func(r Report) bool { return r.ID == id }) {
		return nil
	}
	return u.j.append(&record{Kind: kindDelivered, ID: id})
}

// An EventKind says what an Event is about.
type EventKind uint8

// The events, in the order in which an update brings them.
const (
	EventFound    EventKind = iota + 1 // Check found a release to install
	EventFetching                      // Progress moved
	EventFetched                       // the image is whole and verified in its place: Download, Fallbacks
	EventStaged                        // the next boot tries the release
	EventTrial                         // the release runs, unconfirmed
	EventAccepted                      // the release is confirmed
	EventReverted                      // the release was rejected, or given up by the boot loader
)

var eventNames = [...]string{EventFound: "found", EventFetching: "fetching", EventFetched: "fetched", EventStaged: "staged",
	EventTrial: "trial", EventAccepted: "accepted", EventReverted: "reverted"}

// String returns a lower-case word, such as "staged".
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown"
}

// An Event is a step that an Updater took. It is for showing; what is durable is in Status and Reports.
type Event struct {
	Kind      EventKind
	Release   Release
	Progress  fetch.Progress   // with EventFetching
	Download  Download         // with EventFetched
	Fallbacks []fetch.Fallback // with EventFetched: why cheaper ways were not taken
	Reason    string           // with EventReverted
}

func (u *Updater) emit(e Event) {
	if u.o.Events != nil {
		u.o.Events(e)
	}
}

// truncate cuts s to at most n bytes of valid UTF-8.
func truncate(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
