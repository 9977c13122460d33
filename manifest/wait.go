// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
)

// WaitInfo is suit-parameter-wait-info: the events that DirectiveWait waits for, all
// of them; nil means not asked for. At least one is.
//
// draft-ietf-suit-update-management-14, section 4.5.
type WaitInfo struct {
	Authorization *int64       // 1, suit-wait-event-authorization, a priority as in UpdatePriority
	Power         *int64       // 2, suit-wait-event-power
	Network       *int64       // 3, suit-wait-event-network
	OtherDevice   *OtherDevice // 4, suit-wait-event-other-device-version
	Time          *uint64      // 5, suit-wait-event-time, seconds since 1970
	TimeOfDay     *uint64      // 6, suit-wait-event-time-of-day, seconds since local midnight, below 86,400
	DayOfWeek     *uint64      // 7, suit-wait-event-day-of-week, local days since Sunday, below 7
	TimeOfDayUTC  *uint64      // 8, suit-wait-event-time-of-day-utc
	DayOfWeekUTC  *uint64      // 9, suit-wait-event-day-of-week-utc
}

// OtherDevice waits until another device runs a version that all of Versions
// match. What the identifier means is the deployment's matter.
type OtherDevice struct {
	Device   []byte // at most MaxActorLength
	Versions []VersionMatch
}

const (
	secondsPerDay = 24 * 60 * 60
	daysPerWeek   = 7
)

func decodeWaitInfo(p *cborstream.Parser) (w WaitInfo, err error) {
	events, err := p.Map()
	if err != nil {
		return w, err
	}
	if events.Len() == 0 {
		return w, p.Refuse(0, ErrMalformed, "no event to wait for")
	}
	for events.Next(p) {
		at := p.Offset()
		key, err := p.Int()
		if err != nil {
			return w, err
		}
		switch key {
		case waitAuthorization:
			w.Authorization, err = pointer(p.Int())
		case waitPower:
			w.Power, err = pointer(p.Int())
		case waitNetwork:
			w.Network, err = pointer(p.Int())
		case waitOtherDevice:
			w.OtherDevice, err = decodeOtherDevice(p)
		case waitTime:
			w.Time, err = pointer(p.Uint())
		case waitTimeOfDay:
			w.TimeOfDay, err = decodeBelow(p, secondsPerDay)
		case waitDayOfWeek:
			w.DayOfWeek, err = decodeBelow(p, daysPerWeek)
		case waitTimeOfDayUTC:
			w.TimeOfDayUTC, err = decodeBelow(p, secondsPerDay)
		case waitDayOfWeekUTC:
			w.DayOfWeekUTC, err = decodeBelow(p, daysPerWeek)
		default:
			err = p.Refuse(at, ErrUnsupported, "wait event %d", key)
		}
		if err != nil {
			return w, err
		}
	}
	return w, nil
}

func decodeBelow(p *cborstream.Parser, limit uint64) (*uint64, error) {
	at := p.Offset()
	v, err := p.Uint()
	if err == nil && v >= limit {
		err = p.Refuse(at, ErrMalformed, "%d, expected less than %d", v, limit)
	}
	return &v, err
}

func decodeOtherDevice(p *cborstream.Parser) (*OtherDevice, error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n != 2 {
		return nil, p.Refuse(at, ErrMalformed, "other device of %d items, expected 2", n)
	}
	o := new(OtherDevice)
	at = p.Offset()
	device, err := p.Bytes()
	if err != nil {
		return nil, err
	}
	o.Device = slices.Clone(device)
	if len(o.Device) > MaxActorLength {
		return nil, p.Refuse(at, ErrLimit, "other device of %d bytes, limit %d", len(o.Device), MaxActorLength)
	}
	at = p.Offset()
	if n, err = p.Array(); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, p.Refuse(at, ErrMalformed, "no version of the other device")
	}
	if n > MaxVersionParts {
		return nil, p.Refuse(at, ErrLimit, "%d versions of the other device, limit %d", n, MaxVersionParts)
	}
	for range n {
		v, err := decodeVersionMatch(p)
		if err != nil {
			return nil, err
		}
		o.Versions = append(o.Versions, v)
	}
	p.End() // of versions
	p.End()
	return o, nil
}

func (w *WaitInfo) encode() []byte {
	var pairs []pair
	add := func(key int64, value []byte) { pairs = append(pairs, pair{cborstream.AppendInt(nil, key), value}) }
	for key, v := range map[int64]*int64{waitAuthorization: w.Authorization, waitPower: w.Power, waitNetwork: w.Network} {
		if v != nil {
			add(key, cborstream.AppendInt(nil, *v))
		}
	}
	for key, v := range map[int64]*uint64{waitTime: w.Time, waitTimeOfDay: w.TimeOfDay, waitDayOfWeek: w.DayOfWeek,
		waitTimeOfDayUTC: w.TimeOfDayUTC, waitDayOfWeekUTC: w.DayOfWeekUTC} {
		if v != nil {
			add(key, cborstream.AppendUint(nil, *v))
		}
	}
	if o := w.OtherDevice; o != nil {
		b := cborstream.AppendBytes(cborstream.AppendArray(nil, 2), o.Device)
		b = cborstream.AppendArray(b, len(o.Versions))
		for _, v := range o.Versions {
			b = v.append(b)
		}
		add(waitOtherDevice, b)
	}
	return appendPairs(nil, pairs)
}
