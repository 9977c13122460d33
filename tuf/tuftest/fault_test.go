// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuftest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

const targets2 = "metadata/2.targets.json"

// faults is each of them on its own, and what a client makes of it.
func faults(past map[string][]byte) map[string]struct {
	file  string
	fault tuftest.Fault
	want  error
} {
	return map[string]struct {
		file  string
		fault tuftest.Fault
		want  error
	}{
		"stall at once":     {targets2, tuftest.Stall(0), tuf.ErrSlowRetrieval},
		"stall":             {targets2, tuftest.Stall(100), tuf.ErrSlowRetrieval},
		"truncate":          {targets2, tuftest.Truncate(100), tuf.ErrTransport},
		"drip":              {targets2, tuftest.Drip(1, 5*time.Second), tuf.ErrSlowRetrieval},
		"drip, but quickly": {targets2, tuftest.Drip(100, time.Millisecond), nil},
		"claim less":        {targets2, tuftest.Claim(100), tuf.ErrMixAndMatch},
		"claim more":        {"metadata/timestamp.json", tuftest.Claim(1 << 10), tuf.ErrTransport},
		"claim nothing":     {targets2, tuftest.Claim(-1), nil},
		"endless":           {targets2, tuftest.Endless(), tuf.ErrLength},
		"404":               {targets2, tuftest.Status(http.StatusNotFound), tuf.ErrTransport},
		"410 for all":       {"*", tuftest.Status(http.StatusGone), tuf.ErrTransport},
		"500 for root":      {"metadata/2.root.json", tuftest.Status(http.StatusInternalServerError), tuf.ErrTransport},
		"swap":              {targets2, tuftest.Swap("metadata/1.targets.json"), tuf.ErrMixAndMatch},
		"stale":             {"metadata/timestamp.json", tuftest.Stale(past), tuf.ErrRollback},
		"stale and absent":  {targets2, tuftest.Stale(past), tuf.ErrTransport},
	}
}

// Every fault is met inside a bubble, by the Remote that the repository is itself and by the one of package fetch over HTTP without sockets. When
// it is over, the client goes on. Where package fetch tries again for its time, a fault that goes on is met by its patience.
func TestFaults(t *testing.T) {
	names := faults(nil)
	for name := range names {
		for _, over := range []string{"Get", "Open", "RoundTrip"} {
			t.Run(name+"/"+over, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					repo := tuftest.New()
					past := repo.Past()
					repo.Publish(tuf.RoleTimestamp)
					var remote client.Remote = repo
					switch over {
					case "Open":
						remote = tuftest.Streaming{Repo: repo}
					case "RoundTrip":
						remote = overHTTP(t, &http.Client{Transport: repo}, "http://repo.example/some/where/")
					}
					c := newClient(repo, remote)
					if err := c.Refresh(t.Context()); err != nil {
						t.Fatal(err)
					}
					repo.Publish()
					f := faults(past)[name]
					repo.Spoil(f.file, f.fault)
					began := time.Now()
					if err := c.Refresh(t.Context()); !errors.Is(err, f.want) {
						t.Errorf("%v, want %v", err, f.want)
					} else {
						t.Logf("after %v: %v", time.Since(began), err)
					}
					repo.Honest()
					if err := c.Refresh(t.Context()); err != nil {
						t.Errorf("when it is over: %v", err)
					}
				})
			})
		}
	}
}

// overHTTP is the Remote of package fetch.
func overHTTP(t *testing.T, c *http.Client, url string) client.Remote {
	t.Helper()
	remote, err := fetch.NewRemote(fetch.Options{Source: httpsource.New(c)}, url)
	if err != nil {
		t.Fatal(err)
	}
	return remote
}

// A real connection breaks where the answer does.
func TestServeHTTP(t *testing.T) {
	repo := tuftest.New()
	repo.Targets["fw/a b#?.suit"] = []byte("spaced")
	repo.Delegate(tuf.RoleTargets, "a/b", map[string]any{"paths": []any{"x"}})
	repo.Publish("a/b")
	repo.Publish()
	server := httptest.NewServer(repo)
	defer server.Close()
	get := func(path string) (int, []byte, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return resp.StatusCode, data, err
	}
	timestamp := repo.Files["metadata/timestamp.json"]
	if status, data, err := get("/repo/metadata/timestamp.json"); status != 200 || !bytes.Equal(data, timestamp) || err != nil {
		t.Errorf("%d, %d bytes, %v", status, len(data), err)
	}
	if status, _, err := get("/metadata/1.a%2Fb.json"); status != 200 || err != nil {
		t.Errorf("a role with a slash in its name: %d, %v", status, err)
	}
	sum := verify.Sum(verify.SHA256, []byte("spaced"))
	if status, data, err := get("/targets/fw/" + url.PathEscape(fmt.Sprintf("%x.a b#?.suit", sum.Bytes()))); status != 200 || string(data) != "spaced" || err != nil {
		t.Errorf("a target with all sorts of characters in its name: %d, %q, %v", status, data, err)
	}
	if status, _, err := get("/metadata/9.root.json"); status != 404 || err != nil {
		t.Errorf("absent: %d, %v", status, err)
	}
	for name, c := range map[string]struct {
		fault tuftest.Fault
		check func(status int, data []byte, err error) bool
	}{
		"truncate": {tuftest.Truncate(10), func(_ int, data []byte, err error) bool {
			return len(data) == 10 && errors.Is(err, io.ErrUnexpectedEOF)
		}},
		"claim":   {tuftest.Claim(10), func(_ int, data []byte, err error) bool { return len(data) == 10 && err == nil }},
		"endless": {tuftest.Endless(), func(_ int, data []byte, err error) bool { return len(data) == 1<<20 && err == nil }},
		"status":  {tuftest.Status(500), func(status int, _ []byte, err error) bool { return status == 500 && err == nil }},
		"drip":    {tuftest.Drip(64, time.Microsecond), func(_ int, data []byte, err error) bool { return bytes.Equal(data, timestamp) && err == nil }},
	} {
		repo.Spoil("metadata/timestamp.json", c.fault)
		if status, data, err := get("/metadata/timestamp.json"); !c.check(status, data, err) {
			t.Errorf("%s: %d, %d bytes, %v", name, status, len(data), err)
		}
		repo.Honest()
	}
	repo.Spoil("*", tuftest.Stall(5))
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/metadata/timestamp.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
		t.Error(err)
	}
	cancel()
	if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("stalled: %v", err)
	}
	resp.Body.Close()
}

