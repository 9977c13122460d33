// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
)

// What can never be opened is told before a request.
func TestCheckURI(t *testing.T) {
	for _, uri := range []string{"http://fw.example/f", "HTTP://fw.example", "https://u:p@[::1]:65535/f?q", "http://fw.example:/f"} {
		if err := httpsource.CheckURI(uri); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{"", "fw.example/f", "ftp://fw.example/f", "http://", "http:///f", "http://:80/f", "http://fw.example:0/f", "http://fw.example:65536/f",
		"http://fw.example:99999999999999999999/f", "http://fw example/f", "http://fw.example/%zz", "http://fw.example:http/f"} {
		if err := httpsource.CheckURI(uri); !errors.Is(err, fetch.ErrResource) {
			t.Errorf("%q: %v, want ErrResource", uri, err)
		}
		if _, err := httpsource.New(nil).Open(t.Context(), uri, 0, ""); !errors.Is(err, fetch.ErrResource) {
			t.Errorf("open %q: %v, want ErrResource", uri, err)
		}
	}
}
