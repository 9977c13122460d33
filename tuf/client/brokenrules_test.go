// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

// Faults in what a signature, a root and a version are worth.

var brokenSignatures = []broken{
	{"signatures are not counted", edits(
		edit("policy.go", "int64(len(signers)) < k.threshold", "false"),
	), []string{
		"test_unsigned_metadata[*]", "test_unsigned_initial_root", "test_snapshot_does_not_meet_threshold", "test_snapshot_has_too_few_keys",
		"test_root_rotation[*-fail-not-signed-with-*", "test_non_root_rotations[*-fail-not-signed-with-new-key]", "test_cached_role*",
		"a delegated role signed by a stranger",
	}},
	{"one signature is enough", edits(
		edit("policy.go", "int64(len(signers)) < k.threshold", "len(signers) == 0"),
	), []string{
		"test_snapshot_does_not_meet_threshold", "test_snapshot_has_too_few_keys", "test_root_rotation[3-of-5-one-key-rotate-fails-*",
		"test_root_rotation[*-fails-new-threshold-not-reached]", "test_root_rotation[*-fails-old-threshold-not-eached]",
		"test_non_root_rotations[*-threshold-not-reached]", "test_non_root_rotations[3-of-5-one-key-signature-wrong-*",
	}},
	{"signatures are not verified", edits(
		edit("envelope.go", "key.Verify(e.signed, sig) == nil", "key.scheme != \"\""), edit("votes.go", "c.Verify() == nil", "c.key.scheme != \"\""),
	), []string{
		"test_keytype_and_scheme[*]", "test_unsigned_initial_root",
	}},
	{"all keys have to sign", edits(
		edit("policy.go", "< k.threshold", "< max(k.threshold, int64(len(k.keys)))"),
	), []string{
		"test_non_root_rotations[3-of-5-sign-*-combo]", "test_root_rotation[3-of-5-sign-with-different-keycombos]", "test_root_rotation[3-of-5-one-key-rotated*",
		"test_root_rotation[3-of-5-all-keys-rotated-*", "test_root_rotation[1-of-3-threshold-increase-*", "test_root_rotation[2-of-3-threshold-decrease-*",
	}},
	{"signatures beyond the threshold are refused", edits(edit("policy.go", "int64(len(signers)) < k.threshold", "int64(len(signers)) != k.threshold")), []string{
		"test_root_rotation[2-of-3-threshold-decrease-to-1-of-3]",
	}},
	{"a signature that does not verify refuses the file", edits(edit("envelope.go", "signers := make(map[Key]bool)",
		"signers := make(map[Key]bool)\nfor id, key := range role.keys {\nif sig, ok := e.signatures[id]; ok && key.Verify(e.signed, sig) != nil {\nreturn ErrThreshold\n}\n}")), []string{
		"test_invalid_sig_in_valid_metadata", "test_static_repository[sigstore-root-signing]",
	}},
	{"a signature of a key that is not listed refuses the file", edits(edit("envelope.go", "signers := make(map[Key]bool)",
		"signers := make(map[Key]bool)\nfor id := range e.signatures {\nif _, ok := role.keys[id]; !ok {\nreturn ErrThreshold\n}\n}")), []string{
		"test_root_rotation[1-of-1-key-rotation-unused-signatures]", "test_non_root_rotations[1-of-1-key-rotation-unused-signatures]",
	}},
	{"a key id may sign twice", edits(edit("envelope.go", "signatures[keyID]; twice {", "signatures[keyID]; twice && keyID == \"\" {")), []string{
		"test_duplicate_sig_keyids",
	}},
	{"signatures are counted, not keys", edits(
		edit("envelope.go", "if _, twice := signatures[keyID]; twice {", "for signatures[keyID] != nil {\nkeyID += \"#\"\n}\nif keyID == \"\" {"),
		edit("envelope.go", "signers := make(map[Key]bool)", "signers := make(map[Key]bool)\nfor id, sig := range e.signatures {\n"+
			"if key, ok := role.keys[id[:min(64, len(id))]]; ok && key.Verify(e.signed, sig) == nil {\nsigners[Key{der: id}] = true\n}\n}"),
	), []string{"test_duplicate_keys", "test_duplicate_sig_keyids"}},
	{"key ids are counted, not keys", edits(edit("envelope.go", "signers[key] = true", "signers[Key{der: keyID}] = true")), []string{
		"one key under two key ids",
	}},
	{"a key of an unknown type refuses the file", edits(edit("key.go", "default:\n\t\treturn key, false, nil", "default:\n\t\treturn key, false, malformed(\"keytype\")")), []string{
		"a key of an unknown type beside others",
	}},
	{"a key with a field more is not used", edits(edit("key.go", "case \"scheme\":", "default:\nreturn key, false, nil\ncase \"scheme\":")), []string{
		"test_deprecated_keyid_hash_algorithms", "test_static_repository[*]",
	}},
	{"_type is not looked at", edits(edit("role.go", "kind != string(role)", "kind == \"\"")), []string{"test_incorrect_metadata_type"}},
	{"a field more refuses root", edits(edit("root.go", "\t\tcase \"roles\":\n\t\t\troles = v\n", "\t\tcase \"roles\":\n\t\t\troles = v\ndefault:\nreturn malformed(\"%s\", name)\n")), []string{
		"test_custom_fields",
	}},
	{"RSA is not known", edits(edit("key.go", "kind == KeyTypeRSA && scheme == SchemeRSAPSS", "kind == scheme+KeyTypeRSA")), []string{"test_keytype_and_scheme[rsa/*]"}},
	{"P-256 is not known", edits(edit("key.go", "kind == KeyTypeECDSA && (scheme == SchemeP256 || ", "kind == KeyTypeECDSA && (")), []string{
		"test_keytype_and_scheme[ecdsa/*]", "test_static_repository[*]",
	}},
}

