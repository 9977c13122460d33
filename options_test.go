// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// offer publishes r and lets a device that runs release 1 update to it.
func offer(t *testing.T, r release, adjust func(*firmament.Options)) (*world, *simfs.Sim, error) {
	t.Helper()
	s, err := newShop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.publish(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{server: &server{files: f}, root: f["metadata/1.root.json"], now: func() time.Time { return start }}
	sim := newDevice(t, w, newRelease(1, image(1, 3*chunkSize)))
	w.adjust = adjust
	return w, sim, w.update(t.Context(), sim)
}

// One bad release does not use up the sequence numbers: far above the accepted one, the recovery group has to have signed.
func TestCMD_07_SequenceJump(t *testing.T) {
	recovery := testkeys.Ed25519(11)
	group := func(name string) func(*firmament.Options) {
		return func(o *firmament.Options) {
			keys, err := verify.NewKeySet(verify.Entry{Key: authorKey().Public(), Groups: []string{"author"}},
				verify.Entry{Key: recovery.Public(), Groups: []string{"author", "recovery"}})
			if err != nil {
				t.Fatal(err)
			}
			o.Keys, o.SequenceJump, o.Recovery = keys, 100, name
		}
	}
	for _, tt := range []struct {
		name     string
		sequence uint64
		signer   verify.Signer
		adjust   func(*firmament.Options)
		refused  bool
	}{
		{"at the limit", 101, authorKey(), group("recovery"), false},
		{"beyond, by the author", 102, authorKey(), group("recovery"), true},
		{"beyond, by recovery", 102, recovery, group("recovery"), false},
		{"beyond, without a group", 102, recovery, group(""), true},
		{"within the default", 1 << 50, authorKey(), nil, false},
		{"beyond the default", 1 << 60, authorKey(), nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRelease(tt.sequence, image(2, 2*chunkSize))
			r.signer = tt.signer
			w, _, err := offer(t, r, tt.adjust)
			if !tt.refused {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, manifest.ErrSequence) || !errors.Is(err, verify.ErrPolicy) {
				t.Errorf("got %v, want %v and %v", err, manifest.ErrSequence, verify.ErrPolicy)
			}
			if n := w.server.sent.Load(); n != 0 {
				t.Errorf("%d bytes of a refused release were fetched", n)
			}
		})
	}
}

// A recovery group that no key is in would refuse, on the day that it is needed, what it is for.
func TestRecoveryGroupNeedsAKey(t *testing.T) {
	_, _, err := offer(t, newRelease(2, image(2, chunkSize)), func(o *firmament.Options) { o.Recovery = "recovry" })
	if !errors.Is(err, firmament.ErrOptions) || !strings.Contains(err.Error(), "recovry") {
		t.Errorf("got %v, want %v", err, firmament.ErrOptions)
	}
}

// The device's owner says where payloads come from, before anything is fetched, in place of what is the rule otherwise.
func TestCMD_11_CheckURI(t *testing.T) {
	r := newRelease(2, image(2, 2*chunkSize))
	for _, allow := range []bool{true, false} {
		var asked []string
		w, _, err := offer(t, r, func(o *firmament.Options) {
			o.CheckURI = func(uri string) error {
				asked = append(asked, uri)
				if !allow {
					return fmt.Errorf("not from there: %w", verify.ErrPolicy)
				}
				return nil
			}
		})
		if allow != (err == nil) || !allow && !errors.Is(err, verify.ErrPolicy) {
			t.Errorf("allowed %v: %v", allow, err)
		}
		if sent := w.server.sent.Load() > 0; sent != allow {
			t.Errorf("allowed %v: fetched is %v", allow, sent)
		}
		if !slices.Contains(asked, r.payload()) {
			t.Errorf("asked about %q, expected %q, too", asked, r.payload())
		}
	}
}
