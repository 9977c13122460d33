// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package httpsource reads payloads, page files and metadata from web servers: plain GET and single byte ranges (RFC 9110,
// sections 13.1.5 and 14), which every server, proxy and CDN can do.
//
// Nothing a server says is trusted; signed digests decide about the bytes. What this package checks is that an answer is the
// answer to the question: the range that was asked for, of the version that was asked for, in no content
// encoding, from where a redirect may lead. It sets no deadlines; package fetch does.
//
// A request carries no identity of the device. What a server needs for authorization belongs in the client's
// transport, not in the URI; neither user information nor query appears in errors.
package httpsource

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/firmament-dev/firmament/fetch"
)

// A Source is a fetch.RangeSource for http and https. It is safe for concurrent use.
type Source struct{ client *http.Client }

var (
	_ fetch.RangeSource       = (*Source)(nil)
	_ fetch.ConditionalSource = (*Source)(nil)
)

// New returns a Source that uses a copy of client. The copy has no overall Timeout, which would cut long downloads (package fetch
// bounds every step), and follows redirects by the rules of fetch.ErrRedirect before it
// asks the client's own CheckRedirect. Proxy, TLS configuration and trust roots are the transport's.
//
// A nil client means one with a transport of its own: the environment's proxy, the system's roots, response headers of at most
// 64 KiB, receive buffers of at most 2 MiB per HTTP/2 connection, and a dialer that keeps redirects from a public server out of the device's own network
// whatever names resolve to.
func New(client *http.Client) *Source {
	var c http.Client
	if client == nil {
		c.Transport = newTransport()
	} else {
		c = *client
	}
	c.Timeout = 0
	c.CheckRedirect = redirects(c.CheckRedirect)
	return &Source{client: &c}
}

// Open implements fetch.Source. Errors are *fetch.StatusError, fetch.ErrRange, fetch.ErrRedirect,
// fetch.ErrEncoding, fetch.ErrResource for a URI that CheckURI refuses, and fetch.ErrTransport for everything else that happens on the way, of which fetch.ErrTLS,
// fetch.ErrAnswer and fetch.ErrLimit are kinds.
func (s *Source) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return s.get(ctx, request{uri: uri, offset: offset, validator: validator})
}

// OpenRange implements fetch.RangeSource.
func (s *Source) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	return s.get(ctx, request{uri: uri, offset: offset, length: length, validator: validator})
}

// OpenUnless implements fetch.ConditionalSource with If-None-Match, so for versions that a strong entity tag names.
func (s *Source) OpenUnless(ctx context.Context, uri, unless string) (*fetch.Stream, error) {
	if !isETag(unless) {
		unless = ""
	}
	return s.get(ctx, request{uri: uri, unless: unless})
}

// A request is for the bytes from offset on, or for length of them if length is not 0.
type request struct {
	uri            string
	offset, length int64
	validator      string
	unless         string // an entity tag
}

func (r request) ranged() bool { return r.offset > 0 || r.length > 0 }

func (s *Source) get(ctx context.Context, r request) (*fetch.Stream, error) {
	ctx, h := withHops(ctx)
	req, err := r.http(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, h.transportError(r.uri, err)
	}
	stream, err := r.stream(resp)
	if err != nil {
		discard(resp.Body)
		return nil, err
	}
	return stream, nil
}

// CheckURI returns fetch.ErrResource for a URI that a Source does not open: one that is not http or https, in whatever case, with a host and, if it has one, a port from 1 to 65535.
func CheckURI(uri string) error {
	u, err := url.Parse(uri)
	if err == nil && u.Port() != "" {
		var n uint64
		if n, err = strconv.ParseUint(u.Port(), 10, 16); n == 0 {
			u.Host = ""
		}
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("uri %s, expected http or https, a host and a usable port: %w", fetch.RedactURI(uri), fetch.ErrResource)
	}
	return nil
}

// http builds the request.
func (r request) http(ctx context.Context) (*http.Request, error) {
	err := CheckURI(r.uri)
	if err == nil && (r.offset < 0 || r.length < 0) {
		err = fetch.ErrResource
	}
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.uri, nil)
	if err != nil {
		return nil, fetch.ErrResource
	}
	// Said explicitly, so that the transport does not ask for gzip and unpack it behind our back.
	req.Header.Set("Accept-Encoding", "identity")
	if r.unless != "" {
		req.Header.Set("If-None-Match", r.unless)
	}
	if r.ranged() {
		last := ""
		if r.length > 0 {
			last = strconv.FormatInt(r.offset+r.length-1, 10)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%s", r.offset, last))
		if r.validator != "" {
			req.Header.Set("If-Range", r.validator)
		}
	}
	return req, nil
}

// stream judges the answer's header.
func (r request) stream(resp *http.Response) (*fetch.Stream, error) {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
	case http.StatusNotModified:
		if r.unless != "" {
			return nil, fmt.Errorf("%s: %w", fetch.RedactURI(r.uri), fetch.ErrUnchanged)
		}
		return nil, &fetch.StatusError{URI: fetch.RedactURI(r.uri), Status: resp.StatusCode}
	case http.StatusRequestedRangeNotSatisfiable:
		if r.ranged() {
			return nil, fmt.Errorf("%s answered 416 to bytes from %d: %w", fetch.RedactURI(r.uri), r.offset, fetch.ErrRange)
		}
		fallthrough
	default:
		return nil, &fetch.StatusError{URI: fetch.RedactURI(r.uri), Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	}
	if err := identity(resp); err != nil {
		return nil, fmt.Errorf("%s: %w", fetch.RedactURI(r.uri), err)
	}
	s := &fetch.Stream{Body: resp.Body, Size: resp.ContentLength, Validator: validator(resp.Header)}
	// Without a length, chunks and HTTP/2 say where a body ends; in HTTP/1.0 it ends with the connection, for whatever reason.
	s.Whole = resp.StatusCode == http.StatusOK && resp.ContentLength < 0 && (resp.ProtoMajor > 1 || len(resp.TransferEncoding) > 0)
	if resp.StatusCode == http.StatusPartialContent {
		if err := r.partial(s, resp); err != nil {
			return nil, fmt.Errorf("%s: %w", fetch.RedactURI(r.uri), err)
		}
	}
	return s, nil
}

// identity refuses a body that somebody encoded on the way.
func identity(resp *http.Response) error {
	for _, encoding := range resp.Header.Values("Content-Encoding") {
		if encoding != "" && encoding != "identity" {
			return fmt.Errorf("content encoding %.40q: %w", encoding, fetch.ErrEncoding)
		}
	}
	if resp.Uncompressed {
		return fmt.Errorf("the client's transport unpacked the body: %w", fetch.ErrEncoding)
	}
	return nil
}

// discard reads the little that an error page usually is, so that the connection can be used again.
func discard(body io.ReadCloser) {
	io.CopyN(io.Discard, body, 2048)
	body.Close()
}
