// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/examples/internal/cli"
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

// peakMemory returns the peak of the agent's resident memory over a whole installation. The agent is asked when it has printed
// its result and before it exits; what wait4 reports would be the larger of its peak and that of the process it was forked from.
func peakMemory(t *testing.T, size int64) int64 {
	f := newFeed(t, 1, size, feedOptions{})
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "agent"), "--dir", f.dir, "--every", "1h", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	peak, perr := highWater(cmd.Process.Pid)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil || perr != nil {
		t.Fatal(err, perr)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil || a.Result != "staged" {
		t.Fatalf("agent said %s, %v", line, err)
	}
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
