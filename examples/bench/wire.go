// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
)

// A wire is an HTTP server of a folder, on loopback, that counts what it sends.
type wire struct {
	url      string
	requests atomic.Int64
	body     atomic.Int64 // bytes of bodies
	all      atomic.Int64 // and of status lines and headers
	server   http.Server
}

func newWire(ctx context.Context, dir string) (*wire, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{url: "http://" + l.Addr().String() + "/"}
	files := http.FileServer(http.Dir(dir))
	w.server.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w.requests.Add(1)
		files.ServeHTTP(&countedBody{out, &w.body}, r)
	})
	go w.server.Serve(countedListener{l, &w.all}) // ends with an error that Close makes
	return w, nil
}

func (w *wire) close() error { return w.server.Close() }

type countedBody struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *countedBody) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

type countedListener struct {
	net.Listener
	n *atomic.Int64
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{c, l.n}, nil
}

type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}
