// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
)

// ownPeakRSS is the peak resident set of this program alone, 0 if the system does not tell.
func ownPeakRSS() (n int64) {
	status, _ := os.ReadFile("/proc/self/status") // see proc_pid_status(5)
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscan(after, &n) // kB
	return n << 10
}
