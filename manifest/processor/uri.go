// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/verify"
)

// schemes are those that CheckURI accepts: HTTP, and CoAP over its transports (RFC 7252, RFC 8323).
var schemes = []string{"http", "https", "coap", "coaps", "coap+tcp", "coaps+tcp", "coap+ws", "coaps+ws"}

// metadata are the hosts that hand out a cloud machine's credentials to whoever asks from inside, as far as their
// addresses are not link-local.
var metadata = []string{"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal",
	"fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"}

// CheckURI accepts what a payload may be fetched from, judged by the text alone: a reference without a scheme and host,
// which the platform resolves, or an http, https or coap URI of any kind, without user name or password, whose host is
// not this machine itself (a loopback or unspecified address, localhost), nor link-local, nor a multicast
// group, nor a cloud's metadata service. Numeric hosts must be IP addresses in their usual form, and names ASCII: letters,
// digits, hyphens and underscores between dots, so international ones in their xn-- form. A name that leads to such an address is
// for the connection's dialer to refuse. The error wraps verify.ErrPolicy and quotes no password.
func CheckURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || strings.ContainsRune(uri, '\\') {
		return refuseURI("not a URI reference (RFC 3986)")
	}
	switch {
	case u.User != nil:
		return refuseURI("has credentials")
	case u.Scheme != "" && !slices.Contains(schemes, u.Scheme):
		return refuseURI("scheme %q", u.Scheme)
	case u.Scheme != "" && (u.Opaque != "" || u.Hostname() == ""):
		return refuseURI("scheme %q without a host", u.Scheme)
	case u.Host == "":
		return nil
	}
	return checkHost(u.Hostname())
}

func checkHost(host string) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(metadata, name) {
		return refuseURI("host %q", host)
	}
	address, err := netip.ParseAddr(name)
	if err != nil {
		if !isName(name) {
			return refuseURI("host %q: neither a name nor an address", host)
		}
		return nil
	}
	address = embedded(address.WithZone("").Unmap())
	if address.IsLoopback() || address.IsUnspecified() || address.IsLinkLocalUnicast() || address.IsMulticast() ||
		address == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || slices.Contains(metadata, address.String()) {
		return refuseURI("host %q", host)
	}
	return nil
}

// isName reports whether labels of letters and digits stand between the dots of a lower-case name, and no resolver takes it for an address, as many do
// 127.1 and 0x7f000001. HTTP clients map other forms of letters and digits to these (UTS 46), so that a host in circled letters is localhost.
func isName(name string) bool {
	last := ""
	for last = range strings.SplitSeq(name, ".") {
		if last == "" || strings.ContainsFunc(last, notInName) {
			return false
		}
	}
	return !numeric(last)
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// nat64 is the prefix under which a translator reaches the IPv4 address in the last four bytes (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func embedded(a netip.Addr) netip.Addr {
	if !nat64.Contains(a) {
		return a
	}
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}

// numeric reports whether a resolver may take the last label of a name for a part of an IPv4 address.
func numeric(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return label != "" && strings.Trim(label, "0123456789") == ""
}

func refuseURI(format string, args ...any) error {
	return fmt.Errorf("%w: uri: %s", verify.ErrPolicy, fmt.Sprintf(format, args...))
}
