// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"context"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install/slot"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// A device that trusts a sample key does not start, unless it is told that it is none.
//
// covers: REG-26
func TestCOS_16_SampleKeys(t *testing.T) {
	own, err := verify.GenerateKey(verify.Ed25519)
	must(t, err)
	ours, sample := verify.Entry{Key: own.Public()}, verify.Entry{Key: testkeys.P256(1).Public()}
	revoked := sample
	revoked.Revoked = true
	mac := testkeys.Macer(1)
	for name, tt := range map[string]struct {
		keys        []verify.Entry
		development bool
		refused     bool
	}{
		"own":                   {[]verify.Entry{ours}, false, false},
		"sample":                {[]verify.Entry{sample}, false, true},
		"sample among own":      {[]verify.Entry{ours, sample}, false, true},
		"sample secret":         {[]verify.Entry{{Key: mac.Key(), Secret: mac}}, false, true},
		"sample, revoked":       {[]verify.Entry{ours, revoked}, false, false},
		"sample in development": {[]verify.Entry{sample}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			fs := simfs.NewSim(simfs.Options{}).FS()
			keys, err1 := verify.NewKeySet(tt.keys...)
			policy, err2 := verify.Threshold(1, "")
			counter, err3 := verify.NewCounter(fs, "counter")
			must(t, errors.Join(err1, err2, err3))
			u, err := firmament.New(firmament.Options{
				Storage: fs, Keys: keys, Policy: policy, Counter: counter, Development: tt.development,
				Finder:   firmament.FinderFunc(func(context.Context, string) ([]byte, error) { return nil, nil }),
				Identity: processor.Identity{VendorID: manifest.UUID{1}, ClassID: manifest.UUID{2}}, Component: manifest.ComponentID{{0}},
				Installer: slot.New(nil, nil, nil), Fetch: fetch.Options{Source: nowhere{}},
			})
			if err == nil {
				err = u.Close()
			}
			if tt.refused != (errors.Is(err, verify.ErrPolicy) && errors.Is(err, firmament.ErrOptions)) || (!tt.refused && err != nil) {
				t.Errorf("got %v, refused should be %t", err, tt.refused)
			}
		})
	}
}

// nowhere is a Source that is never asked.
type nowhere struct{ fetch.Source }
