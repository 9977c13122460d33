// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
)

// MapFile says which repositories must agree on which targets (TAP 4). It belongs to the device's configuration: no repository can
// change it.
type MapFile struct {
	// Repositories maps the name of each repository to its base URLs, which may be none if the caller has them from elsewhere. A name
	// is 1 to 64 letters, digits, '-', '_' and '.', and does not begin with '.'. It is never part of a path.
	Repositories map[string][]string `json:"repositories"`

	// Mapping is searched in this order.
	Mapping []Mapping `json:"mapping"`
}

// Mapping is one entry of a MapFile: Threshold of the Repositories must list a target that matches one of Paths (PATHPATTERNs, see
// tuf.MatchPath) with the same length and the same digests. If they do not, later mappings are searched, unless Terminating.
type Mapping struct {
	Paths        []string `json:"paths"`
	Repositories []string `json:"repositories"`
	Terminating  bool     `json:"terminating"`
	Threshold    int      `json:"threshold"`
}

// MaxMapFile is the size of the largest map file, in bytes.
const MaxMapFile = 1 << 20

// ParseMap reads a map.json as TAP 4 has it; members that it does not know are refused. Errors: tuf.ErrMalformed, tuf.ErrPath for the name of a repository.
func ParseMap(data []byte) (MapFile, error) {
	var f MapFile
	if len(data) > MaxMapFile {
		return f, fmt.Errorf("map file: %w: %d bytes, at most %d", tuf.ErrLength, len(data), MaxMapFile)
	}
	if _, err := tuf.Canonical(data); err != nil {
		return f, fmt.Errorf("map file: %w", err)
	}
	if err := f.read(data); err != nil {
		return MapFile{}, fmt.Errorf("map file: %w: %w", tuf.ErrMalformed, err)
	}
	if err := f.validate(); err != nil {
		return MapFile{}, err
	}
	return f, nil
}

// read looks at the names of the members itself: to encoding/json "MAPPING" is "mapping", and the last one counts.
func (f *MapFile) read(data []byte) error {
	if err := json.Unmarshal(data, f); err != nil {
		return err
	}
	var top map[string]json.RawMessage
	var mapping []map[string]json.RawMessage
	err := json.Unmarshal(data, &top)
	if err == nil && top["mapping"] != nil {
		err = json.Unmarshal(top["mapping"], &mapping)
	}
	for i, members := range append(mapping, top) {
		known := []string{"paths", "repositories", "terminating", "threshold"}
		if i == len(mapping) {
			known = []string{"repositories", "mapping"}
		}
		for name := range members {
			if err == nil && !slices.Contains(known, name) {
				err = fmt.Errorf("unknown member %.60q", name)
			}
		}
	}
	return err
}

func (f MapFile) validate() error {
	for name := range f.Repositories {
		if err := checkRepositoryName(name); err != nil {
			return err
		}
	}
	if len(f.Mapping) == 0 {
		return fmt.Errorf("map file: %w: no mapping", tuf.ErrMalformed)
	}
	for i, m := range f.Mapping {
		seen := map[string]bool{}
		for _, name := range m.Repositories {
			if _, ok := f.Repositories[name]; !ok || seen[name] {
				return fmt.Errorf("map file: mapping %d: %w: repository %.80q is not listed, or listed twice", i, tuf.ErrMalformed, name)
			}
			seen[name] = true
		}
		if len(m.Paths) == 0 || m.Threshold < 1 || m.Threshold > len(m.Repositories) {
			return fmt.Errorf("map file: mapping %d: %w: %d paths, threshold %d of %d repositories", i, tuf.ErrMalformed, len(m.Paths), m.Threshold, len(m.Repositories))
		}
	}
	return nil
}

func checkRepositoryName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if name == "" || len(name) > 64 || name[0] == '.' || strings.Trim(name, letters) != "" {
		return fmt.Errorf("repository name %.80q: %w", name, tuf.ErrPath)
	}
	return nil
}

// RepositoryDir returns the directory within s for the cache of the repository called name, and makes it if it does not exist. It is called after the
// digest of the name, so that names that differ in case only stay apart. Errors: tuf.ErrPath, before anything is made; tuf.ErrCache.
func RepositoryDir(s Storage, name string) (Storage, error) {
	if err := checkRepositoryName(name); err != nil {
		return nil, err
	}
	dir, err := simfs.Sub(s, fmt.Sprintf("repository-%x", sha256.Sum256([]byte(name))))
	if err == nil {
		err = s.SyncDir(".")
	}
	if err != nil {
		return nil, cacheError("make directory", err)
	}
	return dir, nil
}

// Map looks targets up in several repositories, each with a root, a cache and a Client of its own. It is safe for concurrent use.
type Map struct {
	mapping []Mapping
	clients map[string]*Client
}

