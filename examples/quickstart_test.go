// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// steps are the quickstart's steps with what their evidence must say, whatever boots.
var steps = []struct{ name, evidence string }{
	{"keys and repository", `^author P-256, TUF root, targets, snapshot, timestamp Ed25519; [0-9a-f-]{36}$`},
	{"v1 provisioned", `^slot A, release 1, sha256:[0-9a-f]{16}; boots: ".+"$`},
	{"v2 published", `^release 2: envelope of [0-9]+ bytes, [0-9]+ chunks signed; (a delta of [0-9]+ bytes for devices that run release 1|no delta: .*?)(; packed, the image has [0-9]+ bytes)?$`},
	{"download cut", `^at [0-9]+ of [0-9]+ bytes of the (delta|image); resumed in the same process, [1-9][0-9]* bytes not fetched twice$`},
	{"killed with SIGKILL", `^at [0-9]+ of [0-9]+ bytes of the (delta|image); a new process went on, [1-9][0-9]* bytes not fetched twice$`},
	{"installed", `^downloaded [0-9]+ KB( instead of [0-9]+)?, cuts included; slot B holds sha256:[0-9a-f]{16}, read back from the file; state Staged, not confirmed$`},
	{"trial boot", `^slot B says ".+"$`},
	{"health", `.+`},
	{"accepted", `^slot B confirmed, release 2, anti-rollback counter 2, state Updated$`},
	{"v3 gone back by itself", `3 trial boots stayed silent; slot B runs release 2, v3 is Failed and not tried again$`},
	{"refused: tampered", `^fetch\.ErrDigest at chunk [1-9][0-9]* of [0-9]+; [1-9][0-9]* good chunks in the slot`},
	{"refused: replayed", `^tuf\.ErrRollback: .+`},
	{"refused: other class", `^manifest\.ErrNotApplicable: .+`},
	{"refused: expired", `^tuf\.ErrFreeze: .+`},
	{"tampered delta", `^refused at its table's digest; what the device has of the image was used instead: downloaded [0-9]+ KB instead of [0-9]+$`},
	{"none did lasting harm", `^release 6 installed, booted from slot A \(".+"\) and accepted; nothing was repaired by hand$`},
}

const qemu = "qemu-system-riscv64"

func TestQuickstart(t *testing.T) {
	t.Run("simulated", func(t *testing.T) {
		s := quickstart(t, t.TempDir())
		if s.Downloaded > s.Image/2 {
			t.Errorf("v2 came with %d bytes, for an image of %d: not by a delta", s.Downloaded, s.Image)
		}
		s.matches(t, "v2 published", `a delta of [0-9]+ bytes`)
		s.matches(t, "installed", `^downloaded [0-9]+ KB instead of [0-9]+, cuts included`)
		if s.Boots != "simulated" || s.Old != "OpenSBI 1.5.1" || s.New != "OpenSBI 1.6" {
			t.Errorf("got %s boots of %s and %s", s.Boots, s.Old, s.New)
		}
		s.matches(t, "health", `^slot B holds sha256:`)
	})
	t.Run("qemu", func(t *testing.T) {
		if _, err := exec.LookPath(qemu); err != nil {
			t.Skip(qemu + " is not installed: apt-get install qemu-system-misc")
		}
		s := quickstart(t, os.Getenv("PATH"))
		if s.Boots != qemu {
			t.Errorf("got %s boots, want %s", s.Boots, qemu)
		}
		s.matches(t, "v1 provisioned", `boots: "OpenSBI v1\.5.*"$`)
		s.matches(t, "trial boot", `"OpenSBI v1\.6.*"$`)
		s.matches(t, "health", `^serial\.log contains "OpenSBI v`)
	})
	t.Run("own images", func(t *testing.T) {
		dir := t.TempDir()
		a := write(t, filepath.Join(dir, "a.bin"), random(1, 400_001))
		b := write(t, filepath.Join(dir, "b.bin"), random(2, 300_000))
		work := filepath.Join(dir, "work")
		s := quickstart(t, os.Getenv("PATH"), "--old", a, "--new", b, "--dir", work)
		if s.Boots != "simulated" || s.Old != a || s.New != b {
			t.Errorf("got %s boots of %s and %s", s.Boots, s.Old, s.New)
		}
		s.matches(t, "killed with SIGKILL", `of the image`) // they have nothing in common
		if _, err := os.Stat(filepath.Join(work, "product", "device", "device.json")); err != nil {
			t.Errorf("--dir was not kept: %v", err)
		}
	})
}

// summary is the last line of quickstart --json.
type summary struct {
	Result, Old, New, Boots string
	Steps                   []struct{ Name, Evidence string }
	NotRefetched            int64 `json:"bytes_not_fetched_twice"`
	Downloaded              int64 `json:"v2_bytes_downloaded"`
	Image                   int64 `json:"v2_bytes"`
	Seconds                 float64
}

func (s summary) matches(t *testing.T, step, pattern string) {
	t.Helper()
	for _, got := range s.Steps {
		if got.Name == step {
			if !regexp.MustCompile(pattern).MatchString(got.Evidence) {
				t.Errorf("%s: got %q, want %s", step, got.Evidence, pattern)
			}
			return
		}
	}
	t.Errorf("no step %s", step)
}

// quickstart runs it with that PATH and checks what is the same for all.
func quickstart(t *testing.T, path string, args ...string) summary {
	t.Helper()
	tmp := t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "quickstart"), append(args, "--json")...)
	cmd.Env = append(os.Environ(), "PATH="+path, "TMPDIR="+tmp)
	r := runCmd(t, cmd).ok(t)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var s summary
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		t.Fatalf("last line: %v\n%s", err, r.stdout)
	}
	if s.Result != "ok" || s.NotRefetched <= 0 || len(s.Steps) != len(steps) {
		t.Fatalf("got result %q with %d steps and %d bytes not fetched twice\n%s", s.Result, len(s.Steps), s.NotRefetched, r.stdout)
	}
	for i, want := range steps {
		if s.Steps[i].Name != want.name {
			t.Errorf("step %d is %q, want %q", i+1, s.Steps[i].Name, want.name)
		}
		s.matches(t, want.name, want.evidence)
		if !strings.Contains(strings.Join(strings.Fields(r.stdout), " "), strings.Join(strings.Fields(s.Steps[i].Evidence), " ")) {
			t.Errorf("%s: its evidence is not printed for people", want.name)
		}
	}
	if !strings.Contains(r.stdout, "All 16 steps held. The device runs release 6.") {
		t.Errorf("no summary for people\n%s", r.stdout)
	}
	if !strings.Contains(r.stderr, "fetching [") {
		t.Errorf("no progress bar on standard error\n%s", r.stderr)
	}
	// On Windows the temporary folder has another name.
	if left, err := os.ReadDir(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return s
}
