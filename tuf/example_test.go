// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// One update by hand, on bytes. tuf/client does this with a network, a cache and a clock.
func ExampleSet() {
	repo := tuftest.New() // stands for the files of a repository
	set, err := tuf.NewSet(repo.Root(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := set.UpdateTimestamp(repo.Files["metadata/timestamp.json"], repo.Now); err != nil {
		fmt.Println(err)
		return
	}
	if err := set.UpdateSnapshot(repo.Files["metadata/1.snapshot.json"], repo.Now); err != nil {
		fmt.Println(err)
		return
	}
	if err := set.UpdateTargets(repo.Files["metadata/1.targets.json"], repo.Now); err != nil {
		fmt.Println(err)
		return
	}
	file, err := set.Targets().Target("fw/a.suit")
	fmt.Println(file.Length, err)
	fmt.Println(errors.Is(file.Verify([]byte("two")), tuf.ErrHash))
	// Output:
	// 3 <nil>
	// true
}
