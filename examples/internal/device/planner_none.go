// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build suitonly || nodelta

package device

import "github.com/firmament-dev/firmament"

// newPlanner of an agent that is to be small returns none: every image is downloaded whole.
func newPlanner() firmament.Planner { return nil }
