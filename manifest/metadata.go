// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "github.com/firmament-dev/firmament/internal/cborstream"

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

func decodeMetadata(p *cborstream.Parser) (m ComponentMetadata, err error) {
	entries, err := p.Map()
	if err != nil {
		return m, err
	}
	for entries.Next(p) {
		at := p.Offset()
		key, err := p.Int()
		if err != nil {
			return m, err
		}
		switch key {
		case metadataDefault:
			m.Default, err = pointer(decodePermissions(p))
		case metadataUser:
			m.Users, err = decodePermissionMap(p)
		case metadataGroup:
			m.Groups, err = decodePermissionMap(p)
		case metadataRole:
			m.Roles, err = decodePermissionMap(p)
		case metadataFileType:
			var v uint64
			v, err = p.Uint()
			if err == nil && (v < uint64(FileRegular) || v > uint64(FileSymlink)) {
				err = p.Refuse(at, ErrUnsupported, "file type %d", v)
			}
			m.FileType = FileType(v)
		case metadataModified:
			m.Modified, err = decodeTime(p)
		case metadataCreated:
			m.Created, err = decodeTime(p)
		case metadataCreator:
			m.Creator, err = pointer(decodeActor(p))
		default:
			err = p.Refuse(at, ErrUnsupported, "component metadata %d", key)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}

func decodePermissions(p *cborstream.Parser) (Permissions, error) {
	at := p.Offset()
	v, err := p.Uint()
	if err == nil && v > permissionBits {
		err = p.Refuse(at, ErrUnsupported, "permissions 0x%x", v)
	}
	return Permissions(v), err
}

func decodePermissionMap(p *cborstream.Parser) ([]Permission, error) {
	at := p.Offset()
	entries, err := p.Map()
	if err != nil {
		return nil, err
	}
	n := entries.Len()
	if n == 0 {
		return nil, p.Refuse(at, ErrMalformed, "no actor")
	}
	if n > MaxActors {
		return nil, p.Refuse(at, ErrLimit, "%d actors, limit %d", n, MaxActors)
	}
	var list []Permission
	for entries.Next(p) {
		var entry Permission
		if entry.Actor, err = decodeActor(p); err != nil {
			return nil, err
		}
		if entry.Permissions, err = decodePermissions(p); err != nil {
			return nil, err
		}
		list = append(list, entry)
	}
	return list, nil
}

// decodeTime reads #6.1(uint).
func decodeTime(p *cborstream.Parser) (*uint64, error) {
	at := p.Offset()
	tag, err := p.Tag()
	if err != nil {
		return nil, err
	}
	if tag != tagTime {
		return nil, p.Refuse(at, ErrMalformed, "time of tag %d, expected %d", tag, tagTime)
	}
	v, err := p.Uint()
	p.End()
	return &v, err
}

func decodeActor(p *cborstream.Parser) (a Actor, err error) {
	at := p.Offset()
	kind, err := p.Peek()
	if err != nil {
		return a, err
	}
	switch kind {
	case cborstream.Bytes:
		a.Kind = ActorBytes
		b, e := p.Bytes()
		a.Bytes, err = string(b), e
	case cborstream.Text:
		a.Kind = ActorName
		a.Name, err = p.Text()
	case cborstream.Tag:
		a.Kind = ActorUUID
		tag, e := p.Tag()
		if e == nil && tag != tagUUID {
			e = p.Refuse(at, ErrMalformed, "actor of tag %d, expected %d", tag, tagUUID)
		}
		if err = e; err == nil {
			var id []byte
			if id, err = decodeUUID(p); err == nil {
				a.UUID = UUID(id)
			}
			p.End()
		}
	default:
		a.ID, err = p.Int()
	}
	if err != nil {
		return Actor{}, err
	}
	if n := max(len(a.Bytes), len(a.Name)); n > MaxActorLength {
		return a, p.Refuse(at, ErrLimit, "actor of %d bytes, limit %d", n, MaxActorLength)
	}
	for _, r := range a.Name {
		if !printable(r, true) {
			return a, p.Refuse(at, ErrMalformed, "character %U in the name of an actor", r)
		}
	}
	return a, nil
}

func (m *ComponentMetadata) encode() []byte {
	var pairs []pair
	add := func(key int64, value []byte) { pairs = append(pairs, pair{cborstream.AppendInt(nil, key), value}) }
	if m.Default != nil {
		add(metadataDefault, cborstream.AppendUint(nil, uint64(*m.Default)))
	}
	for key, list := range map[int64][]Permission{metadataUser: m.Users, metadataGroup: m.Groups, metadataRole: m.Roles} {
		if list == nil {
			continue
		}
		entries := make([]pair, len(list))
		for i, e := range list {
			entries[i] = pair{e.Actor.encode(), cborstream.AppendUint(nil, uint64(e.Permissions))}
		}
		add(key, appendPairs(nil, entries))
	}
	if m.FileType != 0 {
		add(metadataFileType, cborstream.AppendUint(nil, uint64(m.FileType)))
	}
	for key, t := range map[int64]*uint64{metadataModified: m.Modified, metadataCreated: m.Created} {
		if t != nil {
			add(key, cborstream.AppendUint(cborstream.AppendTag(nil, tagTime), *t))
		}
	}
	if m.Creator != nil {
		add(metadataCreator, m.Creator.encode())
	}
	return appendPairs(nil, pairs)
}

func (a Actor) encode() []byte {
	switch a.Kind {
	case ActorBytes:
		return cborstream.AppendBytes(nil, []byte(a.Bytes))
	case ActorName:
		return cborstream.AppendText(nil, a.Name)
	case ActorUUID:
		return cborstream.AppendBytes(cborstream.AppendTag(nil, tagUUID), a.UUID[:])
	}
	return cborstream.AppendInt(nil, a.ID)
}
