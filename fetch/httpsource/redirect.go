// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"sync/atomic"
	"syscall"

	"github.com/firmament-dev/firmament/fetch"
)

// maxRedirects is how many redirects one request follows.
const maxRedirects = 10

// redirects returns the policy: at most maxRedirects, http or https only, never from https to http, never with credentials in
// the new URI, and never from a public host to an address of the device's own network. Headers with credentials
// are dropped by net/http when the host changes. next, if not nil, is asked afterwards.
func redirects(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		last := via[len(via)-1].URL
		reason := ""
		switch {
		case len(via) > maxRedirects:
			reason = "too many"
		case req.URL.Scheme != "http" && req.URL.Scheme != "https":
			reason = "to another scheme"
		case last.Scheme == "https" && req.URL.Scheme != "https":
			reason = "from https to http"
		case req.URL.User != nil:
			reason = "with credentials"
		case private(req.URL) && !private(via[0].URL):
			reason = "to a private address"
		}
		if reason != "" {
			return fmt.Errorf("%s, to %s: %w", reason, fetch.RedactURI(req.URL.String()), fetch.ErrRedirect)
		}
		if h, ok := req.Context().Value(hopsKey{}).(*hops); ok {
			h.redirected.Store(true)
		}
		// The URI that led here may carry a token in its query.
		req.Header.Del("Referer")
		if next != nil {
			if err := next(req, via); err != nil {
				return fmt.Errorf("%w: %w", fetch.ErrRedirect, err)
			}
		}
		return nil
	}
}

// hops is what is known of one request while it is redirected.
type hops struct {
	redirected atomic.Bool
	answered   atomic.Bool // by the server that was asked last, if only with a byte
	private    atomic.Bool // the first server, or the proxy, is in the device's own network
}

type hopsKey struct{}

// withHops lets checkDial know where a request began, and transportError how far it came.
func withHops(ctx context.Context) (context.Context, *hops) {
	h := &hops{}
	ctx = context.WithValue(ctx, hopsKey{}, h)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { h.answered.Store(false) },
		GotConn: func(info httptrace.GotConnInfo) {
			if !h.redirected.Load() && privateAddress(info.Conn.RemoteAddr().String()) {
				h.private.Store(true)
			}
		},
		GotFirstResponseByte: func() { h.answered.Store(true) },
	}), h
}

// checkDial refuses an address of the device's own network to a request that was redirected there by a server outside of it: a
// name can resolve to anything, and to something else than a moment ago.
func checkDial(ctx context.Context, _, address string, _ syscall.RawConn) error {
	h, ok := ctx.Value(hopsKey{}).(*hops)
	if ok && h.redirected.Load() && !h.private.Load() && privateAddress(address) {
		return fmt.Errorf("to a name that resolves to a private address: %w", fetch.ErrRedirect)
	}
	return nil
}

func privateAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && private(&url.URL{Host: net.JoinHostPort(host, "0")})
}

// private reports whether the host is spelled as a loopback, link-local, private or unspecified address. What a name
// resolves to, checkDial looks at.
func private(u *url.URL) bool {
	if u.Hostname() == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return false
	}
	a = a.Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified()
}
