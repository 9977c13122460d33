// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetchtest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/firmament-dev/firmament/fetch/fetchtest"
)

// A server that ends the first answer early, as if it were complete. In a test, Server.Client reaches it without a network, and on virtual time.
func ExampleServer() {
	server := fetchtest.NewServer()
	server.Put("/image.bin", []byte("firmware"))
	server.Script("/image.bin", fetchtest.Shorten(4)) // the first request; after it the server is honest

	listener := httptest.NewServer(server)
	defer listener.Close()
	for range 2 {
		answer, err := http.Get(listener.URL + "/image.bin")
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		fmt.Println(string(body), answer.ContentLength, err)
	}
	fmt.Println(len(server.Requests("/image.bin")), "requests,", server.Sent("/image.bin"), "bytes")
	// Output:
	// firm 4 <nil>
	// firmware 8 <nil>
	// 2 requests, 12 bytes
}
