// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Names of the sides that are compared with one another.
const (
	oursName    = "firmament fetch"
	twoName     = oursName + ", 2 ranges"
	commandName = "firmctl fetch --root"
	curlName    = "curl -o"
	pipeName    = "curl | tee | sha256sum"
	receiveName = "floor: receive"
	hashName    = "floor: hash"
	writeName   = "floor: write"
	directName  = "floor: write, past the page cache"
)

// fetchSides are the sides whose programs are there.
func fetchSides(r *report, p *payload) []downloader {
	ours := func(parallel string) func(ctx context.Context, file, out string) (cost, error) {
		return func(ctx context.Context, file, out string) (cost, error) {
			return p.small.self(ctx, "fetch", "-url", p.base+file, "-size", strconv.FormatInt(p.size, 10),
				"-digest", p.digest.String(), "-root", p.root.String(), "-out", out, "-parallel", parallel)
		}
	}
	size := strconv.FormatInt(p.size, 10)
	floor := func(verb string) func(ctx context.Context, file, out string) (cost, error) {
		return func(ctx context.Context, file, out string) (cost, error) {
			switch verb {
			case "receive":
				return p.small.self(ctx, verb, p.base+file)
			case "hash":
				return p.small.self(ctx, verb, size)
			}
			return p.small.self(ctx, verb, size, out)
		}
	}
	sides := []downloader{
		{name: oursName, ours: true, verifies: "each chunk", run: ours("1")},
		{name: twoName, ours: true, verifies: "each chunk", run: ours("2")},
		{name: oursName + ", 4 ranges", ours: true, verifies: "each chunk", run: ours("4")},
		{name: commandName, ours: true, verifies: "each chunk", run: func(ctx context.Context, file, out string) (cost, error) {
			return p.small.measure(ctx, p.firmctl, "fetch", "--json", "--url", p.base+file, "--size", size,
				"--root", fmt.Sprintf("%x", p.root.Bytes()), "--out", out)
		}},
		{name: receiveName, floor: true, verifies: "nothing", run: floor("receive")},
		{name: hashName, floor: true, verifies: "nothing", run: floor("hash")},
		{name: writeName, floor: true, verifies: "nothing", run: floor("write")},
		{name: directName, floor: true, verifies: "nothing", run: floor("write-direct")},
		{name: curlName, verifies: "nothing", run: func(ctx context.Context, file, out string) (cost, error) {
			return p.small.measure(ctx, "curl", "-sS", "--fail", "-o", out, p.base+file)
		}},
		{name: pipeName, verifies: "the whole", run: func(ctx context.Context, file, out string) (cost, error) {
			script := `got=$(curl -sS --fail "$1" | tee "$2" | sha256sum) && [ "${got%% *}" = "$3" ] || { echo "digest is $got"; exit 1; }`
			return p.small.measure(ctx, "sh", "-c", script, "sh", p.base+file, out, fmt.Sprintf("%x", p.digest.Bytes()))
		}},
	}
	if r.installed("aria2c", "aria2") {
		sides = append(sides, downloader{name: "aria2c -x4 --checksum", verifies: "the whole", run: func(ctx context.Context, file, out string) (cost, error) {
			return p.small.measure(ctx, "aria2c", "-q", "-x4", "-s4", "--file-allocation=none", "--check-integrity=true", "--allow-overwrite=true",
				"--checksum=sha-256="+fmt.Sprintf("%x", p.digest.Bytes()), "-d", filepath.Dir(out), "-o", filepath.Base(out), p.base+file)
		}})
	}
	return sides
}

// startNginx serves the payload's folder until stop is called.
func startNginx(ctx context.Context, p *payload) (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	dir := filepath.Dir(p.dir)
	config := fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr;
events {}
http {
	log_format sent "$bytes_sent $uri";
	access_log %[1]s/sent.log sent;
	sendfile on;
	tcp_nopush on;
	default_type application/octet-stream;
	client_body_temp_path %[1]s/t1;
	proxy_temp_path %[1]s/t2;
	fastcgi_temp_path %[1]s/t3;
	uwsgi_temp_path %[1]s/t4;
	scgi_temp_path %[1]s/t5;
	server {
		listen %[2]s;
		root %[3]s;
	}
}
`, dir, address, p.dir)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "nginx", "-p", dir, "-c", file, "-e", filepath.Join(dir, "nginx.log"))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	p.base = "http://" + address + "/"
	for range 100 {
		resp, err := http.Get(p.base + "good.bin.chunks")
		if err == nil {
			resp.Body.Close()
			return stop, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	stop()
	log, _ := os.ReadFile(filepath.Join(dir, "nginx.log"))
	return nil, fmt.Errorf("nginx does not answer: %s", log)
}
