// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"crypto/sha1"

	"github.com/firmament-dev/firmament/manifest"
)

// namespaceDNS is the RFC 9562 namespace of domain names,
// 6ba7b810-9dad-11d1-80b4-00c04fd430c8.
var namespaceDNS = manifest.UUID{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
	0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}

// VendorID returns the vendor identifier that the specification recommends: the
// version 5 UUID of the vendor's domain name. Identifiers say who a manifest is
// for; they prove nothing.
//
// draft-ietf-suit-manifest-37, section 8.4.8.2.
func VendorID(domain string) manifest.UUID { return uuid5(namespaceDNS, domain) }

// ClassID returns the class identifier that the specification recommends: the
// version 5 UUID, in the vendor's namespace, of what tells one kind of device from
// another, such as model and hardware revision.
func ClassID(vendor manifest.UUID, class string) manifest.UUID { return uuid5(vendor, class) }

// uuid5 is RFC 9562, section 5.5, which has SHA-1 in its definition.
func uuid5(namespace manifest.UUID, name string) manifest.UUID {
	h := sha1.New()
	h.Write(namespace[:])
	h.Write([]byte(name))
	u := manifest.UUID(h.Sum(nil)[:16])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}
