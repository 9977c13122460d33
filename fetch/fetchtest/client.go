// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetchtest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Client returns a client that reaches s under every host name and port, over pipes in memory. For https it
// leaves out TLS. It and the server stop with tb; in a testing/synctest bubble, tb is the bubble's.
func (s *Server) Client(tb testing.TB) *http.Client { return s.client(tb, new(http.Protocols)) }

// ClientHTTP2 is Client with HTTP/2, in prior knowledge and without TLS; for http URIs.
func (s *Server) ClientHTTP2(tb testing.TB) *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return s.client(tb, p)
}

func (s *Server) client(tb testing.TB, p *http.Protocols) *http.Client {
	tb.Helper()
	if *p == (http.Protocols{}) {
		p.SetHTTP1(true)
	}
	wire := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: s, Protocols: p}
	transport := &http.Transport{DialContext: wire.dial, DialTLSContext: wire.dial, Protocols: p}
	go server.Serve(wire)
	tb.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return &http.Client{Transport: transport}
}

// pipes is a listener without a network.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
