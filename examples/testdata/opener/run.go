// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build run

package main

import (
	"context"
	"errors"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

type bare struct{}

func (bare) Component(manifest.ComponentID) (processor.Component, error) { return bare{}, nil }

func use(v *manifest.Verified) error {
	ctx := context.Background()
	p, err := processor.New(ctx, v, processor.Options{
		Platform: bare{}, Identity: processor.Identity{VendorID: manifest.UUID{1}, ClassID: manifest.UUID{1}},
	})
	if err == nil {
		err = p.Run(ctx, manifest.SectionValidate)
	}
	if !errors.Is(err, manifest.ErrNotApplicable) {
		return errors.Join(errors.New("expected a manifest for another device"), err)
	}
	return nil
}
