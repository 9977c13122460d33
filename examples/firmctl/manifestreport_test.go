// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A report that run seals in any of its ways is read back with the keys for that, with what the dependency did if its envelope is
// given, and without them refused.
func TestReportContainers(t *testing.T) {
	t.Chdir(files(t))
	if exit := run(t.Context(), []string{"manifest", "run", "--out", "first", "--key", "suit-p256-public.pem", "--compat", "--section", "dependency-resolution", unchecked}, new(bytes.Buffer), new(bytes.Buffer)); exit != 0 {
		t.Fatalf("exit %d", exit)
	}
	common := []string{"--key", "suit-p256-public.pem", "--compat", "--section", "dependency-resolution", "--section", "install"}
	mac, secret, other := strings.Repeat("61", 32), strings.Repeat("07", 16), strings.Repeat("08", 32)
	dependency := []string{"--dependency", "1=" + filepath.Join("first", "646570656e64656e742e73756974")}
	for _, tt := range []struct {
		name             string
		seal, read, fail []string
	}{
		{"mac", []string{"--report-mac-key", mac}, []string{"--report-mac-key", mac}, []string{"--report-mac-key", other}},
		{"mac, encrypted", []string{"--report-mac-key", mac, "--report-secret", secret}, []string{"--report-mac-key", mac, "--report-secret", secret}, []string{"--report-mac-key", mac}},
		{"mac, encrypted, another secret", []string{"--report-mac-key", mac, "--report-secret", other}, []string{"--report-mac-key", mac, "--report-secret", other}, []string{"--report-mac-key", mac, "--report-secret", secret}},
		{"nonce", []string{"--report-mac-key", mac, "--report-nonce", "0aff"}, []string{"--report-mac-key", mac, "--nonce", "0aff"}, []string{"--report-mac-key", mac, "--nonce", "0afe"}},
		{"no nonce", []string{"--report-mac-key", mac}, []string{"--report-mac-key", mac}, []string{"--report-mac-key", mac, "--nonce", "0aff"}},
		{"none", nil, []string{"--unsealed"}, []string{"--report-mac-key", mac}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "report")
			do := func(args ...string) (int, string) {
				var stdout, stderr bytes.Buffer
				exit := run(t.Context(), append([]string{"manifest"}, args...), &stdout, &stderr)
				return exit, stdout.String() + stderr.String()
			}
			if exit, text := do(slices.Concat([]string{"run", "--out", t.TempDir(), "--report", name}, common, tt.seal, []string{unchecked})...); exit != 0 {
				t.Fatalf("run: exit %d: %s", exit, text)
			}
			exit, text := do(slices.Concat([]string{"report"}, common, tt.read, dependency, []string{unchecked, name})...)
			if sealed := len(tt.seal) > 0; strings.Contains(text, "sealed by ") != sealed || strings.Contains(text, "nonce 0aff") != slices.Contains(tt.seal, "0aff") {
				t.Errorf("who has sealed it, and what it answers: %s", text)
			}
			if exit != 0 || !strings.Contains(text, "dependency 1, install") || !strings.Contains(text, "completed") {
				t.Errorf("report: exit %d: %s", exit, text)
			}
			if exit, text := do(slices.Concat([]string{"report"}, common, tt.read, []string{unchecked, name})...); exit != 0 || strings.Contains(text, "dependency 1, install") {
				t.Errorf("without the dependency: exit %d: %s", exit, text)
			}
			if exit, text := do(slices.Concat([]string{"report"}, common, tt.fail, []string{unchecked, name})...); exit == 0 {
				t.Errorf("without the key: %s", text)
			}
		})
	}
	for _, index := range []string{"", "x", "01", "1.", "-1"} {
		args := slices.Concat([]string{"manifest", "report", "--unsealed", "--dependency", index + "=" + unchecked}, common, []string{unchecked, unchecked})
		var stderr bytes.Buffer
		if exit := run(t.Context(), args, new(bytes.Buffer), &stderr); exit != 2 || !strings.Contains(stderr.String(), "--dependency") {
			t.Errorf("--dependency %q: exit %d, want 2: %s", index, exit, &stderr)
		}
	}
	for _, args := range [][]string{
		{"--report-secret", secret, "--report", "r"}, {"--report-mac-key", mac}, {"--report-mac-key", "00", "--report", "r"}, {"--report-nonce", "00"}, {"--report-nonce", "x", "--report", "r"}, {"--report-mac-key", mac, "--report-secret", "00", "--report", "r"},
	} {
		args = slices.Concat([]string{"manifest", "run", "--out", "out"}, common, args, []string{unchecked})
		if exit := run(t.Context(), args, new(bytes.Buffer), new(bytes.Buffer)); exit != 2 {
			t.Errorf("%v: exit %d, want 2", args, exit)
		}
	}
}
