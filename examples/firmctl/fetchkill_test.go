// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fullKill makes TestM2_FetchKilled fetch 1 GiB, and kill 100 times, for each way.
const fullKill = "FIRMAMENT_FETCH_KILL_FULL"

// A tripwire is a server for one folder that counts the bytes of the payload it sends, and says when so many have left.
type tripwire struct {
	http.Handler
	mu   sync.Mutex
	sent int64
	at   int64 // 0: never
	trip chan struct{}
}

func (s *tripwire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, ".chunks") {
		s.Handler.ServeHTTP(w, r)
		return
	}
	s.Handler.ServeHTTP(tripWriter{w, s}, r)
}

// arm sets the next trip and returns the channel that is closed then.
func (s *tripwire) arm(after int64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.trip = s.sent+after, make(chan struct{})
	return s.trip
}

func (s *tripwire) total() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

type tripWriter struct {
	http.ResponseWriter
	s *tripwire
}

func (w tripWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.sent += int64(n)
	if w.s.at > 0 && w.s.sent >= w.s.at {
		w.s.at = 0
		close(w.s.trip)
	}
	return n, err
}

// inFlight is what the kernel may hold of a connection: bytes that left the server and never reached the process. The
// server's side is kept small; the client's grows up to net.ipv4.tcp_rmem.
func inFlight(t *testing.T) int64 {
	var smallest, usual, most int64
	if f, err := os.Open("/proc/sys/net/ipv4/tcp_rmem"); err == nil {
		defer f.Close()
		if _, err := fmt.Fscan(bufio.NewReader(f), &smallest, &usual, &most); err == nil {
			return most + sendBuffer
		}
	}
	t.Skip("needs Linux with /proc mounted (mount -t proc proc /proc), to tell how much the system buffers: no /proc/sys/net/ipv4/tcp_rmem")
	return 0
}

const sendBuffer = 256 << 10

// TestM2_FetchKilled kills firmctl fetch, a process of its own, with SIGKILL, whenever a random number of bytes has left the server. What
// is fetched twice for a kill is at most a chunk for each range, what is synced at a time, and what the kernel held; the
// file is right in the end, and there only then.
func TestM2_FetchKilled(t *testing.T) {
	size, kills := 64<<20, 6
	if os.Getenv(fullKill) != "" {
		size, kills = 1<<30, 100
	} else {
		t.Logf("%d MiB and %d kills; %s=1 for 1 GiB and 100", size>>20, kills, fullKill)
	}
	dir := t.TempDir()
	www := filepath.Join(dir, "www")
	if err := os.Mkdir(www, 0o755); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(www, "image")
	digest := writeNoise(t, image, size)
	root := firmctl(t, 0, "chunk", "make", image)["root"].(string)
	const chunk = 256 << 10
	for _, way := range []struct {
		name  string
		args  []string
		bound int64
	}{
		{"whole", nil, chunk + syncEvery},
		{"index", []string{"--index", image + ".caibx"}, chunk + syncEvery},
		{"chunks", []string{"--root", root}, chunk + syncEvery},
		{"parallel", []string{"--root", root, "--parallel", "3"}, 3*chunk + syncEvery},
	} {
		t.Run(way.name, func(t *testing.T) {
			server := &tripwire{Handler: http.FileServer(http.Dir(www))}
			url := listen(t, server)
			out := filepath.Join(dir, way.name)
			args := append([]string{"fetch", "--json", "--url", url + "/image", "--sha256", digest, "--size", fmt.Sprint(size), "--out", out}, way.args...)
			// Kills at random places of the payload, in the order in which a download meets them.
			r := rand.New(rand.NewPCG(3, 4))
			var places []int
			for range kills {
				places = append(places, r.IntN(size))
			}
			slices.Sort(places)
			last, killed := 0, 0
			for _, place := range places {
				if killAfter(t, server, int64(place-last), args, out, digest) {
					killed++
				}
				last = place
			}
			if killed < kills/2 {
				t.Errorf("only %d of %d processes were killed on the way", killed, kills)
			}
			done, final := finish(t, args)
			if got := digestOf(t, out); got != digest {
				t.Errorf("digest %s, want %s", got, digest)
			}
			twice := server.total() - int64(size)
			bound := int64(killed) * (way.bound + inFlight(t))
			t.Logf("%d kills: %d bytes left the server twice, %d for each; the last process resumed at %.0f and printed %s", killed, twice, twice/int64(max(killed, 1)), done["resumed_from"], final)
			if twice > bound {
				t.Errorf("%d bytes twice in %d kills, want at most %d", twice, killed, bound)
			}
			left, _ := filepath.Glob(filepath.Join(dir, "*"+way.name+".*"))
			if len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
			os.Remove(out)
		})
	}
}

func listen(t *testing.T, h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(sendBuffer / 2) // the kernel doubles it
		return ctx
	}}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return "http://" + l.Addr().String()
}

// killAfter runs firmctl and kills it when so many bytes have left the server, if it is not done by then.
func killAfter(t *testing.T, server *tripwire, bytes int64, args []string, out, digest string) (killed bool) {
	trip := server.arm(max(bytes, 1))
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-trip:
		cmd.Process.Kill()
		killed = <-ended != nil
	case err := <-ended:
		if err != nil {
			t.Fatalf("firmctl: %v", err)
		}
	}
	if _, err := os.Stat(out); err == nil && digestOf(t, out) != digest {
		t.Fatal("another file than the right one appeared")
	}
	return killed
}

func finish(t *testing.T, args []string) (object map[string]any, line string) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if err := json.Unmarshal(b, &object); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return object, strings.TrimSpace(string(b))
}

func writeNoise(t *testing.T, name string, size int) string {
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, h), rand.NewChaCha8([32]byte{7}), int64(size))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func digestOf(t *testing.T, name string) string {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
