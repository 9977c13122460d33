// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !suitonly && !nodelta

package device

import (
	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch/plan"
)

// newPlanner lets downloads be smaller than the image.
func newPlanner() firmament.Planner { return plan.Planner{} }
