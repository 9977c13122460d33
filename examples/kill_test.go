// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestKilled kills the agent with SIGKILL at 20 random moments of a download and twice on trial. Each start goes on where the
// last one was, and in the end the device is as if nothing had happened.
func TestKilled(t *testing.T) {
	const (
		seed  = 1
		kills = 20
		size  = 24 << 20
		most  = 1 << 20 // of the payload for one process that is killed
	)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var left, sent atomic.Int64
	began := make(chan struct{}, 1) // bytes of the payload are on their way
	f := newFeed(t, 3, size, feedOptions{checkpoint: chunkSize, disturb: func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		return &meteredWriter{w, r, &left, &sent, began}
	}})
	agent := func() (*exec.Cmd, <-chan error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "agent"), "--dir", f.dir, "--once", "--json")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait(); close(done) }()
		return cmd, done
	}
	kill := func(cmd *exec.Cmd, done <-chan error, after time.Duration) {
		select {
		case <-time.After(after):
		case <-done:
			return // it was faster
		}
		_ = cmd.Process.Kill()
		<-done
	}

	var byBytes int
	for n := range kills {
		// The server sends no more than that, so that the end is not reached, and then nothing.
		left.Store(1 + rnd.Int64N(most-1))
		after := time.Duration(rnd.Int64N(int64(500 * time.Millisecond)))
		before := sent.Load()
		select {
		case <-began: // of the one before
		default:
		}
		cmd, done := agent()
		if n%2 == 1 { // while it fetches, however long it takes to start; the others whenever it is
			select {
			case <-began:
			case <-done:
			}
		}
		kill(cmd, done, after)
		if sent.Load() > before {
			byBytes++
		}
		if cmd.ProcessState.Success() {
			t.Fatalf("seed %d, kill %d: the agent came to an end", seed, n)
		}
	}
	if byBytes < kills/2 {
		t.Errorf("%d of %d processes were killed before their first byte of the payload", kills-byBytes, kills)
	}

	left.Store(size * 2)
	a := cycle(t, f.dir, "staged")
	if a.Kept == 0 || a.Slot != "A" || a.Accepted != 0 {
		t.Errorf("after %d kills: %+v, want slot A running and bytes kept", kills, a)
	}
	if got := f.slot(t, "B", size); got != f.image {
		t.Fatalf("slot B holds %s, want %s", got, f.image)
	}
	// A process that is killed loses what lay in sockets and the chunks since its checkpoint, and nothing before.
	if total := sent.Load(); total > size+kills*most {
		t.Errorf("the server sent %d bytes for an image of %d", total, size)
	}
	t.Logf("%d processes killed, %d of them while fetching; %d bytes sent for %d, the last process had kept %d", kills, byBytes, sent.Load(), size, a.Kept)

	for range 2 { // of the three boots on trial
		cmd, done := agent()
		kill(cmd, done, time.Duration(rnd.Int64N(int64(40*time.Millisecond))))
	}
	run(t, "agent", "--dir", f.dir, "--once").ok(t)
	end := run(t, "agent", "--dir", f.dir, "--status", "--json").ok(t).answer(t)
	if end.State != "Updated" || end.Slot != "B" || end.Accepted != 1 || end.Counter != 1 {
		t.Errorf("in the end: %+v, want release 1 confirmed in slot B", end)
	}
}

// meteredWriter sends left bytes over all answers, and then nothing until the client goes away.
type meteredWriter struct {
	http.ResponseWriter
	r          *http.Request
	left, sent *atomic.Int64
	began      chan<- struct{}
}

func (w *meteredWriter) Write(p []byte) (int, error) {
	now := w.left.Add(-int64(len(p)))
	if now < 0 {
		p = p[:max(0, int64(len(p))+now)]
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent.Add(int64(n))
	if n > 0 {
		select {
		case w.began <- struct{}{}:
		default:
		}
	}
	if now >= 0 || err != nil {
		return n, err
	}
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
	<-w.r.Context().Done()
	panic(http.ErrAbortHandler)
}
