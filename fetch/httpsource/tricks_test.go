// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/fetchtest"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

const (
	step     = fetch.MinChunkSize
	size     = 20*step + 99
	interval = 4 * step // between checkpoints
	broke    = 13*step + 7

	host  = "https://fw.example"
	path  = "/image.bin"
	pages = path + ".chunks"
)

func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

// image is what is downloaded, with its page file.
type image struct {
	data, pages  []byte
	root, digest verify.Digest
}

var theImage = sync.OnceValue(func() image {
	data := noise(1, size)
	pages, root, err := chunk.Build(bytes.NewReader(data), size, step)
	if err != nil {
		panic(err)
	}
	return image{data, pages, root, verify.Sum(verify.SHA256, data)}
})

// medium is a sink whose bytes outlive the process that wrote them, if they were synced.
type medium struct {
	data   []byte
	offset int64
	synced int64
}

func (m *medium) Offset() int64 { return m.offset }
func (m *medium) Staging() bool { return true }
func (m *medium) Sync() error   { m.synced = m.offset; return nil }

func (m *medium) Write(p []byte) (int, error) {
	m.data = append(m.data[:m.offset], p...)
	m.offset += int64(len(p))
	return len(p), nil
}

func (m *medium) Resume(offset int64) error {
	if offset > int64(len(m.data)) {
		return errors.New("not so much there")
	}
	m.offset = offset
	return nil
}

// restart is the medium as another process finds it.
func (m *medium) restart() { m.data, m.offset = m.data[:m.synced], 0 }

// A moment is when a trick is played: on the first request of a fresh download, on the one that takes a broken connection up, or
// on the first one of a new process.
type moment string

const (
	fresh   moment = "fresh"
	midway  moment = "midway"
	restart moment = "restart"
)

// A cell is one way of meeting a trick.
type cell struct {
	index  bool // with the author's chunk digests
	when   moment
	always bool // and every time afterwards
	http2  bool
}

func (c cell) String() string {
	s := "no index"
	if c.index {
		s = "index"
	}
	if c.http2 {
		s += ", HTTP/2"
	}
	s += ", " + string(c.when)
	if c.always {
		return s + ", always"
	}
	return s + ", once"
}

// ranged reports whether the trick meets a request for a range. Without index a new process begins at zero.
func (c cell) ranged() bool { return c.when == midway || c.when == restart && c.index }

// outcome is usually one of these.
func right(cell) error { return nil }
func ends(err error) func(cell) error {
	return func(cell) error { return err }
}

// passes is for what is over when it is over.
func passes(err error) func(cell) error {
	return func(c cell) error {
		if c.always {
			return err
		}
		return nil
	}
}

// A row is one trick and what may come of it.
type row struct {
	threat string
	name   string
	trick  fetchtest.Trick
	want   func(c cell) error
	breaks bool          // the trick only breaks connections: nothing needs to be fetched twice but what the bound allows
	waits  time.Duration // beyond the usual, for each time the trick is met
	http1  bool          // it is about bytes that HTTP/2 does not send
}

