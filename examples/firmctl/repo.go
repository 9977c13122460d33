// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
)

// errUnreachable means that a client would stop.
var errUnreachable = errors.New("a client would stop here")

// What the user named, and what does not fit, is a matter of usage; the same errors about content are refusals.
var (
	errNoTarget = errors.New("no such target")
	errBadPath  = errors.New("bad target path")
	errBadRole  = errors.New("no such role")
	errTaken    = errors.New("name taken")
)

// byUser marks an error that is about a name on the command line.
func byUser(err error) error {
	for sentinel, kind := range map[error]error{
		tuf.ErrTargetUnknown: errNoTarget, tuf.ErrPath: errBadPath, tuf.ErrDelegation: errBadRole, repository.ErrExists: errTaken,
	} {
		if errors.Is(err, sentinel) && !errors.Is(err, tuf.ErrMalformed) {
			return cli.Mark(err, kind)
		}
	}
	return err
}

// repoMain runs "firmctl repo VERB".
func repoMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	rule := func(err error, name, next string) cli.Rule {
		return cli.Rule{Err: err, Name: name, Exit: cli.Refused, Next: next}
	}
	named := func(err error, name, next string) cli.Rule {
		return cli.Rule{Err: err, Name: name, Exit: cli.Usage, Next: next}
	}
	const roleNames = "name a role that somebody delegates to, made of letters, digits and . _ -"
	cli.AddRules(
		named(errNoTarget, "tuf.ErrTargetUnknown", "see firmctl repo list"),
		named(errBadPath, "tuf.ErrPath", "name a relative path with / between its elements, such as fw/stable.suit"),
		named(errBadRole, "tuf.ErrDelegation", roleNames),
		named(errTaken, "repository.ErrExists", "choose another name: what has one keeps its content"),
		rule(errUnreachable, "unreachable", "correct what the step says"),
		rule(repository.ErrStale, "repository.ErrStale", "somebody published meanwhile, or it was completed already: stage it again if it is still wanted"),
		rule(repository.ErrCollecting, "repository.ErrCollecting", "finish the collection first: firmctl repo gc DIR --delete"),
		rule(errSteps, "repository.ErrIncomplete", "have the private keys of that role at hand, old and new, or go in steps: rotate --add alone; publish --stage, signed with the new keys; then rotate --threshold or --remove"),
		rule(repository.ErrIncomplete, "repository.ErrIncomplete", "put the private keys into the folder that --keys names, or let their owners sign: --stage, then firmctl repo missing"),
		rule(repository.ErrExists, "repository.ErrExists", "choose another name or folder"),
		rule(repository.ErrConflict, "repository.ErrConflict", "run it again"),
		rule(tuf.ErrTargetUnknown, "tuf.ErrTargetUnknown", "see firmctl repo list"),
		rule(repository.ErrVersions, "repository.ErrVersions", "somebody had the role's key: replace it, and those of timestamp or snapshot, with firmctl repo rotate"),
		rule(repository.ErrFileMissing, "repository.ErrFileMissing", "hand in the file with the metadata, as PATH=FILE"),
		rule(tuf.ErrDelegation, "tuf.ErrDelegation", roleNames),
	)
	asJSON := cli.WantsJSON(args)
	return cli.Main(ctx, stdout, stderr, asJSON, func(ctx context.Context) error {
		return runGroup(ctx, "repo", repoCommands(), args, asJSON, stdout, stderr)
	})
}

