// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package main

import "time"

var begun = time.Now()

// processCPU is the time that has passed, where nothing better is known.
func processCPU() time.Duration { return time.Since(begun) }
