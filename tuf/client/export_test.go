// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// StoreState writes the record as another version of this package might.
func StoreState(fsys simfs.FS, data []byte) error {
	record, err := durable.OpenRecord(fsys, "state")
	if err == nil {
		err = record.Store(data)
	}
	return err
}

// ReadState decodes a record and encodes it again.
func ReadState(data []byte) ([]byte, error) {
	s, err := decodeState(data)
	return s.encode(), err
}
