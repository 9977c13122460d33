// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix && !windows

package simfs

import (
	"errors"
	"fmt"
	"os"
)

// Where there are no locks, one process cannot be told from two: Lock fails
// with this instead of pretending.
var errNoLock = fmt.Errorf("no file locks on this system: %w", errors.ErrUnsupported)

const openNonblock = 0

func syncDir(d *os.File) error { return d.Sync() }

func lockFile(*os.File) error { return errNoLock }

func busy(err error) error { return err }
