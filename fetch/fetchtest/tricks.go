// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetchtest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A Trick changes an honest Answer into another. It is played for one request, from the server's goroutine.
type Trick func(a *Answer)

// All plays several tricks on one answer.
func All(tricks ...Trick) Trick {
	return func(a *Answer) {
		for _, t := range tricks {
			t(a)
		}
	}
}

// Cut hangs up after n bytes of the body.
func Cut(n int) Trick { return func(a *Answer) { a.Left, a.Then = n, HangsUp } }

// Stall sends n bytes of the body, and nothing more.
func Stall(n int) Trick { return func(a *Answer) { a.Left, a.Then = n, Hangs } }

// Silence gives no answer for so long.
func Silence(d time.Duration) Trick { return func(a *Answer) { a.Delay = d } }

// Drip sends the body n bytes at a time, with a pause after each.
func Drip(n int, every time.Duration) Trick { return func(a *Answer) { a.Piece, a.Every = n, every } }

// Truncate ends the body after n bytes under the right Content-Length: an answer that is known to be incomplete.
func Truncate(n int) Trick { return func(a *Answer) { a.Left, a.Then = n, Ends } }

// Shorten ends the body after n bytes and gives that as the Content-Length: an answer that looks complete.
func Shorten(n int) Trick {
	return func(a *Answer) {
		a.Body = a.Body[:min(n, len(a.Body))]
		a.length()
	}
}

// End ends the body after n bytes, properly, without having said how long it is: an answer that is complete, and another file.
func End(n int) Trick { return All(NoLength, Truncate(n)) }

// Old answers as HTTP/1.0 does, with the file from its first byte, without a length; after n bytes it closes the connection: an answer that may be complete. HTTP/1 only.
func Old(n int) Trick {
	return func(a *Answer) {
		a.Raw = append([]byte("HTTP/1.0 200 OK\r\n\r\n"), a.File.Data[:min(n, len(a.File.Data))]...)
	}
}

// NoLength does not say how long the body is.
func NoLength(a *Answer) { a.Header.Del("Content-Length") }

// IgnoreRange answers 200 with the whole file.
func IgnoreRange(a *Answer) {
	a.Request.Header.Del("Range")
	a.Honest()
}

// IgnoreIfRange answers with the range that was asked for, of whatever version the file is now.
func IgnoreIfRange(a *Answer) {
	a.Request.Header.Del("If-Range")
	a.Honest()
}

// Change makes the file another one from this request on.
func Change(f File) Trick {
	return func(a *Answer) {
		a.put(f)
		a.File = f
		a.Honest()
	}
}

// Retag gives the file another ETag from this request on, and changes not a byte.
func Retag(tag string) Trick {
	return func(a *Answer) { Change(File{Data: a.File.Data, ETag: tag})(a) }
}

// Flip changes one bit of the byte at that offset of the file, if the answer holds it. Script plays it once, Always for good.
func Flip(offset int) Trick {
	return func(a *Answer) {
		if at := offset - a.begins(); at >= 0 && at < len(a.Body) {
			a.Body = bytes.Clone(a.Body)
			a.Body[at] ^= 1
		}
	}
}

// Redirect leads to another place.
func Redirect(status int, to string) Trick { return Status(status, "Location: "+to) }

// Status answers with a status, header lines and no body: 416, or 429 and 503 with "Retry-After: 120".
func Status(status int, header ...string) Trick {
	return func(a *Answer) {
		a.Status, a.Header, a.Body = status, http.Header{}, nil
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			a.Header.Add(name, value)
		}
	}
}

// Portal is what a captive portal answers to everything: 200 and a page to log in.
func Portal(a *Answer) {
	a.Status, a.Header, a.Body = http.StatusOK, http.Header{"Content-Type": {"text/html"}}, []byte("<html><body>Welcome! Please log in.</body></html>\n")
	a.length()
}

// Gzip compresses the body, and says so, though nobody asked for it.
func Gzip(a *Answer) {
	GzipUnsaid(a)
	a.Header.Set("Content-Encoding", "gzip")
}

// GzipUnsaid compresses the body behind everybody's back.
func GzipUnsaid(a *Answer) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(a.Body) // a bytes.Buffer cannot fail
	w.Close()
	a.Body = b.Bytes()
	a.length()
}

// Shift answers a range with the one that begins n bytes later, and says so. It leaves other requests alone.
func Shift(n int) Trick {
	return func(a *Answer) {
		if first, last, ok := a.asked(); ok && first+n >= 0 && first+n <= last {
			a.Part(first+n, last)
		}
	}
}

// Mislabel answers a range with the bytes n later, and says that they are the ones that were asked for. It leaves other requests alone.
func Mislabel(n int) Trick {
	return func(a *Answer) {
		first, last, ok := a.asked()
		if !ok || first+n < 0 || first+n > last {
			return
		}
		label := a.Header.Get("Content-Range")
		a.Part(first+n, last)
		a.Header.Set("Content-Range", label)
	}
}

// Unasked answers with the first n bytes as a range, whatever was asked for.
func Unasked(n int) Trick { return func(a *Answer) { a.Part(0, min(n, len(a.File.Data))-1) } }

// Multipart answers a range as multipart/byteranges. It leaves other requests alone.
func Multipart(a *Answer) {
	first, last, ok := a.asked()
	if !ok {
		return
	}
	span := fmt.Sprintf("bytes %d-%d/%d", first, last, len(a.File.Data))
	a.Body = fmt.Appendf(nil, "--x\r\nContent-Range: %s\r\n\r\n%s\r\n--x--\r\n", span, a.Body)
	a.Header.Del("Content-Range")
	a.Header.Set("Content-Type", "multipart/byteranges; boundary=x")
	a.length()
}

// Headers adds n header lines of size bytes each.
func Headers(n, size int) Trick {
	return func(a *Answer) {
		for range n {
			a.Header.Add("X-Padding", strings.Repeat("x", size))
		}
	}
}

// Raw writes text to the connection, as it is, and closes it: for what net/http would never send. HTTP/1 only.
func Raw(text string) Trick { return func(a *Answer) { a.Raw = []byte(text) } }
