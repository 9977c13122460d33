// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package slot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/verify"
)

// DefaultTries is how often the boot loader tries a new image before it goes back. More than one, because a trial
// boot that a brown-out ended says nothing about the image.
const DefaultTries = 3

// A BootRecord is a boot loader's memory for two slots, kept in two copies with sequence number and checksum, so that
// a cut while one is written leaves the other.
//
// It has two sides. The running system uses it as [install.BootControl]. [BootRecord.Next] is the boot loader's side:
// a boot loader of yours follows the same few rules, and a simulated one calls it.
//
// The copies' payload, big endian, 1+1+1+1+1 bytes and two slots of 8+1+64:
//
//	version  1
//	current, confirmed, trial (0xff: none)
//	left     trial boots left
//	slots    size, digest algorithm (0 none, 1 SHA-256, 2 SHA-384, 3 SHA-512), digest padded with zeros
//
// A BootRecord is not safe for concurrent use.
type BootRecord struct {
	rec   *durable.Record
	tries int
}

// bootState is the payload of a BootRecord.
type bootState struct {
	install.Boot
	Images [2]install.Image // what the confirmed slot and the one on trial hold; of any other slot it says nothing
}

// CreateBootRecord writes the first record, in the files name.0 and name.1 of dir: slot is running and confirmed and holds
// img. It is what a factory does once; an existing record is ErrState.
func CreateBootRecord(dir install.Storage, name string, slot int, img install.Image) (*BootRecord, error) {
	if slot != 0 && slot != 1 {
		return nil, fmt.Errorf("boot record %s: slot %d, want 0 or 1: %w", name, slot, install.ErrBounds)
	}
	r, err := openRecord(dir, name)
	if err != nil {
		return nil, err
	}
	if _, _, err := r.rec.Load(); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return nil, fmt.Errorf("boot record %s: %w: %w", name, install.ErrState, err)
	}
	s := bootState{Boot: install.Boot{Current: slot, Confirmed: slot, Trial: install.NoSlot}}
	s.Images[slot] = img
	return r, r.store(s)
}

// OpenBootRecord opens the record that CreateBootRecord wrote. ErrState, wrapping the cause, if there is none or both
// copies are damaged: nothing is assumed about a device that cannot say what it runs.
func OpenBootRecord(dir install.Storage, name string) (*BootRecord, error) {
	r, err := openRecord(dir, name)
	if err != nil {
		return nil, err
	}
	_, err = r.load()
	return r, err
}

func openRecord(dir install.Storage, name string) (*BootRecord, error) {
	rec, err := durable.OpenRecord(dir, name)
	if err != nil {
		return nil, fmt.Errorf("boot record %s: %w: %w", name, install.ErrState, err)
	}
	return &BootRecord{rec: rec, tries: DefaultTries}, nil
}

// SetTries sets how many trial boots the next Arm grants, 1 to 255.
func (r *BootRecord) SetTries(n int) error {
	if n < 1 || n > 255 {
		return fmt.Errorf("%d trial boots, want 1 to 255: %w", n, install.ErrBounds)
	}
	r.tries = n
	return nil
}

// Boot implements [install.BootControl].
func (r *BootRecord) Boot(context.Context) (install.Boot, error) {
	s, err := r.load()
	return s.Boot, err
}

// Image returns what slot, confirmed or on trial, is known to hold; the zero Image for any other slot.
func (r *BootRecord) Image(slot int) (install.Image, error) {
	s, err := r.load()
	if err != nil || slot != s.Confirmed && slot != s.Trial {
		return install.Image{}, err
	}
	return s.Images[slot], nil
}

// Free implements [install.BootControl].
func (r *BootRecord) Free(_ context.Context, slot int) error {
	return r.change(func(s *bootState) error {
		if slot != 0 && slot != 1 || slot == s.Confirmed {
			return fmt.Errorf("free slot %s, which is not the other one: %w", Name(slot), install.ErrState)
		}
		if s.Trial == slot {
			s.Trial, s.Left = install.NoSlot, 0
			s.Images[slot] = install.Image{}
		}
		return nil
	})
}

// Arm implements [install.BootControl].
func (r *BootRecord) Arm(_ context.Context, slot int, img install.Image) error {
	return r.change(func(s *bootState) error {
		if slot != 0 && slot != 1 || slot == s.Confirmed || s.Current == slot {
			return fmt.Errorf("arm slot %s while it is in use: %w", Name(slot), install.ErrState)
		}
		if img.Size <= 0 || img.Digest.IsZero() {
			return fmt.Errorf("arm slot %s without an image: %w", Name(slot), install.ErrState)
		}
		s.Images[slot] = img
		s.Trial, s.Left = slot, r.tries
		return nil
	})
}

// MarkGood implements [install.BootControl].
func (r *BootRecord) MarkGood(_ context.Context, slot int) error {
	return r.change(func(s *bootState) error {
		if slot != s.Confirmed && slot != s.Trial {
			return fmt.Errorf("confirm slot %s, which is not on trial: %w", Name(slot), install.ErrState)
		}
		s.Confirmed = slot
		s.Trial, s.Left = install.NoSlot, 0
		return nil
	})
}

