// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

// NumberSwaps replaces the random numbers of p's swaps, for tests that have to run the same way twice.
func NumberSwaps(p *Processor, next func() int) { p.number = next }