// tricks are all that fetchtest's server can do.
func tricks() []row {
	other := noise(2, size)
	good := noise(1, size)
	return []row{
		{"NET-01", "cut before a byte", fetchtest.Cut(0), passes(fetch.ErrTransport), true, 0, false},
		{"NET-01", "cut after crumbs", fetchtest.Cut(7), passes(fetch.ErrTransport), true, 0, false},
		{"NET-01", "cut midway", fetchtest.Cut(3*step + 7), right, true, 0, false},
		{"NET-01", "cut at a chunk's edge", fetchtest.Cut(5 * step), right, true, 0, false},
		{"NET-01", "truncated, right length", fetchtest.Truncate(3*step + 7), right, true, 0, false},
		{"NET-01", "truncated, no length", fetchtest.All(fetchtest.NoLength, fetchtest.Cut(3*step+7)), right, true, 0, false},
		{"NET-03", "truncated, wrong length", fetchtest.Shorten(3*step + 7), func(c cell) error {
			if !c.ranged() {
				return fetch.ErrSize
			}
			return passes(fetch.ErrSize)(c) // a range of another length is not believed; then the whole is asked for
		}, false, 0, false},
		{"NET-03", "ends before a byte, no length", fetchtest.End(0), passes(fetch.ErrTransport), true, 0, false},
		{"NET-03", "ends midway, no length", fetchtest.End(3*step + 7), func(c cell) error {
			if c.index || c.ranged() {
				return nil // a range that ends too early is only broken
			}
			return passes(fetch.ErrSize)(c)
		}, false, 0, false},
		{"NET-03", "HTTP/1.0, closed midway", fetchtest.Old(3*step + 7), passes(fetch.ErrTransport), false, 0, true},
		{"NET-03", "no length", fetchtest.NoLength, right, false, 0, false},
		{"NET-03", "negative length", fetchtest.Raw("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), passes(fetch.ErrAnswer), false, 0, true},
		{"NET-03", "length of 2^63", fetchtest.Raw("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n"), passes(fetch.ErrAnswer), false, 0, true},
		{"NET-03", "two lengths", fetchtest.Raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), passes(fetch.ErrAnswer), false, 0, true},
		{"NET-03", "larger", fetchtest.Raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size+1)), ends(fetch.ErrSize), false, 0, true},
		{"NET-03", "no HTTP", fetchtest.Raw("220 mail.example ESMTP\r\n"), passes(fetch.ErrAnswer), false, 0, true},
		{"NET-02", "ignores ranges", fetchtest.IgnoreRange, right, false, 0, false},
		{"NET-02", "ignores If-Range, new tag", fetchtest.All(fetchtest.Retag(`"v2"`), fetchtest.IgnoreIfRange), right, false, 0, false},
		{"NET-02", "new tag, same bytes", fetchtest.Retag(`"v2"`), right, false, 0, false},
		{"NET-02", "no tag any more", fetchtest.Retag(""), right, false, 0, false},
		{"NET-02", "other bytes, new tag", fetchtest.Change(fetchtest.File{Data: other, ETag: `"v2"`}), ends(fetch.ErrDigest), false, 0, false},
		{"NET-02", "other bytes, new tag, ignores If-Range", fetchtest.All(fetchtest.Change(fetchtest.File{Data: other, ETag: `"v2"`}), fetchtest.IgnoreIfRange), ends(fetch.ErrDigest), false, 0, false},
		{"NET-02", "other bytes, same tag", func(a *fetchtest.Answer) {
			fetchtest.Change(fetchtest.File{Data: other, ETag: a.File.ETag})(a)
		}, ends(fetch.ErrDigest), false, 0, false},
		{"NET-02", "other size", fetchtest.Change(fetchtest.File{Data: good[:size-1], ETag: `"v2"`}), ends(fetch.ErrSize), false, 0, false},
		{"NET-02", "range begins a byte late", fetchtest.Shift(1), right, false, 0, false},
		{"NET-02", "range begins a byte late and hides it", fetchtest.Mislabel(1), right, false, 0, false},
		{"NET-02", "several parts", fetchtest.Multipart, right, false, 0, false},
		{"NET-02", "a range that was not asked for", fetchtest.Unasked(10), passes(fetch.ErrRange), false, 0, false},
		{"NET-02", "416", fetchtest.Status(416), func(c cell) error {
			if c.ranged() && !c.always {
				return nil
			}
			return fetch.ErrRefused
		}, false, 0, false},
		{"NET-04", "gzip", fetchtest.Gzip, ends(fetch.ErrEncoding), false, 0, false},
		{"NET-04", "gzip, not said", fetchtest.GzipUnsaid, func(c cell) error {
			if !c.ranged() {
				return fetch.ErrSize
			}
			return passes(fetch.ErrSize)(c)
		}, false, 0, false},
		{"NET-05", "redirect to another host", func(a *fetchtest.Answer) {
			if a.Request.Host == "fw.example" {
				fetchtest.Redirect(302, "https://cdn.example"+path)(a)
			}
		}, right, false, 0, false},
		{"NET-05", "redirect to http", fetchtest.Redirect(302, "http://fw.example"+path), ends(fetch.ErrRedirect), false, 0, false},
		{"NET-05", "redirect to a private address", fetchtest.Redirect(302, "https://192.168.0.1"+path), ends(fetch.ErrRedirect), false, 0, false},
		{"NET-05", "redirect to a file", fetchtest.Redirect(302, "file:///etc/passwd"), ends(fetch.ErrRedirect), false, 0, false},
		{"NET-05", "redirect in a circle", func(a *fetchtest.Answer) { fetchtest.Redirect(302, host+path)(a) }, func(c cell) error {
			return passes(fetch.ErrRedirect)(c) // once, the second time round is the file
		}, false, 0, false},
		{"NET-05", "redirect without a place", fetchtest.Status(302), ends(fetch.ErrRefused), false, 0, false},
		{"NET-05", "redirect to no URI", fetchtest.Redirect(302, "https://%zz/"), passes(fetch.ErrAnswer), false, 0, false},
		{"NET-06", "flipped bit in the first chunk", fetchtest.Flip(1), flipped(1), false, 0, false},
		{"NET-06", "flipped bit in the last chunk", fetchtest.Flip(size - 1), flipped(size - 1), false, 0, false},
		{"NET-07", "stalls before a byte", fetchtest.Stall(0), passes(fetch.ErrStalled), true, 0, false},
		{"NET-07", "stalls midway", fetchtest.Stall(3*step + 7), right, true, 0, false},
		{"NET-07", "never answers", fetchtest.Silence(time.Hour), passes(fetch.ErrStalled), true, 0, false},
		{"NET-07", "drips", fetchtest.Drip(1, time.Second), passes(fetch.ErrStalled), true, 0, false},
		{"NET-08", "429 with seconds", fetchtest.Status(429, "Retry-After: 120"), passes(fetch.ErrTransport), true, 150 * time.Second, false},
		{"NET-08", "503 with a date", retryAt(2 * time.Minute), passes(fetch.ErrTransport), true, 150 * time.Second, false},
		{"NET-08", "503 with 10 years", fetchtest.Status(503, "Retry-After: 315360000"), passes(fetch.ErrTransport), true, 375 * time.Second, false},
		{"NET-08", "503 with a negative number", fetchtest.Status(503, "Retry-After: -7"), passes(fetch.ErrTransport), true, 0, false},
		{"NET-08", "503", fetchtest.Status(503), passes(fetch.ErrTransport), true, 0, false},
		{"NET-10", "captive portal", fetchtest.Portal, ends(fetch.ErrSize), false, 0, false},
		{"NET-10", "captive portal, no length", fetchtest.All(fetchtest.Portal, fetchtest.NoLength), func(c cell) error {
			if c.index {
				return passes(fetch.ErrTransport)(c) // crumbs of a chunk, then the end; one chunk pays for it
			}
			return errAny // the page is shorter than the file: how it shows depends on when
		}, false, 0, false},
		{"NET-14", "a slow header", func(a *fetchtest.Answer) {
			fetchtest.All(fetchtest.Raw("HTTP/1.1 200 OK\r\nX-Slow: "+strings.Repeat("x", 60)), fetchtest.Drip(1, time.Second))(a)
		}, passes(fetch.ErrStalled), true, 0, true},
		{"NET-14", "a header of 1 MiB", fetchtest.Headers(1024, 1024), ends(fetch.ErrLimit), false, 0, false},
		{"NET-14", "10,000 small header lines", fetchtest.Headers(10_000, 8), ends(fetch.ErrLimit), false, 0, false},
		{"NET-08", "501", fetchtest.Status(501), ends(fetch.ErrRefused), false, 0, false},
		{"NET-10", "511", fetchtest.Status(511), ends(fetch.ErrRefused), false, 0, false},
		{"", "404", fetchtest.Status(404), ends(fetch.ErrRefused), false, 0, false},
	}
}

