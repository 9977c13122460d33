// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// slow is a store whose components take their time to compare and to write.
type slow struct {
	*store
	match, write time.Duration
	busy, max    int
	asked        int // how often something was compared
}

func (p *slow) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := p.store.Component(id)
	return slowCell{c.(*cell), p}, err
}

type slowCell struct {
	*cell
	p *slow
}

func (c slowCell) Match(ctx context.Context, want verify.Digest, size int64) error {
	c.p.asked++
	c.p.takes(c.p.match)
	return c.cell.Match(ctx, want, size)
}

func (c slowCell) Write(ctx context.Context, r processor.WriteRequest) error {
	c.p.takes(c.p.write)
	return c.cell.Write(ctx, r)
}

func (p *slow) takes(d time.Duration) {
	p.mu.Lock()
	p.busy++
	p.max = max(p.max, p.busy)
	p.mu.Unlock()
	<-time.After(d)
	p.mu.Lock()
	p.busy--
	p.mu.Unlock()
}

// In an alternative that may still fail, no job has an effect that the rehearsal has not seen because one before it fails.
func TestParallelInAlternative(t *testing.T) {
	for name, match := range map[string]time.Duration{"slow answer": time.Second, "fast answer": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &slow{store: newStore(map[string]string{"00": "zero", "01": "one", "02": "two"}), match: match, write: time.Millisecond}
				first := seq{lax(false), run(index(0), of("other"), imageMatch), run(index(1), con("first"), write)}
				second := seq{index(2), con("second"), write}
				v := open(t, release(3, shared(), seq{index(0), try(first, second)}, nil))
				if err := startWith(t, v, processor.Options{Platform: p, Identity: identity}, manifest.SectionInstall); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff([]string{"write 02"}, p.log); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// However commands are nested, no more components are worked on at once than Limits.Parallel.
func TestCMD_05_ParallelNested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &slow{store: newStore(map[string]string{"00": "", "01": "", "02": "", "03": "", "04": "", "05": ""}), write: time.Second}
		v := open(t, release(6, shared(all(), con("x")), seq{index(0), lax(false), run(indices(0, 1, 2), lax(false), write), run(indices(3, 4, 5), lax(false), write)}, nil))
		err := startWith(t, v, processor.Options{Platform: p, Identity: identity, Limits: processor.Limits{Parallel: 2}}, manifest.SectionInstall)
		if err != nil || p.max != 2 {
			t.Errorf("got %v, %d at once", err, p.max)
		}
	})
}
