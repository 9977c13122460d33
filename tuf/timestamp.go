// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

// Timestamp is verified timestamp metadata: it names the current snapshot. It is immutable.
//
// TUF 1.0.34, section 4.6.
type Timestamp struct {
	header
	snapshot MetaFile
}

// Snapshot is what the timestamp lists for the snapshot metadata.
func (t *Timestamp) Snapshot() MetaFile { return t.snapshot }

func parseTimestamp(signed value) (*Timestamp, error) {
	t := &Timestamp{}
	var err error
	t.header, err = parseHeader(signed, RoleTimestamp, func(name string, v value) (err error) {
		if name != "meta" {
			return nil
		}
		if err := v.object("meta"); err != nil {
			return err
		}
		for name, v := range v.members() {
			if name != RoleSnapshot.Filename() {
				return malformed("meta: only %s expected, seen %.40q", RoleSnapshot.Filename(), name)
			}
			if t.snapshot, err = parseMetaFile(v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if t.snapshot.Version == 0 {
		return nil, malformed("meta: %s missing", RoleSnapshot.Filename())
	}
	return t, nil
}