var brokenRoots = []broken{
	{"the first root need not be signed", edits(edit("root.go", "if err := e.verify(root.roles[RoleRoot]); err != nil {", "if err := e.verify(root.roles[RoleRoot]); err != nil && e == nil {")), []string{
		"test_unsigned_initial_root",
	}},
	{"a version may be missing", edits(edit("role.go", "case h.version == 0:", "case h.version < 0:")), []string{"test_invalid_initial_root"}},
	{"root need not be signed by the one before", edits(edit("root.go", "e.verify(r.roles[RoleRoot]); err != nil {", "e.verify(r.roles[RoleRoot]); err != nil && e == nil {")), []string{
		"test_root_rotation[*-fail-not-signed-with-old-key]", "test_root_rotation[*-not-signed-with-3-old-keys]", "test_root_rotation[2-of-3-threshold-decr-*-fails-*",
	}},
	{"root need not be signed by its own keys", edits(edit("root.go", "e.verify(next.roles[RoleRoot]); err != nil {", "e.verify(next.roles[RoleRoot]); err != nil && e == nil {")), []string{
		"test_root_rotation[*-fail-not-signed-with-new-key]", "test_root_rotation[*-not-signed-with-3-new-keys]", "test_root_rotation[1-of-3-threshold-bump-*",
	}},
	{"the old root's keys stay in force", edits(edit("root.go", "if next.version != r.version+1 {", "next.roles[RoleRoot] = r.roles[RoleRoot]\nif next.version != r.version+1 {")), []string{
		"test_root_rotation[1-of-1-key-rotation]", "test_root_rotation[1-of-1-key-rotation-unused-signatures]", "test_root_rotation[3-of-5-all-keys-rotated-*",
	}},
	{"root may skip versions", edits(edit("root.go", "next.version != r.version+1", "next.version <= r.version")), []string{
		"test_url_and_metadata_version_mismatch[root]",
	}},
	{"no new root is looked for", edits(edit("client/refresh.go", "fetched < c.o.Limits.Roots", "fetched < 0")), []string{
		"test_basic_refresh_requests", "test_implicit_refresh", "test_root_rotation[1-of-2-threshold-increase-*", "test_non_root_rotations[1-of-1-key-rotation]", "test_expired_local_root", "test_root_expired",
	}},
	{"one new root is enough", edits(edit("client/refresh.go", "fetched < c.o.Limits.Roots", "fetched < 1")), []string{
		"test_root_rotation[1-of-1-key-rotation]", "test_root_rotation[*-with-intermediate-step]", "test_root_rotation[3-of-5-sign-with-different-keycombos]",
	}},
}

