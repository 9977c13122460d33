// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// repoSuite measures the publisher: what one more release among many targets reads and writes. There is no peer: nobody else has a publisher as
// a Go library. Each step is a process of its own over one repository.
func repoSuite(ctx context.Context, r *report) (err error) {
	const bits = 14
	dir, err := os.MkdirTemp("", "firmament-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	repo := filepath.Join(dir, "repo")
	if _, err := measureSelf(ctx, "tuf-make", repo, strconv.Itoa(r.targets), strconv.Itoa(bits)); err != nil {
		return err
	}
	bin := filepath.Join(repo, "metadata", fmt.Sprintf("1.%s.json", tufBinName(tufBinNumber(tufTarget(0), bits), bits)))
	if err := flipTUF(bin); err != nil {
		return err
	}
	if _, err := repoRun(ctx, repo, "publish"); err == nil {
		return errors.New("a bin with a changed digit was signed anew")
	}
	if err := flipTUF(bin); err != nil {
		return err
	}
	var rows [][]string
	for _, step := range []string{"publish", "publish", "withdraw", "refresh", "publish", "refresh", "expires", "gc"} {
		c, err := repoRun(ctx, repo, step)
		if err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		rows = append(rows, []string{step, strconv.Itoa(c.Written), strconv.FormatInt(c.WrittenBytes, 10), strconv.Itoa(c.Read), strconv.FormatInt(c.ReadBytes, 10),
			fmt.Sprintf("%.3f", c.Seconds), fmt.Sprintf("%.2f", c.CPU.Seconds()), fmt.Sprintf("%.1f", float64(c.RSS)/1e6)})
	}
	return r.table(fmt.Sprintf("one release among %d targets in %d bins (a flipped digit was refused)", r.targets, 1<<bits),
		[]string{"step", "files written", "bytes written", "files read", "bytes read", "seconds", "CPU s of the process", "peak MB"}, rows)
}

type repoCost struct {
	cost
	repoResult
}

type repoResult struct {
	Written, Read           int
	WrittenBytes, ReadBytes int64
	Seconds                 float64
}

func repoRun(ctx context.Context, repo, step string) (c repoCost, err error) {
	result := repo + ".result"
	if c.cost, err = measureSelf(ctx, "repo-step", repo, step, result); err != nil {
		return c, err
	}
	data, err := os.ReadFile(result)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(data, &c.repoResult)
}

// countingStorage counts what passes.
type countingStorage struct {
	repository.Storage
	repoResult
}

func (s *countingStorage) Get(ctx context.Context, name string, max int64) ([]byte, repository.Tag, error) {
	data, tag, err := s.Storage.Get(ctx, name, max)
	if err == nil {
		s.Read, s.ReadBytes = s.Read+1, s.ReadBytes+int64(len(data))
	}
	return data, tag, err
}

func (s *countingStorage) Put(ctx context.Context, name string, data io.Reader, old repository.Tag) error {
	counted := &lengthReader{src: data}
	err := s.Storage.Put(ctx, name, counted, old)
	if err == nil {
		s.Written, s.WrittenBytes = s.Written+1, s.WrittenBytes+counted.n
	}
	return err
}

type lengthReader struct {
	src io.Reader
	n   int64
}

func (r *lengthReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.n += int64(n)
	return n, err
}

// repoStep is a child: DIR STEP RESULT does one thing to a repository that tuf-make made, and writes what it took.
func repoStep(ctx context.Context, args []string) error {
	var keys []verify.Signer
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "bins"} {
		seed := sha256.Sum256([]byte("bench " + role))
		s, err := repository.NewSigner(ed25519.NewKeyFromSeed(seed[:]))
		if err != nil {
			return err
		}
		keys = append(keys, s)
	}
	dir, err := repository.OpenDir(args[0])
	if err != nil {
		return err
	}
	defer dir.Close()
	s := &countingStorage{Storage: dir}
	start := time.Now()
	r, err := repository.Open(ctx, s, repository.Options{Keys: keys})
	if err != nil {
		return err
	}
	s.repoResult = repoResult{} // opening reads what every step reads again
	switch args[1] {
	case "publish":
		err = r.Publish(ctx, map[string][]byte{tufTarget(0): fmt.Append(nil, start)})
	case "withdraw":
		err = r.Withdraw(ctx, tufTarget(0))
	case "refresh":
		_, err = r.Refresh(ctx)
	case "expires":
		_, err = r.Expiries(ctx)
	case "gc":
		_, err = r.Collect(ctx, repository.CollectOptions{Keep: 1})
	default:
		err = fmt.Errorf("no step %q", args[1])
	}
	if err != nil {
		return err
	}
	s.Seconds = time.Since(start).Seconds()
	data, err := json.Marshal(s.repoResult)
	if err != nil {
		return err
	}
	return os.WriteFile(args[2], data, 0o600)
}
