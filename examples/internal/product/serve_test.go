// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package product_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/firmament-dev/firmament/examples/internal/product"
)

// Devices get what is published, and nobody gets what is being signed.
func TestServed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"metadata/timestamp.json", "targets/fw/x.a", "payloads/p", "suit/fw/a.suit", "staged/root.json", "lock", "collecting"} {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h, err := product.Handler(dir)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/metadata/timestamp.json": 200, "/targets/fw/x.a": 200, "/payloads/p": 200, "/suit/fw/a.suit": 200,
		"/staged/root.json": 404, "/lock": 404, "/collecting": 404, "/payloads/../staged/root.json": 404, "//staged/root.json": 404, "/metadata/": 404, "/": 404, "/metadata/none": 404,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, Header: http.Header{}})
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
}
