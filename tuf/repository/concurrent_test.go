// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// between calls f before the n-th operation, once.
type between struct {
	repository.Storage
	n int
	f func()
}

func (b *between) step() {
	if b.n--; b.n == 0 {
		b.f()
	}
}

func (b *between) Get(ctx context.Context, name string, max int64) ([]byte, repository.Tag, error) {
	b.step()
	return b.Storage.Get(ctx, name, max)
}

func (b *between) Put(ctx context.Context, name string, data io.Reader, old repository.Tag) error {
	b.step()
	return b.Storage.Put(ctx, name, data, old)
}

func (b *between) List(ctx context.Context, dir string) ([]string, error) {
	b.step()
	return b.Storage.List(ctx, dir)
}

func (b *between) Delete(ctx context.Context, name string) error {
	b.step()
	return b.Storage.Delete(ctx, name)
}

func deviceOf(t *testing.T, s repository.Storage, root []byte, now time.Time) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Root: root, Remote: served{s}, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Somebody else publishes before each single step of every kind of publication. Both are then there, and at no time does a client refuse.
func TestRebase(t *testing.T) {
	ctx := t.Context()
	now := start
	bin := testkeys.Ed25519(100)
	newSigners := map[tuf.Role][]verify.Signer{
		tuf.RoleTimestamp: {testkeys.P256(30)}, tuf.RoleSnapshot: {testkeys.P256(31)}, tuf.RoleTargets: {testkeys.Ed25519(32)},
	}
	all := func() repository.Options { // of somebody who was told of the new keys already
		o := options(&now)
		o.Signers["bin"] = []verify.Signer{bin}
		for role, signers := range newSigners {
			o.Signers[role] = append(o.Signers[role], signers...)
		}
		return o
	}
	first := map[string][]byte{"fw/a": []byte("a one"), "fw/gone": []byte("gone")}
	for name, c := range map[string]struct {
		old  bool // the others have the old keys only
		do   func(r *repository.Repository) error
		want map[string]string
	}{
		"publish": {true, func(r *repository.Repository) error {
			return r.Publish(ctx, map[string][]byte{"fw/a": []byte("a two")})
		}, map[string]string{"fw/a": "a two"}},
		"withdraw": {true, func(r *repository.Repository) error { return r.Withdraw(ctx, "fw/gone") }, map[string]string{"fw/gone": ""}},
		"bins": {true, func(r *repository.Repository) error {
			return r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: 2, Keys: keysOf(t, bin)}})
		}, nil},
		"refresh": {true, func(r *repository.Repository) error {
			now = now.Add(36 * time.Hour)
			_, err := r.Refresh(ctx)
			return err
		}, nil},
		"rotate": {false, func(r *repository.Repository) error {
			return r.RotateRoot(ctx, repository.RootChange{Signers: newSigners})
		}, nil},
		"rotate, old only": {true, func(r *repository.Repository) error {
			return r.RotateRoot(ctx, repository.RootChange{Signers: newSigners})
		}, nil},
		"rotate root alone": {true, func(r *repository.Repository) error { return r.RotateRoot(ctx, repository.RootChange{}) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				now = start
				memory := repository.NewMemory()
				o := options(&now)
				o.Signers["bin"] = []verify.Signer{bin}
				r, err := repository.Create(ctx, memory, o)
				if err == nil {
					err = r.Publish(ctx, first)
				}
				if err != nil {
					t.Fatal(err)
				}
				root, err := r.Root(ctx)
				if err != nil {
					t.Fatal(err)
				}
				device := deviceOf(t, memory, root, start)
				others := all()
				if c.old {
					others = o
				}
				other, err := repository.Open(ctx, memory, others)
				if err != nil {
					t.Fatal(err)
				}
				called, published := false, false
				slow := &between{memory, n, func() {
					called = true
					err := other.Publish(ctx, map[string][]byte{"fw/b": []byte("b")})
					if published = err == nil; err != nil && !(c.old && errors.Is(err, repository.ErrIncomplete)) {
						t.Errorf("before step %d: the other: %v", n, err)
					}
					for _, c := range []*client.Client{device, deviceOf(t, memory, root, start)} {
						if _, err := c.Find(ctx, "fw/a"); err != nil {
							t.Errorf("before step %d: a client: %v", n, err)
						}
					}
				}}
				r, err = repository.Open(ctx, slow, o)
				if err == nil {
					err = c.do(r)
				}
				if err != nil {
					t.Fatalf("step %d: %v", n, err)
				}
				if !called {
					break
				}
				want := map[string]string{"fw/a": "a one", "fw/gone": "gone"}
				if published {
					want["fw/b"] = "b"
				}
				for name, content := range c.want {
					want[name] = content
				}
				device = deviceOf(t, memory, root, now)
				for name, content := range want {
					if data, err := device.Find(ctx, name); string(data) != content || content == "" && !errors.Is(err, tuf.ErrTargetUnknown) || content != "" && err != nil {
						t.Errorf("step %d: %s: %q, %v, want %q", n, name, data, err, content)
					}
				}
				if n > 200 {
					t.Fatal("it does not end")
				}
			}
		})
	}
}

const (
	publishers = 4
	releases   = 6
)

// publishMany is one publisher among several. It says when a release is published.
func publishMany(ctx context.Context, s repository.Storage, who int, said io.Writer) error {
	now := start
	r, err := repository.Open(ctx, s, options(&now))
	for i := 0; i < releases && err == nil; i++ {
		if i > 0 {
			fmt.Fprintf(said, "published %d\n", i-1)
		}
		err = r.Publish(ctx, map[string][]byte{fmt.Sprintf("fw/%d/%d", who, i): fmt.Appendf(nil, "%d %d", who, i), "fw/shared": fmt.Appendf(nil, "%d", who)})
	}
	return err
}

