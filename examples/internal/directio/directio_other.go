// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package directio

import "os"

// NoFollow is no flag here.
const NoFollow = 0

// Names cannot tell here.
func Names(os.FileInfo) uint64 { return 1 }

func openDirect(string) *os.File { return nil }

// Lock does nothing here.
func Lock(*os.File) (bool, error) { return false, nil }

// Reserve does nothing here.
func (f *File) Reserve(int64) error { return nil }

// Hole does nothing here.
func (f *File) Hole(int64, int64) error { return nil }
