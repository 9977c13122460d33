// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package clienttest tests a TUF client against repositories that are right, and wrong in every way that the public conformance suite
// knows. Each case bears the id of the suite's test whose question it asks; a few more ask what the suite does not. What a client may do is judged
// by four things: whether a command succeeds, what metadata it trusts afterwards, which targets it has, and what it asked the repository for.
//
// To test a client, say in a Setup how to make one, and call Test:
//
//	func TestClient(t *testing.T) { clienttest.Test(t, newClient) }
//
// tuf/client and the command line in examples/tufclient are tested with it, and so is this package: for each case there is a client, broken on purpose,
// that fails it.
//
// TUF 1.0.34; theupdateframework/tuf-conformance at eec841c.
package clienttest

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// A Client is one installation of the client under test. Every call of Refresh and Download stands for a process of its own: what the client is to
// remember it has to store. It takes the time from the repository's Now, and must not look at anything else of it but what it serves.
type Client interface {
	// Refresh brings the metadata of the top-level roles up to date.
	Refresh(ctx context.Context) error

	// Download refreshes, and then downloads targets in this order until one fails. A target that is there already, with the listed digests, is
	// not downloaded again.
	Download(ctx context.Context, targets ...string) error

	// Trusted returns the metadata that the client trusts, the bytes as they were served, by role. Delegated roles may have any name.
	Trusted() map[string][]byte

	// Targets returns the targets that the client has, in any order.
	Targets() [][]byte
}

// A Setup makes a client that trusts a root, and uses repo: as a client.Remote, http.RoundTripper or http.Handler. An error refuses the root. It cleans
// up with t.Cleanup.
type Setup func(t testing.TB, root []byte, repo *tuftest.Repo) (Client, error)

// A Case is one question.
type Case struct {
	ID  string
	run func(w *world)
}

// Cases returns all of them.
func Cases() []Case {
	var all []Case
	for _, list := range [][]Case{
		basic, versions, hashed, expiration, downloads, keys, names(), rollbacks, static, graphs(), searches(), delegations, rootRotations(), roleRotations(),
		simulator, beyond,
	} {
		all = append(all, list...)
	}
	return all
}

// Run runs the case. It ends with t.Fatal if the client's answer is wrong.
func (c Case) Run(t testing.TB, setup Setup) {
	c.run(newWorld(t, setup))
}

// Test runs every case as a subtest.
func Test(t *testing.T, setup Setup) {
	for _, c := range Cases() {
		t.Run(c.ID, func(t *testing.T) { c.Run(t, setup) })
	}
}

// Failures runs every case, and returns what is wrong about the client by the ids of those that fail: for a client of which it is known that
// it answers some questions otherwise.
func Failures(t *testing.T, setup Setup) map[string]string {
	t.Helper()
	wrong := map[string]string{}
	for _, c := range Cases() {
		t.Run(c.ID, func(t *testing.T) {
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.Run(r, setup)
			}()
			if <-done; r.text != "" {
				wrong[c.ID] = r.text
			}
		})
	}
	return wrong
}

// recorder keeps the first failure to itself.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Errorf(format string, args ...any) {
	if r.text == "" {
		r.text = fmt.Sprintf(format, args...)
	}
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }
