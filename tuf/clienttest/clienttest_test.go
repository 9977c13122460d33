// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/tuf/clienttest"
)

// TestM1_EveryID: the cases are those of the suite, each once, and ours.
func TestM1_EveryID(t *testing.T) {
	data, err := os.ReadFile("testdata/ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(data)), "\n")
	var got []string
	ours := 0
	for _, c := range clienttest.Cases() {
		if strings.HasPrefix(c.ID, "beyond::") {
			ours++
			continue
		}
		got = append(got, c.ID)
	}
	slices.Sort(want)
	slices.Sort(got)
	for _, id := range want {
		if !slices.Contains(got, id) {
			t.Errorf("%s has no case", id)
		}
	}
	if len(want) != 113 || len(got) != len(want) {
		t.Errorf("%d cases for %d ids of 113", len(got), len(want))
	}
	t.Logf("%d ids of the suite, %d cases beyond it", len(got), ours)
}
