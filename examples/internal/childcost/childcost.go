// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package childcost tells what a process that has ended used.
package childcost

import (
	"os"
	"time"
)

// A Cost is what one process used, and those that it waited for.
type Cost struct {
	CPU  time.Duration // user and system
	Wall time.Duration
	RSS  int64 // peak resident set of the largest, bytes; 0 where the system does not tell
}

// Of returns the cost of a process that took wall. p is nil if it never started.
func Of(p *os.ProcessState, wall time.Duration) Cost {
	c := Cost{Wall: wall}
	if p != nil {
		c.CPU, c.RSS = p.UserTime()+p.SystemTime(), peakRSS(p)
	}
	return c
}