// Next is the boot loader's side: it says which slot to start and what the slot is known to hold, and has written down that
// this slot is the current one before it returns. An armed slot is tried while trial boots are left; each try is
// counted before it is made. Otherwise the confirmed slot is started.
//
// check, if not nil, is asked whether the slot holds the image, as a verifying boot loader does. A trial that fails it with
// install.ErrVerifyAfterWrite is given up at once; any other error, such as one bad read, costs one try, and the confirmed slot is
// started meanwhile. ErrNoBootable if the confirmed slot fails the check.
func (r *BootRecord) Next(check func(slot int, img install.Image) error) (int, install.Image, error) {
	var slot int
	var image install.Image
	err := r.change(func(s *bootState) error {
		slot = s.Confirmed
		if s.Trial != install.NoSlot && s.Left > 0 {
			slot = s.Trial
			s.Left--
			if check != nil {
				if err := check(slot, s.Images[slot]); err != nil {
					slot = s.Confirmed
					if errors.Is(err, install.ErrVerifyAfterWrite) {
						s.Left = 0
					}
				}
			}
		}
		image = s.Images[slot]
		if slot == s.Confirmed && check != nil {
			if err := check(slot, image); err != nil {
				return fmt.Errorf("slot %s: %w: %w", Name(slot), install.ErrNoBootable, err)
			}
		}
		s.Current = slot
		return nil
	})
	return slot, image, err
}

// change loads the state, lets f change it, and stores it in both copies, so that later damage to one of them brings no
// older state back. What both hold already is not written: an idempotent call wears no flash.
func (r *BootRecord) change(f func(*bootState) error) error {
	s, err := r.load()
	if err != nil {
		return err
	}
	if err := f(&s); err != nil {
		return err
	}
	return r.store(s)
}

func (r *BootRecord) load() (bootState, error) {
	b, _, err := r.rec.Load()
	if err != nil {
		return bootState{}, fmt.Errorf("boot record: %w: %w", install.ErrState, err)
	}
	return parseBootState(b)
}

func (r *BootRecord) store(s bootState) error {
	if err := r.rec.StoreBoth(s.append(nil)); err != nil {
		return fmt.Errorf("boot record: %w", err)
	}
	return nil
}

const (
	bootVersion = 1
	noSlotByte  = 0xff
	digestField = 64
	imageField  = 8 + 1 + digestField
	recordSize  = 5 + 2*imageField
)

// digestCodes are the record's numbers for digest algorithms, by position.
var digestCodes = [...]verify.Hash{1: verify.SHA256, 2: verify.SHA384, 3: verify.SHA512}

func (s bootState) append(b []byte) []byte {
	trial := byte(noSlotByte)
	if s.Trial != install.NoSlot {
		trial = byte(s.Trial)
	}
	b = append(b, bootVersion, byte(s.Current), byte(s.Confirmed), trial, byte(s.Left))
	for _, img := range s.Images {
		b = binary.BigEndian.AppendUint64(b, uint64(img.Size))
		var field [1 + digestField]byte
		if !img.Digest.IsZero() {
			for code, h := range digestCodes {
				if code > 0 && h == img.Digest.Hash() {
					field[0] = byte(code)
				}
			}
			copy(field[1:], img.Digest.Bytes())
		}
		b = append(b, field[:]...)
	}
	return b
}

func parseBootState(b []byte) (bootState, error) {
	bad := func(what string, got any) (bootState, error) {
		return bootState{}, fmt.Errorf("boot record: %s is %v: %w", what, got, install.ErrState)
	}
	if len(b) != recordSize {
		return bad("length", len(b))
	}
	if b[0] != bootVersion {
		return bad("version", b[0])
	}
	s := bootState{Boot: install.Boot{Current: int(b[1]), Confirmed: int(b[2]), Trial: int(b[3]), Left: int(b[4])}}
	if b[3] == noSlotByte {
		s.Trial = install.NoSlot
	}
	if s.Current > 1 || s.Confirmed > 1 || s.Trial > 1 {
		return bad("slot", b[1:4])
	}
	if s.Trial == s.Confirmed || (s.Trial == install.NoSlot && s.Left != 0) {
		return bad("trial", b[3:5])
	}
	for i := range s.Images {
		f := b[5+i*imageField:][:imageField]
		size, code := binary.BigEndian.Uint64(f), f[8]
		if size == 0 && code == 0 && allZero(f[9:]) {
			continue
		}
		if int64(size) <= 0 || code == 0 || int(code) >= len(digestCodes) {
			return bad("image of slot "+Name(i), f[:9])
		}
		h := digestCodes[code]
		d, err := verify.NewDigest(h, f[9:9+h.Size()])
		if err != nil || !allZero(f[9+h.Size():]) {
			return bad("digest of slot "+Name(i), f[8:])
		}
		s.Images[i] = install.Image{Size: int64(size), Digest: d}
	}
	return s, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