// publishedAll checks what publishMany made together: nothing is lost, and each publication has its version of its own.
func publishedAll(t *testing.T, s repository.Storage, root []byte) {
	t.Helper()
	device := deviceOf(t, s, root, start)
	for who := range publishers {
		for i := range releases {
			name, want := fmt.Sprintf("fw/%d/%d", who, i), fmt.Sprintf("%d %d", who, i)
			if data, err := device.Find(t.Context(), name); err != nil || string(data) != want {
				t.Errorf("%s: %q, %v, want %q", name, data, err, want)
			}
		}
	}
	now := start
	r, err := repository.Open(t.Context(), s, options(&now))
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Expiries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Role == tuf.RoleTimestamp && e.Version != 1+publishers*releases {
			t.Errorf("timestamp version %d after %d publications", e.Version, publishers*releases)
		}
	}
}

// Goroutines publish to one storage in memory, while clients read it. Run it with -race.
func TestConcurrentPublishers(t *testing.T) {
	now := start
	memory := repository.NewMemory()
	r, err := repository.Create(t.Context(), memory, options(&now))
	if err != nil {
		t.Fatal(err)
	}
	root, err := r.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wg, readers sync.WaitGroup
	done := make(chan struct{})
	for who := range publishers {
		wg.Go(func() {
			if err := publishMany(t.Context(), memory, who, io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := deviceOf(t, memory, root, start).Refresh(t.Context()); err != nil {
				t.Errorf("a client refuses: %v", err)
				return
			}
		}
	})
	wg.Wait()
	close(done)
	readers.Wait()
	publishedAll(t, memory, root)
}

const processDir, processWho = "FIRMAMENT_TEST_PUBLISH_DIR", "FIRMAMENT_TEST_PUBLISH_WHO"

// TestPublisherProcess is a process of TestConcurrentProcesses and nothing by itself.
func TestPublisherProcess(t *testing.T) {
	path := os.Getenv(processDir)
	if path == "" {
		t.Skip("TestConcurrentProcesses starts it")
	}
	dir, err := repository.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	who, err := strconv.Atoi(os.Getenv(processWho))
	if err == nil {
		err = publishMany(t.Context(), dir, who, os.Stdout)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Processes publish to one directory at the same time.
func TestConcurrentProcesses(t *testing.T) {
	path := t.TempDir()
	dir, err := repository.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	now := start
	_, root := created(t, dir, options(&now), nil)
	var wg sync.WaitGroup
	for who := range publishers {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPublisherProcess$")
			cmd.Env = append(os.Environ(), processDir+"="+path, processWho+"="+strconv.Itoa(who))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("publisher %d: %v\n%s", who, err, out)
			}
		})
	}
	wg.Wait()
	publishedAll(t, dir, root)
}

// A root is rotated before each step of a publication by somebody who has the old keys only: that one fails, or came first, and clients
// see what the new root's keys signed.
func TestRotateUnderPublisher(t *testing.T) {
	ctx, now := t.Context(), start
	change := repository.RootChange{Signers: map[tuf.Role][]verify.Signer{
		tuf.RoleTimestamp: {testkeys.P256(30)}, tuf.RoleSnapshot: {testkeys.P256(31)}, tuf.RoleTargets: {testkeys.P256(1), testkeys.Ed25519(32)},
	}}
	for n := 1; ; n++ {
		memory := repository.NewMemory()
		r, root := created(t, memory, options(&now), map[string][]byte{"fw/a": []byte("one")})
		called := false
		slow, err := repository.Open(ctx, &between{memory, n, func() {
			called = true
			if err := r.RotateRoot(ctx, change); err != nil {
				t.Errorf("before step %d: %v", n, err)
			}
		}}, options(&now))
		if err != nil {
			t.Fatal(err)
		}
		err = slow.Publish(ctx, map[string][]byte{"fw/a": []byte("two")})
		if !called {
			break
		}
		if !errors.Is(err, repository.ErrIncomplete) {
			t.Errorf("before step %d: %v, want ErrIncomplete", n, err)
		}
		if data, err := deviceOf(t, memory, root, now).Find(ctx, "fw/a"); err != nil || string(data) != "one" {
			t.Errorf("before step %d: %q, %v", n, data, err)
		}
	}
}

// A publisher in a process of its own is killed (SIGKILL on Unix) while it publishes. What it said was published is there, and the next one goes on.
func TestKilledProcess(t *testing.T) {
	for kill := range releases - 1 {
		path := t.TempDir()
		dir, err := repository.OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		now := start
		r, err := repository.Create(t.Context(), dir, options(&now))
		if err != nil {
			t.Fatal(err)
		}
		root, err := r.Root(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPublisherProcess$")
		cmd.Env = append(os.Environ(), processDir+"="+path, processWho+"=0")
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != fmt.Sprintf("published %d", kill); {
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		device := deviceOf(t, dir, root, start)
		for i := range kill + 1 {
			if data, err := device.Find(t.Context(), fmt.Sprintf("fw/0/%d", i)); err != nil || string(data) != fmt.Sprintf("0 %d", i) {
				t.Errorf("killed after release %d: release %d: %q, %v", kill, i, data, err)
			}
		}
		if err := r.Publish(t.Context(), map[string][]byte{"fw/next": []byte("next")}); err != nil {
			t.Errorf("killed after release %d: %v", kill, err)
		}
		if data, err := device.Find(t.Context(), "fw/next"); err != nil || string(data) != "next" {
			t.Errorf("killed after release %d: %q, %v", kill, data, err)
		}
		if err := dir.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
