// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/memdevice"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// interprets runs manifests of more and more commands on a device in memory, and shows what one command takes.
func interprets(ctx context.Context, r *report) error {
	counts := []int{10, 100, 1000}
	var sides []side
	for _, n := range counts {
		run, err := interpretation(ctx, n, 0)
		if err != nil {
			return err
		}
		sides = append(sides, side{fmt.Sprint(n), run})
	}
	// A condition that does not hold ends the run.
	if wrong, err := interpretation(ctx, counts[0], 1); err != nil {
		return err
	} else if err := wrong(); !errors.Is(err, manifest.ErrCondition) {
		return fmt.Errorf("a wrong slot: %v", err)
	}
	timings, err := compare(ctx, sides)
	if err != nil {
		return err
	}
	var rows [][]string
	each := func(i int) time.Duration { return timings[i].cpu / time.Duration(counts[i]) }
	for i, n := range counts {
		rows = append(rows, []string{fmt.Sprint(n), timings[i].cpu.String(), each(i).String(),
			fmt.Sprintf("%.2f", float64(each(i))/float64(each(1))), fmt.Sprintf("%.1f", timings[i].allocs/float64(n))})
	}
	return r.table("run a section of so many commands, rehearsal included",
		[]string{"commands", "CPU", "per command", "to that of 100", "allocations per command"}, rows)
}

// interpretation returns the run of a manifest whose validate section sets a slot and tests it, over and over.
func interpretation(ctx context.Context, commands int, slot uint64) (func() error, error) {
	vendor := author.VendorID("example.com")
	class := author.ClassID(vendor, "bench")
	b := author.Builder{SequenceNumber: 1}
	at := b.Component(manifest.ComponentID{{0}})
	b.Compatibility(at, vendor, class, nil)
	for range commands / 2 {
		b.Add(manifest.SectionValidate, at,
			manifest.Command{Code: manifest.DirectiveOverrideParameters, Parameters: &manifest.Parameters{Slot: &slot}},
			manifest.Command{Code: manifest.ConditionComponentSlot})
	}
	envelope, err := b.Build()
	if err != nil {
		return nil, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signed, keys, err := sign(ctx, envelope, private)
	if err != nil {
		return nil, err
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		return nil, err
	}
	v, err := manifest.OpenBytes(signed, keys, policy)
	if err != nil {
		return nil, err
	}
	o := processor.Options{Platform: &memdevice.Device{}, Identity: processor.Identity{VendorID: vendor, ClassID: class}}
	return func() error {
		p, err := processor.New(ctx, v, o)
		if err != nil {
			return err
		}
		return p.Run(ctx, manifest.SectionValidate)
	}, nil
}
