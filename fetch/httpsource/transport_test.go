// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/fetchtest"
)

// certificate makes one that signs itself, for fw.example unless edit says otherwise.
func certificate(t *testing.T, edit func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"fw.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// secure serves s over TLS. The transport is that of New(nil), except that it trusts roots and finds the server under every name.
func secure(t *testing.T, s *fetchtest.Server, cert tls.Certificate, roots *x509.CertPool) (*httptest.Server, *http.Transport) {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	transport := newTransport()
	transport.Proxy = nil
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	})
	return server, transport
}

const image = "https://fw.example/image.bin"

func readAll(s *Source, uri string, offset int64, validator string) (*fetch.Stream, []byte, error) {
	st, err := s.Open(context.Background(), uri, offset, validator)
	if err != nil {
		return nil, nil, err
	}
	defer st.Body.Close()
	b, err := io.ReadAll(st.Body)
	return st, b, err
}

// HTTP/2 is spoken where the server can. A stream that is reset, and a connection that goes away, are broken bodies like any other,
// and the rest can be had.
func TestNET_03_HTTP2(t *testing.T) {
	data := []byte(strings.Repeat("firmware", 100_000))
	for name, gone := range map[string]bool{"reset": false, "connection closed": true} {
		t.Run(name, func(t *testing.T) {
			server := fetchtest.NewServer()
			server.Put("/image.bin", data)
			cert, roots := certificate(t, nil)
			web, transport := secure(t, server, cert, roots)
			s := New(&http.Client{Transport: transport})
			trick := fetchtest.Cut(500_000)
			if gone {
				trick = fetchtest.Stall(500_000)
			}
			server.Script("/image.bin", trick)
			st, err := s.Open(t.Context(), image, 0, "")
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 400_000)
			if _, err := io.ReadFull(st.Body, got); err != nil {
				t.Fatal(err)
			}
			if gone {
				web.CloseClientConnections()
			}
			rest, err := io.ReadAll(st.Body)
			st.Body.Close()
			if err == nil {
				t.Fatal("a broken body ended well")
			}
			got = append(got, rest...)
			again, rest, err := readAll(s, image, int64(len(got)), st.Validator)
			if err != nil || again.Offset != int64(len(got)) || string(got)+string(rest) != string(data) {
				t.Errorf("resumed at %d: %v", len(got), err)
			}
			for _, r := range server.Requests("") {
				if r.Proto != 2 {
					t.Errorf("spoke HTTP/%d", r.Proto)
				}
			}
		})
	}
}

