// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"fmt"
	"strings"
)

// Table is the account of an exploration: how many cases were examined for each
// kind of operation and class of fault. A case is examined by recovering from
// its image, or by finding that an equal image was recovered from already.
type Table struct {
	cases [2]map[Kind]map[Class]int // by level: first and second fault

	Images   [2]int // recoveries from different images or failures, by level
	Skipped  int    // second faults left out by the limits, at random
	Distinct int    // different states, by what a recovery read
}

func newTable() *Table {
	t := &Table{}
	for i := range t.cases {
		t.cases[i] = map[Kind]map[Class]int{}
		for _, k := range kinds {
			t.cases[i][k] = map[Class]int{}
		}
	}
	return t
}

func (t *Table) count(level int, p point) { t.cases[level][p.kind][p.class]++ }

func (t *Table) add(j *job) {
	for p, n := range j.counts {
		t.cases[1][p.kind][p.class] += n
	}
	for i, n := range j.images {
		t.Images[i] += n
	}
	t.Skipped += j.skipped
}

// Cases is how many cases were examined, as first and as second fault.
func (t *Table) Cases(k Kind, c Class) (first, second int) {
	return t.cases[0][k][c], t.cases[1][k][c]
}

// Empty lists the cells in which nothing was examined, as "kind/class". Reads
// have only one, eio: power that fails during a read changes nothing.
func (t *Table) Empty() []string {
	var empty []string
	for _, k := range kinds {
		for _, c := range classes {
			first, second := t.Cases(k, c)
			if applies(k, c) && first+second == 0 {
				empty = append(empty, string(k)+"/"+string(c))
			}
		}
	}
	return empty
}

func applies(k Kind, c Class) bool { return k != Read || c == EIO }

// String prints the table. A cell is "cases as first fault+cases as second
// fault".
func (t *Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s", "operation")
	for _, c := range classes {
		fmt.Fprintf(&b, " %12s", c)
	}
	b.WriteByte('\n')
	for _, k := range kinds {
		fmt.Fprintf(&b, "%-12s", k)
		for _, c := range classes {
			cell := ""
			if first, second := t.Cases(k, c); applies(k, c) {
				cell = fmt.Sprintf("%d+%d", first, second)
			}
			fmt.Fprintf(&b, " %12s", cell)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d recoveries after a first fault, %d after a second (%d more left out by the limit), %d distinct states\n",
		t.Images[0], t.Images[1], t.Skipped, t.Distinct)
	return b.String()
}
