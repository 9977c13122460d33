// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

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
