// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import "context"

// Counter is a number that only grows: an accepted sequence number, a security counter.
//
// Value returns the current number, and an error (best one that wraps ErrCounter) whenever that number cannot be known for
// certain; an implementation never answers 0 for "unreadable". Raise makes it at least to, durably:
// when Raise returns nil, every later Value, after any power cut, is to or more; when it
// returns an error or power fails meanwhile, Value is the old number or to. A to not above the
// current number changes nothing and is no error. Both may block until ctx ends and must
// be safe for concurrent use.
type Counter interface {
	Value(ctx context.Context) (uint64, error)
	Raise(ctx context.Context, to uint64) error
}
