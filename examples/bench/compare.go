// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// A side is something that is measured inside of this process, many times, beside others.
type side struct {
	name string
	op   func() error
}

// A timing is what one side took, the median of all rounds.
type timing struct {
	cpu           time.Duration // of all threads, the garbage collector's included, for one operation
	bytes, allocs float64       // of one operation
	ratio         float64       // to the first side
}

const (
	compareRounds = 21
	compareSlice  = 20 * time.Millisecond // of CPU
)

// compare runs sides in turns, round after round, so that what else the machine does meets all of them. A ratio is
// made in each round, with the first side of that round, and the median is taken of those.
func compare(ctx context.Context, sides []side) ([]timing, error) {
	counts := make([]int, len(sides))
	for i, s := range sides {
		n, err := calibrate(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		counts[i] = n
	}
	rounds := make([][]timing, len(sides))
	for range compareRounds {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var first time.Duration
		for i, s := range sides {
			t, err := s.run(counts[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			if i == 0 {
				first = t.cpu
			}
			t.ratio = float64(t.cpu) / float64(max(first, 1))
			rounds[i] = append(rounds[i], t)
		}
	}
	out := make([]timing, len(sides))
	for i, r := range rounds {
		out[i] = timing{
			cpu:    medianOf(r, func(t timing) time.Duration { return t.cpu }),
			bytes:  medianOf(r, func(t timing) float64 { return t.bytes }),
			allocs: medianOf(r, func(t timing) float64 { return t.allocs }),
			ratio:  medianOf(r, func(t timing) float64 { return t.ratio }),
		}
	}
	return out, nil
}

func medianOf[V time.Duration | float64](rounds []timing, of func(timing) V) V {
	values := make([]V, len(rounds))
	for i, t := range rounds {
		values[i] = of(t)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// calibrate returns how many operations fill a slice.
func calibrate(s side) (int, error) {
	for n := 1; ; n *= 2 {
		t, err := s.run(n)
		if err != nil {
			return 0, err
		}
		if t.cpu*time.Duration(n) > compareSlice/2 {
			return n, nil
		}
	}
}

// run returns what each of n operations took.
func (s side) run(n int) (timing, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := processCPU()
	for range n {
		if err := s.op(); err != nil {
			return timing{}, err
		}
	}
	cpu := processCPU() - start
	runtime.ReadMemStats(&after)
	return timing{
		cpu:    cpu / time.Duration(n),
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
		allocs: float64(after.Mallocs-before.Mallocs) / float64(n),
	}, nil
}

// compare runs sides and prints a row for each.
func (r *report) compare(ctx context.Context, title string, sides []side) ([]timing, error) {
	timings, err := compare(ctx, sides)
	if err != nil {
		return nil, err
	}
	rows := make([][]string, len(sides))
	for i, t := range timings {
		rows[i] = []string{sides[i].name, t.cpu.String(), fmt.Sprintf("%.1f", t.allocs), fmt.Sprintf("%.0f", t.bytes), fmt.Sprintf("%.2f", t.ratio)}
	}
	return timings, r.table(title, []string{"what", "CPU", "allocations", "bytes", "ratio"}, rows)
}
