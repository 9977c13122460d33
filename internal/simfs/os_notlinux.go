// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package simfs

const openExclusive = 0
