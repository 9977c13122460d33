// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/plan"
	"github.com/firmament-dev/firmament/verify"
)

func ExamplePlanner() {
	ctx := context.Background()
	old := bytes.Repeat([]byte("firmware 1.0, the first\n"), 10_000)
	image := append([]byte("firmware 1.1, with a new header\n"), old...)

	// The author signs digest, size and chunk digests of the image. Whoever publishes adds a patch.
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), fetch.MinChunkSize)
	if err != nil {
		fmt.Println(err)
		return
	}
	var patch writerAt // such as an *os.File
	info, err := delta.Make(ctx, bytes.NewReader(old), bytes.NewReader(image), &patch, delta.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	digest := verify.Sum(verify.SHA256, image)
	offers := plan.Offers{Payloads: []plan.Payload{{Digest: digest, Size: int64(len(image)), Deltas: []plan.Delta{{
		From: plan.Old{Digest: verify.Sum(verify.SHA256, old), Size: int64(len(old))},
		URI:  "image.delta", Size: info.Size, Digest: info.Digest, Memory: info.Memory,
	}}}}}
	custom, err := offers.Custom(nil) // goes into the custom object of the TUF target
	if err != nil {
		fmt.Println(err)
		return
	}

	// The device has the old image, and asks for the new one.
	server := &source{files: map[string][]byte{"image": image, "image.chunks": pages, "image.delta": patch.data}}
	resource := fetch.Resource{URI: "image", Size: int64(len(image)), Digest: digest, Chunks: &fetch.Chunks{Root: root, Size: fetch.MinChunkSize}}
	var slot sink // such as an install.Writer
	stats, err := plan.Planner{}.Fetch(ctx, fetch.Options{Source: server, MaxBytes: 50_000}, resource, fetch.Help{Offers: custom, Running: section(old)}, &slot)
	fmt.Println(err, bytes.Equal(slot.data, image), stats.Way, stats.Network < 5000)
	// Output:
	// <nil> true delta true
}
