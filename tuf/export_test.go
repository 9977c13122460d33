// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

// TargetsInMemory is the plain way to read targets metadata that keys of d signed: all of it in canonical form, in memory. Targets of any
// size are read in another way, which has to agree.
func TargetsInMemory(d Delegation, data []byte) (files map[string]TargetFile, err error) {
	e, err := openEnvelope(data)
	if err != nil {
		return nil, err
	}
	if err := e.verify(d.signers); err != nil {
		return nil, err
	}
	listed := false
	_, err = parseHeader(e.signed, RoleTargets, func(name string, v value) error {
		switch name {
		case "delegations":
			_, err := parseDelegations(v)
			return err
		case "targets":
			if err := v.object("targets"); err != nil {
				return err
			}
			listed = true
			files = map[string]TargetFile{}
			for path, entry := range v.members() {
				file, err := parseTargetFile(path, entry)
				if err != nil {
					return err
				}
				files[path] = file
			}
		}
		return nil
	})
	if err == nil && !listed {
		err = malformed("targets: missing")
	}
	return files, err
}
