// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

// Faults in what is fetched, where, in which order, and what is kept of it.

var brokenFiles = []broken{
	{"an absent timestamp is no error", edits(edit("client/refresh.go", "if err := c.updateTimestamp(ctx, r); err != nil {",
		"if err := c.updateTimestamp(ctx, r); errors.Is(err, fs.ErrNotExist) {\nreturn nil\n} else if err != nil {")), []string{"test_timestamp_404"}},
	{"an absent snapshot is no error", edits(edit("client/refresh.go", "c.updateSnapshot(ctx, r, at); err != nil {",
		"c.updateSnapshot(ctx, r, at); errors.Is(err, fs.ErrNotExist) {\nreturn nil\n} else if err != nil {")), []string{"test_snapshot_404"}},
	{"absent targets metadata is no error", edits(edit("client/refresh.go", "c.updateTargets(ctx, r, at); err != nil {",
		"c.updateTargets(ctx, r, at); errors.Is(err, fs.ErrNotExist) {\nreturn nil\n} else if err != nil {")), []string{"test_targets_404"}},
	{"names always carry versions", edits(edit("client/refresh.go", "if c.set.Root().ConsistentSnapshot() {", "if c != nil {")), []string{"no consistent snapshots"}},
	{"a target's bytes are not compared with its digests", edits(edit("targets.go", "(hashes{digests: t.Digests}).check(data); err != nil {", "(hashes{digests: t.Digests}).check(data); err != nil && data == nil {")), []string{
		"test_repository_substitutes_target_file",
	}},
	{"a target is fetched again, and its bytes are not compared with its digests", edits(
		edit("targets.go", "(hashes{digests: t.Digests}).check(data); err != nil {", "(hashes{digests: t.Digests}).check(data); err != nil && data == nil {"),
		edit("targets.go", "if n == t.Length {", "if n > 0 {\nreturn ErrHash\n}\nif n == t.Length {"),
	), []string{"test_repository_substitutes_target_file", "test_multiple_changes_to_target", "test_artifact_cache"}},
	{"the name of a target carries no digest", edits(edit("targets.go", "if !consistent {", "if t.Path != \"\" {")), []string{
		"test_client_downloads_expected_file", "test_client_downloads_expected_file_in_sub_dir", "test_download_with_hash_algorithms[*]",
	}},
	{"the directories of a target are forgotten", edits(edit("targets.go", "dir, file := path.Split(t.Path)", "dir, file := \"\", path.Base(t.Path)")), []string{
		"test_client_downloads_expected_file_in_sub_dir",
	}},
	{"any algorithm is taken for SHA-512", edits(edit("meta.go", "\t\t\tcontinue // an algorithm of tomorrow beside one of today", "\t\t\talgorithm = verify.SHA512")), []string{
		"test_download_with_unknown_hash_algorithm",
	}},
	{"SHA-512 is not known", edits(edit("meta.go", "algorithm, err := verify.ParseHash(name)", "algorithm, err := verify.ParseHash(name)\nif algorithm == verify.SHA512 {\ncontinue\n}")), []string{
		"test_download_with_hash_algorithms[hashes1]",
	}},
	{"SHA-256 is not known", edits(edit("meta.go", "algorithm, err := verify.ParseHash(name)", "algorithm, err := verify.ParseHash(name)\nif algorithm == verify.SHA256 {\ncontinue\n}")), []string{
		"test_download_with_hash_algorithms[hashes0]",
	}},
	{"only one digest may be listed", edits(edit("meta.go", "h.digests = append(h.digests, digest)", "if h.digests = append(h.digests, digest); len(h.digests) > 1 {\nreturn h, ErrHash\n}")), []string{
		"test_download_with_hash_algorithms[hashes2]",
	}},
	{"a target that is there is never the right one", edits(edit("targets.go", "if n == t.Length {", "if n > 0 {\nreturn ErrHash\n}\nif n == t.Length {")), []string{"test_artifact_cache"}},
}