func repoCommands() []command {
	return []command{
		{"repo init", "DIR", "make a repository, and keys for it where there are none", initRepo},
		{"repo newkey", "NAME", "make a key pair: NAME.pem, to be kept private, and NAME.pub.pem", newKey},
		{"repo keys", "DIR", "who may sign what, and which private keys are at hand", listKeys},
		{"repo rotate", "DIR", "change keys or threshold of a role", rotateKeys},

		{"repo publish", "DIR PATH=FILE...", "add targets, or replace them", publishTargets},
		{"repo withdraw", "DIR PATH...", "remove targets", withdrawTargets},
		{"repo put", "DIR NAME=FILE...", "put payloads, which envelopes refer to, into payloads/", putPayloads},
		{"repo list", "DIR", "list the targets of all roles", listTargets},
		{"repo delegate", "DIR ROLE", "trust a supplier or team with target paths", delegateRole},
		{"repo revoke", "DIR ROLE", "trust a delegated role no longer", revokeRole},
		{"repo bins", "DIR", "divide the targets among roles by the hash of their path", makeBins},
		{"repo accept", "DIR ROLE METADATA [PATH=FILE...]", "take metadata that a delegate signed, with new files", acceptMetadata},

		{"repo stage", "DIR ROLE", "stage a role unchanged, to be signed once more: for roles whose keys are elsewhere", stageRole},
		{"repo payload", "DIR ROLE", "write what is to be signed of a staged role", writePayload},
		{"repo sign", "PAYLOAD", "show what is to be signed, and sign it; needs no repository", signPayload},
		{"repo attach", "DIR ROLE SIGNATURE...", "take signatures over a staged role", attachSignatures},
		{"repo missing", "DIR ROLE", "whose signatures a staged role lacks", missingSignatures},
		{"repo complete", "DIR ROLE", "publish a staged role", completeRole},

		{"repo refresh", "DIR", "sign what is due; run it by the clock", refreshRepo},
		{"repo expires", "DIR", "what expires when", listExpiries},
		{"repo gc", "DIR", "list files that nobody needs any more; delete them with --delete", collectGarbage},
		{"repo reach", "DIR", "try whether a device with an old root can follow", reachRoot},
		{"repo export", "DIR", "write a bundle, one file for devices without a network", exportBundle},
		{"repo verify", "DIR", "read everything as clients do, target files included", verifyRepo},
	}
}

// repo is an open repository and the keys at hand.
type repo struct {
	*repository.Repository
	dir   string
	files *repository.Dir
	keys  []keyFile
}

// openRepo opens the repository in dir with the private keys of a folder, the one called keys beside dir if keys is "".
func openRepo(ctx context.Context, dir, keys string) (*repo, error) {
	r := &repo{dir: dir}
	var err error
	if r.keys, err = readKeys(keyFolder(dir, keys), keys == ""); err != nil {
		return nil, err
	}
	if r.files, err = openRepoDir(dir); err != nil {
		return nil, err
	}
	r.Repository, err = repository.Open(ctx, r.files, repository.Options{Keys: signersOf(r.keys)})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Inputf("%s is no repository: %w; make one with firmctl repo init", dir, err)
	}
	return r, err
}

// repo opens the repository that the first argument names, for a command that has no flags or has declared them and signs nothing.
func (c *call) repo(ctx context.Context) (*repo, error) {
	if err := c.parse(); err != nil {
		return nil, err
	}
	return openRepo(ctx, c.args[0], "")
}

// repoWithKeys is repo for a command that signs.
func (c *call) repoWithKeys(ctx context.Context) (*repo, error) {
	folder := keysFlag(c)
	if err := c.parse(); err != nil {
		return nil, err
	}
	return openRepo(ctx, c.args[0], *folder)
}

// path is where a file of the repository is.
func (r *repo) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func openRepoDir(dir string) (*repository.Dir, error) {
	fi, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
		return nil, cli.Inputf("%s is not a folder with a repository; make one with firmctl repo init", dir)
	}
	if err != nil {
		return nil, err
	}
	return repository.OpenDir(dir)
}

func keysFlag(c *call) *string {
	return c.fs.String("keys", "", "folder with the private keys at hand (default: keys beside DIR)")
}

// say prints v as JSON, or a line for people.
func (c *call) say(v any, format string, args ...any) error {
	if c.json {
		return cli.PrintJSON(c.stdout, v)
	}
	_, err := fmt.Fprintf(c.people, format+"\n", args...)
	return err
}

// parsePairs reads NAME=FILE arguments.
func parsePairs(args []string) (names, files []string, err error) {
	for _, arg := range args {
		name, file, ok := strings.Cut(arg, "=")
		if !ok || name == "" || file == "" {
			return nil, nil, cli.Usagef("%.80q, want NAME=FILE", arg)
		}
		names, files = append(names, name), append(files, file)
	}
	return names, files, nil
}

func readPairs(args []string) (map[string][]byte, error) {
	names, files, err := parsePairs(args)
	if err != nil {
		return nil, err
	}
	targets := map[string][]byte{}
	for i, name := range names {
		if _, twice := targets[name]; twice {
			return nil, cli.Usagef("%.80q is there twice", name)
		}
		if targets[name], err = cli.ReadFile(files[i], maxFile, "a file to publish"); err != nil {
			return nil, err
		}
	}
	return targets, nil
}
