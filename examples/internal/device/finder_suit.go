// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/manifest"
)

// suitFinder fetches envelopes from "suit/" below base. Their author's signature is all that protects them: against
// an older release the sequence number helps, against being kept from a newer one nothing does. That takes TUF.
func suitFinder(o fetch.Options, base string) (firmament.Finder, error) {
	remote, err := fetch.NewRemote(o, base+"suit/")
	if err != nil {
		return nil, err
	}
	return firmament.FinderFunc(func(ctx context.Context, target string) ([]byte, error) {
		return remote.Get(ctx, target, manifest.MaxEnvelopeSize)
	}), nil
}