var brokenDelegations = []broken{
	{"delegations are not followed", edits(edit("search.go", "todo := push(nil, t, target, 1)", "var todo []visit")), []string{
		"test_graph_traversal[*]", "test_targetfile_search[targetpath matches *", "test_targetfile_search[targetpath with *", "path_hash_prefixes", "succinct_roles",
	}},
	{"the last delegation is followed first", edits(edit("search.go", "range slices.Backward(list)", "range slices.All(list)")), []string{
		"test_graph_traversal[single-level-delegations]", "test_graph_traversal[two-level-*-DFS-*", "test_graph_traversal[cyclic-graph]", "test_graph_traversal[two-roles-delegating-to-a-third]",
	}},
	{"delegations are followed breadth first", edits(
		edit("search.go", "range slices.Backward(list)", "range slices.All(list)"),
		edit("search.go", "next := todo[len(todo)-1]\n\t\ttodo = todo[:len(todo)-1]", "next := todo[0]\n\t\ttodo = todo[1:]"),
	), []string{"test_graph_traversal[*-DFS-order-of-traversal]", "test_graph_traversal[two-roles-delegating-to-a-third]"}},
	{"terminating is not looked at", edits(edit("search.go", "Delegation.Terminating); i >= 0 {", "Delegation.Terminating); i > len(list) {")), []string{
		"test_graph_traversal[*-terminating-*",
	}},
	{"every delegation matches", edits(edit("delegation.go", "if len(d.prefixes) == 0 {", "if d.name != \"\" {\nreturn true\n}\nif len(d.prefixes) == 0 {")), []string{
		"test_graph_traversal[*-ignores-all-branches-not-matching-paths]", "test_graph_traversal[*-different-paths]", "path_hash_prefixes",
		"test_targetfile_search[targetpath is not delegated by all roles in the chain]",
	}},
	{"a wildcard matches a slash", edits(edit("delegation.go", "p, moreP := cutElement(&pattern)", "if pattern != \"\" {\nreturn matchElement(pattern, target)\n}\np, moreP := cutElement(&pattern)")), []string{
		"test_targetfile_search[wildcard does not match path separator]",
	}},
	{"a question mark matches any characters", edits(edit("delegation.go", "pattern[p] == '*' {", "(pattern[p] == '*' || pattern[p] == '?') {")), []string{
		"test_targetfile_search[targetpath does not match question mark wildcard]",
	}},
	{"a question mark is one", edits(edit("delegation.go", "pattern[p] == '?' {", "pattern[p] == '?' && s[0] == '?' {")), []string{"test_targetfile_search[targetpath matches question mark wildcard]"}},
	{"patterns do not know upper case", edits(edit("delegation.go", "p, moreP := cutElement(&pattern)", "pattern, target = strings.ToLower(pattern), strings.ToLower(target)\np, moreP := cutElement(&pattern)")), []string{
		"test_targetfile_search[targetpath matching is case sensitive]",
	}},
	{"the top-level targets are not looked at", edits(edit("search.go", "file, err := t.Target(target)", "file, err := TargetFile{}, ErrTargetUnknown")), []string{
		"test_targetfile_search[no delegations]",
	}},
	{"a role keeps the keys of who delegated to it first", edits(edit("client/lookup.go", "listed, err := c.set.DelegatedMeta(d.Name())",
		"if first, loaded := mutantState.LoadOrStore(d.Name(), d); loaded {\nd = first.(tuf.Delegation)\n}\nlisted, err := c.set.DelegatedMeta(d.Name())")), []string{"test_cached_role*"}},
	{"snapshot need not list a role", edits(edit("search.go", "if !ok {", "if !ok && s == nil {")), []string{"test_delegation_not_in_snapshot"}},
	{"a role's name is put into the URL as it is", edits(edit("client/lookup.go", "url.PathEscape(d.Name())", "url.URL{Path: d.Name()}.Path")), []string{"test_unusual_role_name[*]"}},
	{"path_hash_prefixes are upper case", edits(edit("delegation.go", "strings.HasPrefix(digest, prefix)", "strings.HasPrefix(strings.ToUpper(digest), prefix)")), []string{"path_hash_prefixes"}},
	{"bins are counted by the last bits", edits(edit("delegation.go", ">>(32-b.bits)", "&(1<<b.bits-1)")), []string{"succinct_roles"}},
}

var brokenCaches = []broken{
	{"roots are not kept", edits(edit("client/refresh.go", "err = c.cache.write(name, data)\n\t\t}\n\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n\t\tfetched++", "_ = name\n\t\t}\n\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n\t\tfetched++")), []string{
		"test_root_rotation[1-of-1-key-rotation]", "test_unsigned_metadata[timestamp]", "test_custom_fields",
	}},
	{"timestamp is not kept", edits(edit("client/conditional.go", "if newer {", "if newer && c == nil {")), []string{
		"test_basic_refresh_trusted_data", "test_implicit_refresh", "test_timestamp_content_changes", "test_snapshot_404", "test_targets_404", "test_unsigned_metadata[snapshot]",
	}},
	{"metadata is not kept as it was served", edits(edit("client/cache.go", "old, err := durable.ReadFile(c.fsys, name, int64(len(data)))",
		"data = bytes.TrimSpace(data)\nold, err := durable.ReadFile(c.fsys, name, int64(len(data)))")), []string{"test_metadata_bytes_match"}},
	{"snapshot and targets are kept before they are verified", edits(
		edit("client/refresh.go", "if err := c.set.UpdateSnapshot(data, at); err != nil {",
			"if err := c.cache.write(tuf.RoleSnapshot.Filename(), data); err != nil {\nreturn err\n}\nif err := c.set.UpdateSnapshot(data, at); err != nil {"),
		edit("client/refresh.go", "errors.Join(err, b.discard())", "errors.Join(err, c.cache.keep(b))"),
	), []string{
		"test_unsigned_metadata[snapshot]", "test_unsigned_metadata[targets]", "test_snapshot_expired", "test_targets_expired", "test_snapshot_hash_mismatch", "test_targets_hash_mismatch",
	}},
}

// brokenIndexes are faults of a client that does not verify again.
var brokenIndexes = []broken{
	{"an index is good for any keys", edits(edit("index.go", "t.keys != signers.digest()", "t.count < 0")), []string{"test_cached_role*"}},
	{"an index is good for any version", edits(edit("index.go", "err == nil && !t.is(listed)", "err == nil && !t.is(listed) && t.count < 0")), []string{"a delegated role that changes"}},
}

// brokenRepositories are faults of the simulator, which three of the suite's tests are about.
var brokenRepositories = []broken{
	{"the repository begins with version 2", edits(edit("tuftest/tuftest.go", "r.Publish(tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp)",
		"r.Publish(tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp)\nr.Publish()")), []string{"test_repo_initialzation_unittest"}},
	{"the repository lists wrong digests", edits(edit("tuftest/tuftest.go", "verify.Sum(verify.SHA256, data)", "verify.Sum(verify.SHA256, data[1:])")), []string{"test_basic_metadata_hash_support_unittest"}},
	{"the repository does not let timestamp expire", edits(edit("tuftest/tuftest.go", "if expires.IsZero() {", "if role == tuf.RoleTimestamp || expires.IsZero() {")), []string{"test_update_timestamp"}},
}