// What TLS finds wrong is a failure of the transport, no request is made, and none is tried again.
func TestNET_10_TLS(t *testing.T) {
	for _, test := range []struct {
		name string
		cert func(*x509.Certificate)
		edit func(client, server *tls.Config)
		want bool
	}{
		{"good", nil, nil, true},
		{"expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, nil, false},
		{"not yet valid: the device thinks it is 1970", nil, func(c, _ *tls.Config) { c.Time = func() time.Time { return time.Unix(0, 0) } }, false},
		{"wrong name", func(c *x509.Certificate) { c.DNSNames = []string{"other.example"} }, nil, false},
		{"unknown authority", nil, func(c, _ *tls.Config) { c.RootCAs = x509.NewCertPool() }, false},
		{"downgrade to TLS 1.1", nil, func(_, s *tls.Config) { s.MinVersion, s.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		{"not for servers", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := fetchtest.NewServer()
			server.Put("/image.bin", []byte("image"))
			cert, roots := certificate(t, test.cert)
			web, transport := secure(t, server, cert, roots)
			if test.edit != nil {
				test.edit(transport.TLSClientConfig, web.TLS)
			}
			retries := 0
			r, err := fetch.NewRemote(fetch.Options{Source: New(&http.Client{Transport: transport}), Retries: 1, Backoff: time.Millisecond, OnRetry: func(fetch.Retry) { retries++ }}, "https://fw.example/")
			if err != nil {
				t.Fatal(err)
			}
			body, err := r.Get(t.Context(), "image.bin", 10)
			if test.want && (err != nil || string(body) != "image") {
				t.Fatalf("%q, %v", body, err)
			}
			if !test.want && (!errors.Is(err, fetch.ErrTLS) || !errors.Is(err, fetch.ErrTransport) || retries > 0 || len(server.Requests("")) > 0) {
				t.Errorf("%v after %d requests and %d retries, want ErrTLS at once", err, len(server.Requests("")), retries)
			}
		})
	}
}

// A server that speaks no TLS, where that was asked for, will not learn it.
func TestNET_10_NoTLS(t *testing.T) {
	web := httptest.NewServer(fetchtest.NewServer())
	defer web.Close()
	transport := newTransport()
	defer transport.CloseIdleConnections()
	if _, _, err := readAll(New(&http.Client{Transport: transport}), strings.Replace(web.URL, "http:", "https:", 1), 0, ""); !errors.Is(err, fetch.ErrTLS) {
		t.Errorf("%v, want ErrTLS", err)
	}
}

// Client certificates are the transport's.
func TestMutualTLS(t *testing.T) {
	server := fetchtest.NewServer()
	server.Put("/image.bin", []byte("image"))
	cert, roots := certificate(t, nil)
	web, transport := secure(t, server, cert, roots)
	device, devices := certificate(t, nil)
	web.TLS.ClientAuth, web.TLS.ClientCAs = tls.RequireAndVerifyClientCert, devices
	if _, _, err := readAll(New(&http.Client{Transport: transport}), image, 0, ""); !errors.Is(err, fetch.ErrTransport) {
		t.Errorf("without a certificate: %v", err)
	}
	known := transport.Clone()
	defer known.CloseIdleConnections()
	known.TLSClientConfig.Certificates = []tls.Certificate{device}
	if _, body, err := readAll(New(&http.Client{Transport: known}), image, 0, ""); err != nil || string(body) != "image" {
		t.Errorf("with the certificate: %q, %v", body, err)
	}
}

// A proxy is the transport's, too, and sees the whole address.
func TestProxy(t *testing.T) {
	proxy := fetchtest.NewServer()
	proxy.Put("/image.bin", []byte("image"))
	web := httptest.NewServer(proxy)
	defer web.Close()
	at, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := newTransport()
	defer transport.CloseIdleConnections()
	transport.Proxy = http.ProxyURL(at)
	_, body, err := readAll(New(&http.Client{Transport: transport}), "http://fw.example/image.bin", 0, "")
	if err != nil || string(body) != "image" || proxy.Requests("")[0].Host != "fw.example" {
		t.Errorf("%q, %v, %+v", body, err, proxy.Requests(""))
	}
}

// Names that do not resolve for a while are waited for.
func TestNET_09_NameFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fetchtest.NewServer()
		server.Put("/version", []byte("1"))
		client := server.Client(t)
		transport := client.Transport.(*http.Transport)
		dial, tries := transport.DialContext, 0
		transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			if tries++; tries%3 != 0 {
				return nil, &net.DNSError{Err: "no such host", Name: "fw.example", IsNotFound: true}
			}
			return dial(ctx, network, address)
		}
		r, err := fetch.NewRemote(fetch.Options{Source: New(client)}, "https://fw.example/")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := r.Get(t.Context(), "version", 10); err != nil || string(b) != "1" || tries != 3 {
			t.Errorf("%q, %v after %d tries", b, err, tries)
		}
	})
}

// A public server cannot redirect into the device's own network by a name; within that network redirects are its own affair.
func TestNET_09_Rebinding(t *testing.T) {
	dial := func(redirected, private bool, address string) error {
		h := &hops{}
		h.redirected.Store(redirected)
		h.private.Store(private)
		return checkDial(context.WithValue(context.Background(), hopsKey{}, h), "tcp", address, nil)
	}
	for _, test := range []struct {
		redirected, private bool
		address             string
		ok                  bool
	}{
		{false, false, "127.0.0.1:80", true},
		{true, false, "93.184.215.14:443", true},
		{true, false, "127.0.0.1:80", false},
		{true, false, "10.1.2.3:443", false},
		{true, false, "169.254.169.254:80", false},
		{true, false, "[::1]:80", false},
		{true, false, "[::ffff:192.168.0.1]:80", false},
		{true, false, "[fe80::1%eth0]:80", false},
		{true, true, "10.1.2.3:443", true},
	} {
		if err := dial(test.redirected, test.private, test.address); test.ok != (err == nil) || err != nil && !errors.Is(err, fetch.ErrRedirect) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	// The dialer asks it, and knows where the request began: from loopback to loopback, by another name, is allowed.
	server := fetchtest.NewServer()
	server.Put("/image.bin", []byte("image"))
	web := httptest.NewServer(server)
	defer web.Close()
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	server.Script("/image.bin", fetchtest.Redirect(302, "http://localhost:"+port+"/image.bin"))
	if _, body, err := readAll(New(nil), web.URL+"/image.bin", 0, ""); err != nil || string(body) != "image" {
		t.Errorf("%q, %v", body, err)
	}
}

// A request says what it is for, and nothing about who asks.
func TestNET_18_RequestTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fetchtest.NewServer()
		server.Put("/image.bin", []byte("image"))
		s := New(server.Client(t))
		st, _, err := readAll(s, image, 0, "")
		if err == nil {
			_, _, err = readAll(s, image, 3, st.Validator)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range server.Requests("") {
			for name := range r.Header {
				if !slices.Contains([]string{"Accept-Encoding", "Range", "If-Range", "User-Agent"}, name) || name == "User-Agent" && r.Header.Get(name) != "Go-http-client/1.1" {
					t.Errorf("header %s: %s", name, r.Header.Get(name))
				}
			}
		}
	})
}
