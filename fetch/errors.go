// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/firmament-dev/firmament/verify"
)

// Errors to branch on. Each is found with errors.Is.
var (
	// ErrTransport says that the connection or the server failed in a way that may pass. Fetch returns it
	// when its budget of retries is spent; trying again later is right.
	ErrTransport = errors.New("fetch: transport failed")
	// ErrStalled says that a server was silent or slower than the minimum rate. It comes as *StallError, which is ErrTransport too.
	ErrStalled = errors.New("fetch: stalled")
	// ErrTLS says that server and client do not trust each other: a certificate that is expired, not valid yet, of an unknown authority or for another name, or
	// no TLS that both speak. It is ErrTransport, too, since a clock that is set, or another network, can put it right; Fetch does not try again.
	ErrTLS = fmt.Errorf("fetch: TLS without trust: %w", ErrTransport)
	// ErrAnswer says that what came is no HTTP answer, or none that makes sense. It is ErrTransport, too; the third in a row ends a download.
	ErrAnswer = fmt.Errorf("fetch: no proper answer: %w", ErrTransport)
	// ErrLimit says that the header of an answer is longer than the source allows. It is ErrTransport, too; Fetch does not try again.
	ErrLimit = fmt.Errorf("fetch: header too long: %w", ErrTransport)
	// ErrRefused says that the server gave an answer that trying again will not change. It comes as *StatusError.
	ErrRefused = errors.New("fetch: refused by the server")
	// ErrSize says that the server's file has not the signed size, or a small file exceeds its limit. It comes as *SizeError.
	ErrSize = errors.New("fetch: wrong size")
	// ErrDigest says that a chunk, a page or a whole payload is not what was signed. It comes as *DigestError.
	ErrDigest = errors.New("fetch: wrong digest")
	// ErrRange says that the answer to a range request is not that range.
	ErrRange = errors.New("fetch: wrong range")
	// ErrRedirect says that the server redirected to where the source does not follow.
	ErrRedirect = errors.New("fetch: redirect not followed")
	// ErrEncoding says that the bytes arrived in a content encoding nobody asked for.
	ErrEncoding = errors.New("fetch: content encoding not asked for")
	// ErrBudget says that the download would take more bytes than Options.MaxBytes. What was verified is kept.
	ErrBudget = errors.New("fetch: byte budget spent")
	// ErrResource says that the Resource, the Sink or the Options do not fit together; no request was made.
	ErrResource = errors.New("fetch: unusable resource")
)

// A StatusError is an HTTP status, or a source's equivalent of one, that is no success. It is ErrTransport when
// Temporary, else ErrRefused; 403, 404 and 410 are fs.ErrNotExist as well (stores that
// hide what exists answer 403).
type StatusError struct {
	URI        string        // without user information and query
	Status     int           // HTTP status code
	RetryAfter time.Duration // what the server asked for; 0 if nothing
}

// Temporary reports whether the status may pass: 408, 425, 429, and 5xx but for those that say what the server cannot do (501, 505, 506, 510) or that somebody has to
// log in (511).
func (e *StatusError) Temporary() bool {
	switch e.Status {
	case 408, 425, 429:
		return true
	case 501, 505, 506, 510, 511:
		return false
	}
	return e.Status/100 == 5
}

// Error names the status.
func (e *StatusError) Error() string {
	return fmt.Sprintf("fetch: %s answered %d", e.URI, e.Status)
}

// Is makes the classes above findable.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrTransport:
		return e.Temporary()
	case ErrRefused:
		return !e.Temporary()
	case fs.ErrNotExist:
		return e.Status == 403 || e.Status == 404 || e.Status == 410
	}
	return false
}

// A StallError says how slow was too slow. It is ErrStalled and ErrTransport.
type StallError struct {
	Step  string        // "answer", "idle" or "rate"
	Bytes int64         // what arrived in Over
	Over  time.Duration // the deadline or window that passed
}

// Error tells the step, the bytes and the time.
func (e *StallError) Error() string {
	return fmt.Sprintf("fetch: stalled (%s): %d bytes in %v", e.Step, e.Bytes, e.Over)
}

// Unwrap makes both classes findable.
func (e *StallError) Unwrap() []error { return []error{ErrStalled, ErrTransport} }

// Timeout reports true, so that a caller can tell a stall without importing this package.
func (e *StallError) Timeout() bool { return true }

// A SizeError is ErrSize. Either Want is the signed size, or Max the limit that a file exceeds.
type SizeError struct {
	URI  string // without user information and query
	Want int64  // 0 if only bounded
	Max  int64  // 0 if Want is set
	Seen int64  // what the server announced or sent; with Max, possibly only the first byte too many

	ended bool // it was not announced: the body ended there
}

// Error tells what was expected and seen.
func (e *SizeError) Error() string {
	if e.TooLong() {
		return fmt.Sprintf("fetch: %s has at least %d bytes, at most %d allowed", e.URI, e.Seen, e.Max)
	}
	return fmt.Sprintf("fetch: %s has %d bytes, signed are %d", e.URI, e.Seen, e.Want)
}

// Unwrap returns ErrSize.
func (e *SizeError) Unwrap() error { return ErrSize }

// Is makes a body that ended before the signed size an ErrTransport, too: it may have been cut short on the way.
func (e *SizeError) Is(target error) bool { return e.ended && target == ErrTransport }

// TooLong reports whether a limit was exceeded, so that a caller can tell without importing this package.
func (e *SizeError) TooLong() bool { return e.Max > 0 }

// A DigestError is ErrDigest: it says which part is not what the author signed.
type DigestError struct {
	Part   string // "chunk", "page" or "payload"
	Number int64  // of the chunk or page, from zero
	Offset int64  // of its first byte in the payload or page file
	Want   verify.Digest
	Got    verify.Digest
}

// Error tells the part and both digests.
func (e *DigestError) Error() string {
	if e.Part == "payload" {
		return fmt.Sprintf("fetch: payload is %v, signed is %v", e.Got, e.Want)
	}
	return fmt.Sprintf("fetch: %s %d at offset %d is %v, signed is %v", e.Part, e.Number, e.Offset, e.Got, e.Want)
}

// Unwrap returns ErrDigest.
func (e *DigestError) Unwrap() error { return ErrDigest }

// RedactURI returns uri without user information, query and fragment: the form in which it may appear in errors
// and logs. A string that is no URI becomes "(unreadable uri)".
func RedactURI(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "(unreadable uri)"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}
