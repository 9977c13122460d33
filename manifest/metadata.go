// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

// ComponentMetadata is suit-parameter-component-metadata: what a file system is told
// about the component that is fetched, copied or written. All of it is the author's wish,
// which the platform may refuse.
//
// draft-ietf-suit-update-management-14, section 4.6.
type ComponentMetadata struct {
	Default  *Permissions // 1, suit-meta-default-permissions
	Users    []Permission // 2, suit-meta-user-permissions
	Groups   []Permission // 3, suit-meta-group-permissions
	Roles    []Permission // 4, suit-meta-role-permissions
	FileType FileType     // 5, suit-meta-file-type; 0 if absent, which means FileRegular
	Modified *uint64      // 6, suit-meta-modification-time, seconds since 1970
	Created  *uint64      // 7, suit-meta-creation-time
	Creator  *Actor       // 8, suit-meta-creator
}

// Permission is what one actor may do. Lists of them are in the order of the encoded
// actors, which Encode brings about.
type Permission struct {
	Actor       Actor
	Permissions Permissions
}

// Actor is SUIT_meta_actor_id: exactly one of the four forms, by Kind.
type Actor struct {
	Kind  ActorKind
	UUID  UUID
	Bytes string // the bytes of a byte string; at most MaxActorLength
	Name  string // at most MaxActorLength
	ID    int64
}

// ActorKind says which form an Actor has.
type ActorKind uint8

// The forms of an Actor.
const (
	ActorID    ActorKind = iota // such as a POSIX user ID
	ActorBytes                  // opaque
	ActorName                   // such as a user name
	ActorUUID                   // such as that of a TEE application
)
