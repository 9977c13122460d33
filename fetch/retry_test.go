// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

// What trying again will not change is told at once, or the third time; with a second place that may pass, as ever.
func TestWhatDoesNotPass(t *testing.T) {
	for _, test := range []struct {
		err   error
		tries int
	}{
		{fmt.Errorf("x509: %w", fetch.ErrTLS), 1}, {fmt.Errorf("header: %w", fetch.ErrLimit), 1}, {&fetch.StatusError{Status: 501}, 1}, {&fetch.StatusError{Status: 505}, 1},
		{&fetch.StatusError{Status: 511}, 1}, {&fetch.StatusError{Status: 999}, 1}, {fmt.Errorf("220 mail: %w", fetch.ErrAnswer), 3},
		{&fetch.StatusError{Status: 502}, 9}, {errCut, 9},
	} {
		t.Run(test.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelease(t, noise(1, step))
				s, m := places(t, r)
				s.open = func(int, request) error { return test.err }
				if _, err := newFetcher(t, fetch.Options{Source: s}).Fetch(t.Context(), r.res, &recorder{}); !errors.Is(err, test.err) || len(s.requests) != test.tries {
					t.Errorf("error %v after %d requests, want %d", err, len(s.requests), test.tries)
				}
				s.requests = nil
				s.open = func(n int, q request) error {
					if !fromSecond(q) {
						return test.err
					}
					if n < 4 {
						return &fetch.StatusError{Status: 503}
					}
					return nil
				}
				start := time.Now()
				if _, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, &recorder{}); err != nil || time.Since(start) > 4*time.Second {
					t.Errorf("with a second place that was busy: %v in %v", err, time.Since(start))
				}
			})
		})
	}
}
