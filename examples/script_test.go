// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the stories in testdata/script. Beside testscript's own commands they have:
//
//	random FILE SIZE SEED   write random bytes
//	digits FILE SIZE SEED   write random hexadecimal digits, of which half goes away when they are packed
//	serve DIR               firmctl serve in the background; sets $URL
//	flip FILE OFFSET        change one byte
//	set FILE KEY JSON       set a member of a JSON object
//	holds SLOT IMAGE        the slot begins with the image
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"random": scriptRandom,
			"digits": scriptDigits,
			"serve":  scriptServe,
			"flip":   scriptFlip,
			"set":    scriptSet,
			"holds":  scriptHolds,
		},
		RequireExplicitExec: true,
	})
}

func args(ts *testscript.TestScript, neg bool, got []string, want int) {
	if neg || len(got) != want {
		ts.Fatalf("want %d arguments, and no !", want)
	}
}

func number(ts *testscript.TestScript, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	ts.Check(err)
	return n
}

func scriptRandom(ts *testscript.TestScript, neg bool, a []string) {
	args(ts, neg, a, 3)
	ts.Check(os.WriteFile(ts.MkAbs(a[0]), random(uint64(number(ts, a[2])), number(ts, a[1])), 0o644))
}

func scriptDigits(ts *testscript.TestScript, neg bool, a []string) {
	args(ts, neg, a, 3)
	digits := hex.AppendEncode(nil, random(uint64(number(ts, a[2])), number(ts, a[1])/2))
	ts.Check(os.WriteFile(ts.MkAbs(a[0]), digits, 0o644))
}

func scriptServe(ts *testscript.TestScript, neg bool, a []string) {
	args(ts, neg, a, 1)
	cmd := exec.Command(filepath.Join(bin, "firmctl"), "serve", ts.MkAbs(a[0]), "--listen", "127.0.0.1:0", "--json")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	ts.Check(err)
	var said struct {
		Result string `json:"result"`
		URL    string `json:"url"`
	}
	ts.Check(json.Unmarshal(line, &said))
	if said.Result != "serving" || said.URL == "" {
		ts.Fatalf("serve said %s", line)
	}
	ts.Setenv("URL", said.URL)
}

func scriptFlip(ts *testscript.TestScript, neg bool, a []string) {
	args(ts, neg, a, 2)
	b := []byte(ts.ReadFile(a[0]))
	b[number(ts, a[1])] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(a[0]), b, 0o644))
}

func scriptSet(ts *testscript.TestScript, neg bool, a []string) {
	args(ts, neg, a, 3)
	var object map[string]json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(a[0])), &object))
	object[a[1]] = json.RawMessage(a[2])
	b, err := json.Marshal(object)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(a[0]), b, 0o644))
}

func scriptHolds(ts *testscript.TestScript, neg bool, a []string) {
	if len(a) != 2 {
		ts.Fatalf("want 2 arguments")
	}
	if bytes.HasPrefix([]byte(ts.ReadFile(a[0])), []byte(ts.ReadFile(a[1]))) == neg {
		ts.Fatalf("%s begins with %s: %t", a[0], a[1], !neg)
	}
}