// NewMap returns a Map over one Client for each repository of f. Two Clients must not share a Storage (RepositoryDir gives each its own).
// Errors: as ParseMap; tuf.ErrMalformed if a repository has no Client, or two have the same.
func NewMap(f MapFile, clients map[string]*Client) (*Map, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	m := &Map{clients: make(map[string]*Client)}
	for name := range f.Repositories {
		c := clients[name]
		if c == nil {
			return nil, fmt.Errorf("map: %w: no client for repository %q", tuf.ErrMalformed, name)
		}
		for other, used := range m.clients {
			if used == c {
				return nil, fmt.Errorf("map: %w: one client for the repositories %q and %q, which would count twice", tuf.ErrMalformed, name, other)
			}
		}
		m.clients[name] = c
	}
	for _, mapping := range f.Mapping {
		mapping.Paths, mapping.Repositories = slices.Clone(mapping.Paths), slices.Clone(mapping.Repositories)
		m.mapping = append(m.mapping, mapping)
	}
	return m, nil
}

// Agreement is a target on which enough repositories agree. Custom of the target is what the first of them says; the others need
// not say the same.
type Agreement struct {
	tuf.TargetFile
	Repositories []string // in the order of the mapping
}

// Target refreshes the repositories of the mapping that matches name and returns the target on which enough of them agree.
//
// A repository that does not list the target does not agree. One that cannot be asked, or serves what is refused, does not either, and if the
// threshold is missed then, the search ends with its error: whoever keeps a device from a repository does not get it to search a
// weaker mapping.
//
// Errors: tuf.ErrPath; tuf.ErrTargetUnknown if no mapping matches or no repository lists the target; tuf.ErrThreshold if fewer than the threshold agree;
// those of Client.Refresh and Client.Target.
func (m *Map) Target(ctx context.Context, name string) (Agreement, error) {
	if err := tuf.CheckPath(name); err != nil {
		return Agreement{}, err
	}
	var missed error
	for _, mapping := range m.mapping {
		if !slices.ContainsFunc(mapping.Paths, func(pattern string) bool { return tuf.MatchPath(pattern, name) }) {
			continue
		}
		a, unasked, err := m.search(ctx, mapping, name)
		if err == nil || unasked || mapping.Terminating {
			return a, err
		}
		missed = err
	}
	if missed == nil {
		missed = fmt.Errorf("%w: %.200q: no mapping matches", tuf.ErrTargetUnknown, name)
	}
	return Agreement{}, missed
}

// search asks the repositories of one mapping until enough agree. Unasked reports that one of them did not answer.
func (m *Map) search(ctx context.Context, mapping Mapping, name string) (a Agreement, unasked bool, err error) {
	var found []Agreement
	var failed error
	for _, repository := range mapping.Repositories {
		file, listed, err := m.clients[repository].ask(ctx, name)
		if err == nil && !listed {
			continue
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("repository %s: %w", repository, err))
			continue
		}
		i := slices.IndexFunc(found, func(a Agreement) bool { return sameFile(a.TargetFile, file) })
		if i < 0 {
			i = len(found)
			found = append(found, Agreement{TargetFile: file})
		}
		if found[i].Repositories = append(found[i].Repositories, repository); len(found[i].Repositories) == mapping.Threshold {
			return found[i], false, nil
		}
	}
	if failed != nil {
		return Agreement{}, true, failed
	}
	if len(found) == 0 {
		return Agreement{}, false, fmt.Errorf("%w: %.200q: in none of %d repositories", tuf.ErrTargetUnknown, name, len(mapping.Repositories))
	}
	return Agreement{}, false, fmt.Errorf("%w: %.200q: %d of %d repositories must agree, %d different answers", tuf.ErrThreshold, name, mapping.Threshold, len(mapping.Repositories), len(found))
}

// ask refreshes and looks up in one, so that nobody else's trouble between the two passes for the repository's answer.
func (c *Client) ask(ctx context.Context, name string) (file tuf.TargetFile, listed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refresh(ctx); err != nil {
		return tuf.TargetFile{}, false, err
	}
	file, err = c.target(ctx, name)
	if errors.Is(err, tuf.ErrTargetUnknown) {
		return tuf.TargetFile{}, false, nil
	}
	return file, err == nil, err
}

// sameFile compares length and digests; an entry without a digest is like no other.
func sameFile(a, b tuf.TargetFile) bool {
	if a.Length != b.Length || len(a.Digests) != len(b.Digests) || len(a.Digests) == 0 {
		return false
	}
	for _, d := range a.Digests {
		if !slices.Contains(b.Digests, d) {
			return false
		}
	}
	return true
}

// Find returns the bytes of a small target on which enough repositories agree, from whichever of those delivers it. Errors: as Target, and
// those of Client.Find.
func (m *Map) Find(ctx context.Context, name string) ([]byte, error) {
	data, _, err := m.FindCustom(ctx, name)
	return data, err
}

// FindCustom is Find that returns the target's custom JSON object, too, as the first repository that agrees has it.
func (m *Map) FindCustom(ctx context.Context, name string) (data, custom []byte, err error) {
	a, err := m.Target(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	var all error
	for _, repository := range a.Repositories {
		data, err := m.clients[repository].fetchTarget(ctx, a.TargetFile)
		if err == nil {
			return data, a.Custom, nil
		}
		all = errors.Join(all, fmt.Errorf("repository %s: %w", repository, err))
	}
	return nil, nil, all
}

func (c *Client) fetchTarget(ctx context.Context, file tuf.TargetFile) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ready {
		return nil, fmt.Errorf("%w: %q: metadata has not been refreshed", tuf.ErrTargetUnknown, file.Path)
	}
	return c.fetch(ctx, file)
}