var brokenVersions = []broken{
	{"timestamp may go back", edits(edit("set.go", "t.version < floor.Timestamp", "t.version < 0")), []string{"test_new_timestamp_version_rollback"}},
	{"snapshot may go back", edits(edit("set.go", "t.snapshot.Version < floor.Snapshot", "t.snapshot.Version < 0")), []string{"test_snapshot_rollback[*]"}},
	{"targets may go back", edits(
		edit("set.go", "is < s.floor.Targets", "is < 0"), edit("snapshot.go", "is.Version < was.Version", "is.Version < 0"),
	), []string{"test_targets_rollback[*]", "an older version of a delegated role"}},
	{"a role may vanish from snapshot", edits(edit("snapshot.go", "if !listed {", "if !listed {\ncontinue\n}\nif !listed {")), []string{"test_targets_role_removal"}},
	{"versions stay when keys are revoked", edits(edit("client/cache.go", "if revoked {", "if revoked && c == nil {")), []string{"test_*_fast_forward_recovery"}},
	{"another timestamp of the same version is taken", edits(edit("set.go", "t.version == old.version", "t.version < 0")), []string{"test_timestamp_content_changes"}},
	{"a listed version need not be the file's", edits(
		edit("restore.go", "m.Version() != listed.Version", "m.Version() < 0"), edit("targetsfile.go", "t.version != listed.Version", "t.version < 0"),
	), []string{
		"test_url_and_metadata_version_mismatch[snapshot]", "test_url_and_metadata_version_mismatch[targets]", "another version of a delegated role *",
	}},
	{"a listed digest need not be the file's", edits(
		edit("meta.go", "if m.hashes.listed {", "if m.hashes.listed && m.Version == 0 {"), edit("targetsfile.go", "if must && listed.hashes.listed {", "if must && size < 0 {"),
	), []string{
		"test_targets_hash_mismatch", "test_snapshot_hash_mismatch", "another digest of a delegated role *",
	}},
	{"listed lengths are off by one", edits(
		edit("meta.go", "int64(len(data)) != m.Length", "int64(len(data)) >= m.Length"), edit("targetsfile.go", "size != listed.Length", "size >= listed.Length"),
	), []string{"test_basic_metadata_hash_support"}},
}

var brokenTime = []broken{
	{"root may have expired", edits(
		edit("client/client.go", "c.set.Root().CheckFresh(c.at); err != nil {", "c.set.Root().CheckFresh(c.at); err != nil && c == nil {"),
		edit("set.go", "s.root.CheckFresh(at)", "nil"),
	), []string{"test_root_expired", "test_faketime"}},
	{"timestamp may have expired", edits(edit("set.go", "if err := t.CheckFresh(at); err != nil {", "if err := t.CheckFresh(at); err != nil && s == nil {"),
		edit("set.go", "s.timestamp.CheckFresh(at)", "nil")), []string{"test_timestamp_expired"}},
	{"snapshot may have expired", edits(edit("set.go", "return fail(RoleSnapshot, next.version, err)\n\t}\n\ts.snapshot, s", "_ = fail(RoleSnapshot, next.version, err)\n\t}\n\ts.snapshot, s"),
		edit("set.go", "s.snapshot.CheckFresh(at)", "nil")), []string{"test_snapshot_expired"}},
	{"targets may have expired", edits(edit("set.go", "return fail(RoleTargets, next.version, err)\n\t}\n\ts.targets, s", "_ = fail(RoleTargets, next.version, err)\n\t}\n\ts.targets, s"),
		edit("set.go", "s.targets.CheckFresh(at)", "nil")), []string{"test_targets_expired"}},
	{"a delegated role may have expired", edits(edit("search.go", "t.CheckFresh(at); err != nil {", "t.CheckFresh(at); err != nil && s == nil {")), []string{
		"a delegated role that has expired",
	}},
	{"valid up to the very second", edits(edit("role.go", "at.Before(h.expires)", "!at.After(h.expires)")), []string{"expires at the very second"}},
	{"an expired root stands in the way of the next", edits(edit("client/refresh.go", "data, err := get(ctx, r, \"metadata/\"+name, c.o.Limits.Root)",
		"if err := c.set.Root().CheckFresh(c.at); err != nil {\nreturn err\n}\ndata, err := get(ctx, r, \"metadata/\"+name, c.o.Limits.Root)")), []string{"test_expired_local_root"}},
	{"an expired timestamp stands in the way of the next", edits(edit("client/conditional.go", "newer, err := c.set.UpdateTimestamp(data, c.at)",
		"if old := c.set.Timestamp(); old != nil && old.CheckFresh(c.at) != nil {\nreturn old.CheckFresh(c.at)\n}\nnewer, err := c.set.UpdateTimestamp(data, c.at)")), []string{"test_expired_local_timestamp"}},
}
