// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"net"
	"net/http"
	"time"
)

// newTransport returns the transport of New(nil). Its buffers do not grow with the payload, and small devices have
// little room for them.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, ControlContext: checkDial}).DialContext,
		TLSHandshakeTimeout:    30 * time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    9, // as many ranges as fetch has in flight, and the page file
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream:     512 << 10,
			MaxReceiveBufferPerConnection: 2 << 20,
			SendPingTimeout:               30 * time.Second,
		},
	}
}