// flipped is what becomes of a flipped bit: with an index one chunk is asked for again, without one it is found at the end.
func flipped(at int) func(c cell) error {
	return func(c cell) error {
		if c.ranged() && at < broke-step {
			return nil // that part had come already
		}
		if c.index && !c.always {
			return nil
		}
		return fetch.ErrDigest
	}
}

func retryAt(d time.Duration) fetchtest.Trick {
	return func(a *fetchtest.Answer) {
		fetchtest.Status(503, "Retry-After: "+time.Now().Add(d).UTC().Format(http.TimeFormat))(a)
	}
}

// errAny stands for the right file or any error that has a class.
var errAny = errors.New("any")

// typed are the errors that a caller can tell apart.
var typed = []error{
	fetch.ErrTransport, fetch.ErrRefused, fetch.ErrSize, fetch.ErrDigest, fetch.ErrRange, fetch.ErrRedirect, fetch.ErrEncoding,
}

// TestM1_Tricks plays every trick of fetchtest's server, with and without chunk digests, at every moment, once and for ever, over
// real HTTP on virtual time. Whatever happens: the right file or a typed error, nothing unverified in the sink, nothing fetched
// twice beyond the bound, and no wait beyond its bound; and when the trick is over, the next call succeeds.
func TestM1_Tricks(t *testing.T) {
	for _, r := range tricks() {
		t.Run(r.threat+" "+r.name, func(t *testing.T) {
			for _, index := range []bool{true, false} {
				for _, when := range []moment{fresh, midway, restart} {
					for _, always := range []bool{false, true} {
						c := cell{index, when, always, false}
						synctest.Test(t, func(t *testing.T) { playTrick(t, r, c) })
					}
				}
			}
		})
	}
}

