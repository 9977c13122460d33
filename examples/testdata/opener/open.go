// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !run

package main

import "github.com/firmament-dev/firmament/manifest"

func use(*manifest.Verified) error { return nil }
