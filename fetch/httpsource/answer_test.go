// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func FuzzAnswer(f *testing.F) {
	f.Add("bytes 7-19/20", `"v1"`, "Mon, 23 Nov 2026 10:00:00 GMT", "120")
	f.Add("bytes 0-0/*", `W/"v1"`, "", "Mon, 23 Nov 2026 10:00:00 GMT")
	f.Add("bytes */20", "", "Mon, 23 Nov 2026 09:59:00 GMT", "-1")
	f.Add("0", "0", "0", "Mon, 01 Nov 2700 0:00:00 GMT")
	f.Fuzz(func(t *testing.T, span, tag, modified, after string) {
		if first, last, size, ok := contentRange(span); ok {
			if first < 0 || last < first || size >= 0 && size <= last || size < -1 {
				t.Errorf("%q accepted as %d-%d/%d", span, first, last, size)
			}
			total := "*"
			if size >= 0 {
				total = fmt.Sprint(size)
			}
			again := fmt.Sprintf("bytes %d-%d/%s", first, last, total)
			if f, l, s, ok := contentRange(again); !ok || f != first || l != last || s != size {
				t.Errorf("%q read back from %q differs", again, span)
			}
		}
		h := http.Header{"Etag": {tag}, "Last-Modified": {modified}, "Date": {"Mon, 23 Nov 2026 10:00:00 GMT"}, "Retry-After": {after}}
		if v := validator(h); v != "" && v != tag && (v != modified || tag != "") || len(v) > 512 {
			t.Errorf("validator %q of %q and %q", v, tag, modified)
		}
		if d := retryAfter(h); d < 0 || d%time.Second != 0 {
			t.Errorf("retry after %q is %v", after, d)
		}
	})
}