// TestM1_TricksHTTP2 plays them over HTTP/2, but for those that are about the bytes of HTTP/1 and those that lead from https.
func TestM1_TricksHTTP2(t *testing.T) {
	for _, r := range tricks() {
		if r.http1 || r.threat == "NET-05" {
			continue
		}
		t.Run(r.threat+" "+r.name, func(t *testing.T) {
			for _, when := range []moment{fresh, midway, restart} {
				for _, always := range []bool{false, true} {
					c := cell{true, when, always, true}
					synctest.Test(t, func(t *testing.T) { playTrick(t, r, c) })
				}
			}
		})
	}
}

// TestM1_TricksWithPages plays every trick on the page file instead. It is small, so that not each of them hurts; what holds of the payload holds all the same.
func TestM1_TricksWithPages(t *testing.T) {
	for _, r := range tricks() {
		t.Run(r.threat+" "+r.name, func(t *testing.T) {
			for _, always := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					img := theImage()
					server := fetchtest.NewServer()
					server.Put(path, img.data)
					server.Put(pages, img.pages)
					client := server.Client(t)
					client.Transport.(*http.Transport).MaxResponseHeaderBytes = 64 << 10
					res := fetch.Resource{URI: host + path, Size: size, Digest: img.digest, Chunks: &fetch.Chunks{Root: img.root, Size: step}}
					sink, retries := &medium{}, 0
					call := func() (fetch.Stats, error) {
						f, err := fetch.New(fetch.Options{Source: httpsource.New(client), CheckpointEvery: interval, OnRetry: func(fetch.Retry) { retries++ }})
						if err != nil {
							t.Fatal(err)
						}
						return f.Fetch(t.Context(), res, sink)
					}
					if server.Script(pages, r.trick); always {
						server.Always(pages, r.trick)
					}
					start := time.Now()
					_, err := call()
					took := time.Since(start)
					c := cell{true, fresh, always, false}
					judge(t, c, err, errAny, sink, img.data)
					if most := time.Duration(retries+1) * (2*time.Minute + r.waits); took > most {
						t.Errorf("%v: took %v, want at most %v", c, took, most)
					}
					if sent := server.Sent(pages); sent > int64(retries+3)*(fetch.PageSize+8<<10) {
						t.Errorf("%v: %d bytes of pages left the server after %d retries", c, sent, retries)
					}
					t.Logf("%v: %v in %v after %d retries", c, err, took, retries)
					server.Script(pages)
					server.Always(pages, nil)
					server.Put(pages, img.pages)
					if _, err := call(); err != nil || !bytes.Equal(sink.data, img.data) {
						t.Errorf("%v: the trick is over, and the next call says %v", c, err)
					}
				})
			}
		})
	}
}