// Whatever key signs, and however targets are listed and served, the repository is a right one.
func TestShapes(t *testing.T) {
	for name, shape := range map[string]func(r *tuftest.Repo){
		"p-256":     func(r *tuftest.Repo) { r.Keys[tuf.RoleTargets] = append(r.Keys[tuf.RoleTargets], tuftest.P256(5)) },
		"ml-dsa-65": func(r *tuftest.Repo) { r.Keys[tuf.RoleTargets] = append(r.Keys[tuf.RoleTargets], tuftest.MLDSA65(5)) },
		"rsa":       func(r *tuftest.Repo) { r.Keys[tuf.RoleTargets] = append(r.Keys[tuf.RoleTargets], tuftest.RSA()) },
		"p-384": func(r *tuftest.Repo) {
			key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			r.Keys[tuf.RoleTargets] = append(r.Keys[tuf.RoleTargets], tuftest.NewSigner(key))
		},
		"ed25519": func(r *tuftest.Repo) {
			_, key, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Keys[tuf.RoleTargets] = append(r.Keys[tuf.RoleTargets], tuftest.NewSigner(key))
		},
		"sha-512":  func(r *tuftest.Repo) { r.Algorithms = []verify.Hash{verify.SHA512} },
		"plain":    func(r *tuftest.Repo) { r.Plain = true },
		"versions": func(r *tuftest.Repo) { r.Hashes = false },
	} {
		repo := tuftest.New()
		shape(repo)
		repo.Thresholds[tuf.RoleTargets] = len(repo.Keys[tuf.RoleTargets])
		repo.Publish(tuf.RoleRoot)
		repo.Publish()
		if data, err := newClient(repo, repo).Find(t.Context(), "fw/a.suit"); err != nil || string(data) != "one" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

func TestGet(t *testing.T) {
	repo := tuftest.New()
	if _, err := repo.Get(t.Context(), "metadata/9.root.json", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	var long interface{ TooLong() bool }
	if _, err := repo.Get(t.Context(), "metadata/1.root.json", 10); !errors.As(err, &long) {
		t.Errorf("long: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := repo.Get(ctx, "metadata/1.root.json", 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A clone goes on by itself.
func TestClone(t *testing.T) {
	repo := tuftest.New()
	repo.Delegate(tuf.RoleTargets, "team", map[string]any{"paths": []any{"team/*"}})
	repo.Publish("team")
	repo.Publish()
	before := repo.Clone()
	clone := repo.Clone()
	clone.Targets["fw/a.suit"] = []byte("cloned")
	clone.Delegate(tuf.RoleTargets, "another", map[string]any{"paths": []any{"another/*"}})
	clone.DelegatedTargets["team"]["team/x"] = []byte("x")
	clone.Keys[tuf.RoleTimestamp] = []verify.Signer{tuftest.P256(1)}
	clone.Publish("team", "another", tuf.RoleRoot)
	clone.Publish()
	if _, err := newClient(clone, clone).Find(t.Context(), "team/x"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, repo, cmpopts.IgnoreUnexported(tuftest.Repo{}), cmp.Comparer(func(a, b verify.Signer) bool { return a.Public() == b.Public() })); diff != "" {
		t.Errorf("the clone changed what it was cloned from: %s", diff)
	}
}

// What is not canonical can be signed, too, and is refused for that.
func TestSignBytes(t *testing.T) {
	repo := tuftest.New()
	repo.Hashes = false
	repo.Publish()
	name := repo.Name(tuf.RoleTargets)
	signed, _ := tuftest.Open(repo.Files[name])
	text, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		signed string
		want   error
	}{
		{string(text), nil}, {strings.Replace(string(text), `"version":2`, `"version":2,"x":1.5`, 1), tuf.ErrMalformed},
		{strings.Replace(string(text), `{`, `{ `, 1), tuf.ErrThreshold}, {`{"cut off":`, tuf.ErrMalformed},
	} {
		repo.Files[name] = tuftest.SignBytes([]byte(c.signed), repo.Keys[tuf.RoleTargets]...)
		if err := newClient(repo, repo).Refresh(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.signed, err, c.want)
		}
	}
}
