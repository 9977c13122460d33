// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

// partial judges a 206: it must be the one range that was asked for, or a shorter one that begins like it, of the version
// that was asked for (RFC 9110, sections 14.4 and 15.3.7).
func (r request) partial(s *fetch.Stream, resp *http.Response) error {
	if !r.ranged() {
		return fmt.Errorf("206 to a request for the whole: %w", fetch.ErrRange)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && strings.HasPrefix(kind, "multipart/") {
		return fmt.Errorf("answer in several parts: %w", fetch.ErrRange)
	}
	values := resp.Header.Values("Content-Range")
	if len(values) != 1 {
		return fmt.Errorf("%d content ranges, expected 1: %w", len(values), fetch.ErrRange)
	}
	first, last, size, ok := contentRange(values[0])
	if !ok || first != r.offset || r.length > 0 && last-first >= r.length {
		return fmt.Errorf("content range %.80q for bytes from %d: %w", values[0], r.offset, fetch.ErrRange)
	}
	length := last - first + 1
	if resp.ContentLength >= 0 && resp.ContentLength != length {
		return fmt.Errorf("content length %d in content range %.80q: %w", resp.ContentLength, values[0], fetch.ErrRange)
	}
	switch {
	case s.Validator == "" && resp.Header.Get("ETag") == "":
		s.Validator = r.validator // a 206 need not repeat a Last-Modified
	case r.validator != "" && isETag(r.validator) && s.Validator != r.validator:
		return fmt.Errorf("part of version %.80q, asked for %.80q: %w", resp.Header.Get("ETag"), r.validator, fetch.ErrRange)
	}
	s.Offset, s.Size = first, size
	s.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, length), resp.Body}
	return nil
}

// contentRange reads "bytes first-last/size"; size is -1 for "*".
func contentRange(s string) (first, last, size int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, total, ok1 := strings.Cut(s, "/")
	from, to, ok2 := strings.Cut(span, "-")
	first, ok3 := number(from)
	last, ok4 := number(to)
	size, ok5 := number(total)
	if total == "*" {
		size, ok5 = -1, true
	}
	ok = ok && ok1 && ok2 && ok3 && ok4 && ok5 && first <= last && (size < 0 || last < size)
	return first, last, size, ok
}

// number reads 1*DIGIT that fits int64.
func number(s string) (int64, bool) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// validator returns what If-Range may carry for this answer: a strong entity tag, or a Last-Modified that is strong
// because the answer is at least a second younger (RFC 9110, section 8.8.2.2) and of the form that servers must send (section 5.6.7). A
// weak tag is none, and then the date is no better.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" {
		if isETag(tag) && len(tag) <= 512 {
			return tag
		}
		return ""
	}
	v := h.Get("Last-Modified")
	modified, err1 := http.ParseTime(v)
	date, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil || date.Sub(modified) < time.Second || modified.Format(http.TimeFormat) != v {
		return ""
	}
	return v
}

// isETag reports whether v is a strong entity tag.
func isETag(v string) bool {
	return len(v) >= 2 && v[0] == '"' && strings.IndexByte(v[1:], '"') == len(v)-2
}

// retryAfter reads Retry-After, seconds or a date relative to the server's own Date; 0 if absent, past or senseless.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	const most = 1 << 31 * time.Second // 68 years: what is more makes no sense, and must not overflow
	if seconds, ok := number(v); ok {
		return time.Duration(min(seconds, int64(most/time.Second))) * time.Second
	}
	at, err1 := http.ParseTime(v)
	now, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil {
		return 0 // the device's own clock is not asked: it may be wrong by decades
	}
	return min(max(at.Sub(now), 0), most)
}