func playTrick(t *testing.T, r row, c cell) {
	img := theImage()
	data := img.data
	server := fetchtest.NewServer()
	server.Put(path, data)
	server.Put(pages, img.pages)
	client := server.Client(t)
	res := fetch.Resource{URI: host + path, Size: size, Digest: img.digest}
	if c.http2 {
		client, res.URI = server.ClientHTTP2(t), "http://fw.example"+path
	}
	client.Transport.(*http.Transport).MaxResponseHeaderBytes = 64 << 10
	if c.index {
		res.Chunks = &fetch.Chunks{Root: img.root, Size: step}
	}
	store := simfs.NewSim(simfs.Options{}).FS()
	sink := &medium{}
	call := func(ctx context.Context, onRetry func(fetch.Retry)) (fetch.Stats, error) {
		f, err := fetch.New(fetch.Options{Source: httpsource.New(client), Storage: store, CheckpointEvery: interval, OnRetry: onRetry})
		if err != nil {
			t.Fatal(err)
		}
		return f.Fetch(ctx, res, sink)
	}
	breaks := 1
	script := []fetchtest.Trick{r.trick}
	switch c.when {
	case midway:
		script = []fetchtest.Trick{fetchtest.Cut(broke), r.trick}
		breaks++
	case restart:
		server.Script(path, fetchtest.Cut(broke))
		ctx, kill := context.WithCancel(t.Context())
		if _, err := call(ctx, func(fetch.Retry) { kill() }); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v: first process: %v", c, err)
		}
		sink.restart()
		breaks++
	}
	server.Script(path, script...)
	if c.always {
		server.Always(path, r.trick)
	}
	start := time.Now()
	retries := 0
	st, err := call(t.Context(), func(fetch.Retry) { retries++ })
	took := time.Since(start)
	t.Logf("%v: %v, %+v in %v after %d retries", c, err, st, took, retries)

	judge(t, c, err, r.want(c), sink, data)
	// A retry waits for 30 s in all for an answer, 30 s for a byte, and 1 min (or what the row says) before the next.
	if most := time.Duration(retries+1) * (2*time.Minute + r.waits); took > most {
		t.Errorf("%v: took %v, want at most %v", c, took, most)
	}
	if lasting(err) && retries > 5 {
		t.Errorf("%v: %d retries before %v", c, retries, err)
	}
	tagged := true // until an answer came without a tag
	for i, q := range server.Requests(path) {
		if q.Header.Get("Range") != "" && q.Header.Get("If-Range") == "" && tagged {
			t.Errorf("%v: request %d asks for %s of whatever version there is", c, i, q.Header.Get("Range"))
		}
		tagged = tagged && q.Answer.Get("ETag") != ""
	}
	if r.breaks {
		began := int64(0)
		if !c.index && c.when == restart {
			began = broke + step // without an index what came before counts for nothing in a new process
		}
		buffered := int64(8 << 10) // in the server's and the client's connection
		if c.http2 {
			buffered = size // as the window allows
		}
		if most := int64(size) + began + int64(breaks+retries)*(step+interval+buffered); server.Sent(path) > most {
			t.Errorf("%v: %d bytes left the server for a file of %d, want at most %d", c, server.Sent(path), size, most)
		}
	}

	server.Script(path)
	server.Always(path, nil)
	server.Put(path, data)
	if _, err := call(t.Context(), nil); err != nil {
		t.Errorf("%v: the trick is over, and the next call says %v", c, err)
	} else if !bytes.Equal(sink.data, data) || sink.synced != size {
		t.Errorf("%v: the next call brought another file", c)
	}
}

// lasting reports whether another try was not going to help, which two more may show.
func lasting(err error) bool {
	for _, e := range []error{fetch.ErrTLS, fetch.ErrAnswer, fetch.ErrLimit, fetch.ErrSize} {
		if errors.Is(err, e) {
			return true
		}
	}
	return err != nil && !errors.Is(err, fetch.ErrTransport)
}

// judge compares what became of a trick with what may.
func judge(t *testing.T, c cell, err, want error, sink *medium, data []byte) {
	if want != errAny && (!errors.Is(err, want) || want == nil && err != nil) {
		t.Errorf("%v: got %v, want %v", c, err, want)
	}
	if err == nil {
		if !bytes.Equal(sink.data, data) || sink.synced != size {
			t.Errorf("%v: success with %d bytes, %d synced, that are not the file", c, len(sink.data), sink.synced)
		}
		return
	}
	class := false
	for _, e := range typed {
		class = class || errors.Is(err, e)
	}
	if !class {
		t.Errorf("%v: %v is of no class", c, err)
	}
	if c.index && !bytes.HasPrefix(data, sink.data[:sink.offset]) {
		t.Errorf("%v: unverified bytes among the %d in the sink", c, sink.offset)
	}
}
