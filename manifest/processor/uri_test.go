// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

func TestCMD_11_URIs(t *testing.T) {
	for _, uri := range []string{
		"image.bin", "a/b?c=d", "/images/1", "./x:y", "http://example.com/file.bin", "https://example.com:8443/", "HTTPS://EXAMPLE.COM/",
		"coap://example.com/x", "coaps+tcp://example.com/x", "//cdn.example.com/x", "http://10.0.0.1/x", "http://192.168.1.2:80/x",
		"http://[2001:db8::1]/x", "http://[fd12::1]/x", "http://127.example.com/", "http://localhost.example.com/", "http://1e100.net/",
		"http://xn--bcher-kva.example/", "http://my_cache/x", "http://EXAMPLE.com./x",
	} {
		if err := processor.CheckURI(uri); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{
		"file:///etc/passwd", "FILE:/etc/passwd", "unix:///run/docker.sock", "http+unix://%2Frun%2Fx/", "ftp://example.com/x", "data:,x", "javascript:x", "urn:x:y",
		"http://user:secret@example.com/", "https://user@example.com/", "//user:secret@example.com/x",
		"http:example.com", "http:///x", "http://:80/x", "https:", "http://", `http:\\127.0.0.1\x`, `\\127.0.0.1\x`, `http://example.com\@127.0.0.1/`,
		"http://127.0.0.1/", "http://127.255.255.254:80/", "https://LOCALHOST/", "http://localhost./", "http://a.localhost/", "//127.0.0.1/x", "//localhost/x",
		"http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://0.0.0.0/", "http://[::]/",
		"http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://0x7f.1/", "http://0x/", "http://999.1.1.1/",
		"http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/", "http://224.0.0.1/", "http://[ff02::1]/", "http://255.255.255.255/",
		"http://metadata.google.internal/", "http://Metadata/", "http://[fd00:ec2::254]/", "http://[fd00:0ec2:0::254]/", "http://100.100.100.200/", "http://[::ffff:100.100.100.200]/", "http://168.63.129.16/",
		// net/http maps these to 127.0.0.1, localhost and 169.254.169.254 (UTS 46).
		"http://%EF%BC%91%EF%BC%92%EF%BC%97.%EF%BC%90.%EF%BC%90.%EF%BC%91/", "http://127%E3%80%820%E3%80%820%E3%80%82%EF%BC%91/", "http://%E2%93%9Bocalhost/", "http://loc%C2%ADalhost/",
		"http://169.254.169.%EF%BC%92%EF%BC%95%EF%BC%94/", "http://\u24dbocalhost/", "http://127.0.0.1../", "http://localhost../", "http://.localhost../", "http://a..b/", "http://.a/", "http://127.0.0.1%25/", "http://a+b/",
		"http://%zz/", "http://a b/", "::", "http://example.com:port/",
	} {
		err := processor.CheckURI(uri)
		if !errors.Is(err, verify.ErrPolicy) {
			t.Errorf("%s: got %v, want ErrPolicy", uri, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error gives the password away: %v", uri, err)
		}
	}
}

// The URI that a manifest names is refused before anything else has an effect, whatever the device would do with it.
func TestCMD_11_RefusedBeforeEffects(t *testing.T) {
	chunks := func(uri string) manifest.Command {
		args, err := (&manifest.ChunkInfo{Root: *digest("root"), Size: manifest.MinChunkSize, URI: uri}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return override(manifest.Parameters{FetchArguments: args})
	}
	install := func(last ...manifest.Command) *manifest.Verified {
		s := append(seq{index(1), image("first"), get("first"), index(0), image("new")}, last...)
		return open(t, release(2, shared(), s, nil))
	}
	for name, v := range map[string]*manifest.Verified{
		"file":          install(get("file:///etc/passwd")),
		"loopback":      install(get("http://127.0.0.1/x")),
		"credentials":   install(get("https://user:secret@example.com/x")),
		"index at file": install(chunks("file:///dev/mem"), get("https://example.com/x")),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(2)
			refused(t, d, start(t, v, d, manifest.SectionInstall), verify.ErrPolicy)
		})
	}
	t.Run("of the device's own choice", func(t *testing.T) {
		d := newDevice(2)
		o := processor.Options{Platform: d, Identity: identity, CheckURI: func(uri string) error {
			if uri == "first" || uri == "file:///media/usb/x" {
				return nil
			}
			return verify.ErrPolicy
		}}
		refused(t, d, startWith(t, install(get("https://example.com/x")), o, manifest.SectionInstall), verify.ErrPolicy)
		if err := startWith(t, install(get("file:///media/usb/x")), o, manifest.SectionInstall); err != nil {
			t.Error(err)
		}
	})
}
