// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/product"
)

// TestM5_Memory: the size of an image is not what an agent's memory depends on.
func TestM5_Memory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a slot of 512 MiB")
	}
	const limit = 4_000_000
	small, large := peakMemory(t, 16<<20), peakMemory(t, 512<<20)
	t.Logf("peak resident memory: %d bytes with 16 MiB, %d with 512 MiB, difference %d", small, large, large-small)
	if large-small > limit {
		t.Errorf("an image of 512 MiB takes %d bytes more than one of 16 MiB, want at most %d", large-small, limit)
	}
}

// TestM5_MemoryDelta: nor does it when the image comes as a delta, out of chunks that the device has, or packed.
func TestM5_MemoryDelta(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a delta between images of 24 MiB")
	}
	const limit = 4_000_000
	for _, way := range []string{"delta", "chunks", "packed"} {
		small, large := peakMemoryBy(t, way, 4<<20), peakMemoryBy(t, way, 24<<20)
		t.Logf("%s: peak resident memory %d bytes with 4 MiB, %d with 24 MiB, difference %d", way, small, large, large-small)
		if large-small > limit || large > 16<<20 {
			t.Errorf("%s: an image of 24 MiB takes %d bytes, %d more than one of 4 MiB; want at most %d more, and 16 MiB", way, large, large-small, limit)
		}
	}
}

// peakMemoryBy is peakMemory for a device that runs nearly the same image of that size.
func peakMemoryBy(t *testing.T, way string, size int64) int64 {
	dir := filepath.Join(t.TempDir(), "product")
	old := make([]byte, size)
	if _, err := io.ReadFull(newStream(1, size), old); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(nil)
	t.Cleanup(s.Close)
	p, err := product.Init(t.Context(), dir, product.Options{Name: "feed", SlotSize: size + 1<<20, Server: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if s.Config.Handler, err = product.Handler(p.RepositoryDir()); err != nil {
		t.Fatal(err)
	}
	p.Pack = way == "packed"
	if _, err := p.Provision(t.Context(), bytes.NewReader(old), size, "1"); err != nil {
		t.Fatal(err)
	}
	for at := int64(1000); at < size; at += 1_000_003 {
		old[at]++
	}
	if way != "delta" {
		p.Deltas = 0
	}
	if way == "packed" { // nothing that the device has, and three bytes of four go away
		for i := range old {
			if old[i] ^= 0x55; i%4096 >= 1024 {
				old[i] = byte(i >> 12)
			}
		}
	}
	if _, err := p.Release(t.Context(), bytes.NewReader(append(old, "more"...)), size+4, "2"); err != nil {
		t.Fatal(err)
	}
	peak, a := peakOf(t, dir)
	if a.Way != way || a.Network > size/2 {
		t.Fatalf("came by %s with %d bytes, want %s", a.Way, a.Network, way)
	}
	return peak
}

// peakMemory returns the peak of the agent's resident memory over a whole installation. The agent is asked when it has printed
// its result and before it exits; what wait4 reports would be the larger of its peak and that of the process it was forked from.
func peakMemory(t *testing.T, size int64) int64 {
	f := newFeed(t, 1, size, feedOptions{})
	peak, _ := peakOf(t, f.dir)
	if got := f.slot(t, "B", size); got != f.image {
		t.Fatalf("slot B holds %s, want %s", got, f.image)
	}
	// The test's own disk is wanted back early.
	if err := os.Remove(filepath.Join(f.dir, "device", "slot-b.img")); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s image: %s peak", cli.Bytes(size), cli.Bytes(peak))
	return peak
}

func peakOf(t *testing.T, dir string) (int64, answer) {
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "agent"), "--dir", dir, "--every", "1h", "--json")
	return firstAnswer(t, cmd, "staged", highWater)
}

// firstAnswer starts an agent, measures it when it has given its first answer, whose result must be want, and ends it.
func firstAnswer(t *testing.T, cmd *exec.Cmd, want string, measure func(pid int) (int64, error)) (int64, answer) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	bytes, merr := measure(cmd.Process.Pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || merr != nil {
		t.Fatal(err, merr)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil || a.Result != want {
		t.Fatalf("agent said %s, %v", line, err)
	}
	return bytes, a
}

// highWater returns VmHWM of a process, in bytes.
func highWater(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no VmHWM for process %d", pid)
}
