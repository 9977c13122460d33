// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A badCase is a command line, what is wrong around it, and what the command must say. In args and cause, $D is a product folder
// with a device that runs release 1, and with release 2 published; $URL serves it, $W is the folder above.
type badCase struct {
	name   string
	args   string // program and arguments, separated by spaces
	damage func(t *testing.T, w string)
	exit   int
	error  string   // the sentinel's name
	cause  []string // all of these, such as the file and what was expected
	writes string   // the only folder where something may be written: verified metadata and good chunks
}

const (
	slotSize = 64 << 10
	agentRun = "agent --dir $D --once --server $URL"

	describeRelease = "firmctl manifest create $W/release.json --out $W/new"
)

// spoil returns a damage that gives a file other content.
func spoil(name, content string) func(*testing.T, string) {
	return func(t *testing.T, w string) { write(t, filepath.Join(w, name), []byte(content)) }
}

// halve cuts files in two.
func halve(names ...string) func(*testing.T, string) {
	return func(t *testing.T, w string) {
		for _, name := range names {
			b, err := os.ReadFile(filepath.Join(w, name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(w, name), b[:len(b)/2])
		}
	}
}

// remove removes files and folders.
func remove(names ...string) func(*testing.T, string) {
	return func(t *testing.T, w string) {
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(w, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// folder puts a folder where a file was.
func folder(name string) func(*testing.T, string) {
	return func(t *testing.T, w string) {
		remove(name)(t, w)
		if err := os.Mkdir(filepath.Join(w, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// with sets a member of a JSON file.
func with(name, key string, value any) func(*testing.T, string) {
	return func(t *testing.T, w string) { change(t, filepath.Join(w, name), key, value) }
}

func both(a, b func(*testing.T, string)) func(*testing.T, string) {
	return func(t *testing.T, w string) { a(t, w); b(t, w) }
}

// fileCases are the ways in which a file that people write can be wrong. cmd reads name, and wants what want says.
func fileCases(cmd, name, want string) []badCase {
	missing := "no such file"
	words := 2
	if strings.HasPrefix(cmd, "firmctl manifest ") {
		words = 3
	}
	what := strings.Join(strings.Fields(cmd)[:words], " ") + " " + name
	return []badCase{
		{what + " missing", cmd, remove(name), 2, "input", []string{name, missing, want}, ""},
		{what + " is a directory", cmd, folder(name), 2, "input", []string{name, "is a directory", want}, ""},
		{what + " empty", cmd, spoil(name, ""), 2, "input", []string{name, "empty", want}, ""},
		{what + " truncated", cmd, halve(name), 2, "input", []string{name, want}, ""},
		{what + " garbage", cmd, spoil(name, "\x00garbage\xff"), 2, "input", []string{name, want}, ""},
		{what + " too large", cmd, spoil(name, strings.Repeat(" ", 2<<20)), 2, "input", []string{name, "2097152 bytes", want}, ""},
	}
}

// envelopeCases are the ways in which an envelope can be wrong for firmctl manifest VERB ENVELOPE. Programs write envelopes, so
// that one that cannot be read is trouble, and one that is no envelope is refused.
func envelopeCases(verb, args string) []badCase {
	const name = "release.suit"
	cmd := "firmctl manifest " + verb + " $W/" + name + " " + args
	what := "manifest " + verb + " " + name
	return []badCase{
		{what + " missing", cmd, remove(name), 3, "disk", []string{name, "no such file"}, ""},
		{what + " is a directory", cmd, folder(name), 3, "disk", []string{name, "is a directory"}, ""},
		{what + " empty", cmd, spoil(name, ""), 1, "manifest.ErrMalformed", []string{name}, ""},
		{what + " truncated", cmd, halve(name), 1, "manifest.ErrMalformed", []string{name}, ""},
		{what + " garbage", cmd, spoil(name, "\x00garbage\xff"), 1, "manifest.ErrMalformed", []string{name}, ""},
		{what + " too large", cmd, spoil(name, strings.Repeat(" ", 17<<20)), 1, "manifest.ErrLimit", []string{name, "17825792"}, ""},
	}
}

// describe puts a description there.
func describe(content string) func(*testing.T, string) { return spoil("release.json", content) }

func badCases() []badCase {
	release := "firmctl release $D $W/good.bin --version 3"
	status := "agent --dir $D --status"
	dev, prod := "product/device/", "product/"
	author := "$D/device/author.pub.pem"
	cases := slices.Concat(
		fileCases(status, dev+"device.json", "want a configuration"),
		fileCases(status, dev+"author.pub.pem", "want an author's public key (PEM)"),
		fileCases(status, dev+"root.json", "want the trusted TUF root metadata"),
		fileCases(release, prod+"product.json", "want a product"),
		fileCases("quickstart --old $W/good.bin --new $W/good.bin", "good.bin", "want an image")[:3],
		fileCases("firmctl init $W/new --factory $W/good.bin", "good.bin", "want an image")[:3],
		fileCases(release, "good.bin", "want an image")[:3],
		fileCases("firmctl manifest create $W/release.json --out $W/new", "release.json", "want a description (YAML or JSON)")[:3],
		fileCases("firmctl manifest sign $W/release.suit --out $W/new --key $D/keys/author.pem", prod+"keys/author.pem", "want a private key (PEM)"),
		fileCases("firmctl manifest verify $W/release.suit --key "+author, dev+"author.pub.pem", "want a public key (PEM)"),
		fileCases("firmctl manifest attach $W/release.suit --out $W/new --key "+author+" --signature $W/block.cose", "block.cose", "want an authentication block")[:3],
		fileCases("firmctl manifest attach $W/release.suit --out $W/new --member install=$W/install.cbor", "install.cbor", "want the content of install")[:3],
		fileCases("firmctl manifest encrypt $W/good.bin --out $W/new --recipient "+author, dev+"author.pub.pem", "want a public key (PEM)"),
		fileCases("firmctl manifest encrypt $W/good.bin --out $W/new --kek 000102030405060708090a0b0c0d0e0f", "good.bin", "want a payload")[:2],
		envelopeCases("inspect", ""),
		envelopeCases("sever", "--out $W/new --member install=$W/part"),
		envelopeCases("sign", "--out $W/new --key $D/keys/author.pem"),
		envelopeCases("attach", "--key "+author),
		envelopeCases("report", "$W/release.suit --unsealed --key "+author),
	)
	for _, role := range []string{"author", "root", "targets", "snapshot", "timestamp"} {
		cases = append(cases, fileCases(release, prod+"keys/"+role+".pem", "want a private key")...)
	}
	usage := func(args string, cause ...string) badCase { return badCase{args, args, nil, 2, "usage", cause, ""} }
	config := func(key string, value any, cause string) badCase {
		return badCase{"device.json " + key, status, with(dev+"device.json", key, value), 2, "input", []string{"device.json", key, cause}, ""}
	}
	product := func(key string, value any, cause string) badCase {
		return badCase{"product.json " + key, release, with(prod+"product.json", key, value), 2, "input", []string{"product.json", key, cause}, ""}
	}
	return append(cases,
		usage("firmctl", "no command"),
		usage("firmctl publish", `no command "publish"`),
		usage("firmctl init", "takes DIR"),
		usage("firmctl init $W/new more", "takes DIR"),
		usage("firmctl init $W/new --colour red", "-colour"),
		usage("firmctl init $W/new --slot-size", "slot-size"),
		usage("firmctl init $W/new --slot-size big", `"big"`, "slot-size"),
		usage("firmctl init $W/new --slot-size 100", "--slot-size is 100", "want 4096 to"),
		usage("firmctl init $W/new --slot-size 9223372036854775807", "--slot-size", "want 4096 to"),
		usage("firmctl init $W/new --chunk-size 1000", "--chunk-size is 1000", "power of two"),
		usage("firmctl init $D", "product is not empty", "new"),
		usage("firmctl init $W/good.bin", "good.bin", "want a new or empty folder"),
		usage("firmctl init $W/good.bin/new", "good.bin", "want a new or empty folder"),
		badCase{"factory image too large", "firmctl init $W/new --slot-size 4096 --factory $W/good.bin", nil, 2, "input", []string{"good.bin has 30000 bytes", "slots have 4096"}, ""},
		usage("firmctl release $D", "takes DIR IMAGE"),
		usage("firmctl release $D $W/good.bin", "--version is missing"),
		usage("firmctl release $D $W/good.bin more --version 3", "takes DIR IMAGE"),
		usage("firmctl release $D $W/good.bin --version", "version"),
		badCase{"release too large", "firmctl release $D $W/large.bin --version 3", nil, 2, "input", []string{"large.bin has 65537 bytes", "slots have 65536"}, ""},
		badCase{"release without product", "firmctl release $W/none $W/good.bin --version 3", nil, 2, "input", []string{"none: no such folder, want one with product.json", "firmctl init DIR"}, ""},
		badCase{"release without repository", release, remove(prod + "repository"), 3, "", []string{"repository"}, ""},
		badCase{"release over damaged metadata", release, halve(prod + "repository/metadata/timestamp.json"), 3, "damaged", []string{"product/repository", "timestamp"}, ""},
		product("vendor_id", "zz", "vendor_id"),
		product("class_id", "", "class_id"),
		product("component", "0", "want hex"),
		product("channel", "a/b", "want a name"),
		product("chunk_size", 12345, "want a power of two"),
		product("unknown", 1, "unknown"),
		usage("firmctl serve", "takes DIR"),
		usage("firmctl serve $D --listen nonsense", `"nonsense"`, "want HOST:PORT"),
		badCase{"serve without product", "firmctl serve $W/none", nil, 2, "input", []string{"none: no such folder, want one with product.json"}, ""},
		badCase{"serve without repository", "firmctl serve $D --listen 127.0.0.1:0", remove(prod + "repository"), 3, "", []string{"repository"}, ""},
		badCase{"serve on an occupied port", "firmctl serve $D --listen $BUSY", nil, 3, "network", []string{"$BUSY", "in use"}, ""},
		badCase{"serve on no port", "firmctl serve $D --listen 127.0.0.1:99999", nil, 3, "network", []string{"99999"}, ""},
		usage("firmctl status", "takes DIR"),
		badCase{"status without product", "firmctl status $W/none", nil, 2, "input", []string{"none: no such folder, want one with product.json"}, ""},
		badCase{"status without device", "firmctl status $D", remove(prod + "device"), 2, "input", []string{"product/device: no such folder, want one with device.json"}, ""},

		usage("firmctl manifest", "no command given"),
		usage("firmctl manifest publish", `no command "publish"`),
		usage("firmctl manifest create", "takes DESCRIPTION"),
		usage("firmctl manifest create $W/release.json", "--out FILE"),
		badCase{"description is neither YAML nor JSON", describeRelease, describe("sequence-number: ["), 2, "input", []string{"release.json", "malformed"}, ""},
		badCase{"description with an unknown name", describeRelease, describe(`{"sequence-numbers": 3}`), 2, "input", []string{"release.json", "sequence-numbers"}, ""},
		badCase{"description with an unknown command", describeRelease, describe(`{"sequence-number": 3, "components": ["00"], "install": [{"do": "directive-explode"}]}`), 2, "input", []string{"release.json", "directive-explode"}, ""},
		badCase{"description without its file", describeRelease, describe(`{"sequence-number": 3, "components": ["00"], "payloads": {"#a": {"file": "none.bin"}}}`), 2, "input", []string{"release.json", "none.bin"}, ""},
		badCase{"description with a file from elsewhere", describeRelease, describe(`{"sequence-number": 3, "components": ["00"], "payloads": {"#a": {"file": "../good.bin"}}}`), 2, "input", []string{"release.json", "../good.bin"}, ""},
		badCase{"create into no folder", "firmctl manifest create $W/release.json --out $W/none/new", nil, 3, "disk", []string{"none"}, ""},
		usage("firmctl manifest sign $W/release.suit --key $D/keys/author.pem", "one of --out, --block and --export"),
		usage("firmctl manifest sign $W/release.suit --out $W/new --export $W/other", "one of --out, --block and --export"),
		usage("firmctl manifest sign $W/release.suit --out $W/new", "no --key"),
		usage("firmctl manifest sign $W/release.suit --export $W/new --key $D/keys/author.pem", "--export needs no key"),
		usage("firmctl manifest sign $W/release.suit --block $W/new --key $D/keys/author.pem --key $D/keys/root.pem", "--block is for one key, got 2"),
		usage("firmctl manifest sign $W/release.suit --out $W/new --mac-key zz", "--mac-key is not hexadecimal"),
		usage("firmctl manifest sign $W/release.suit --out $W/new --mac-key 00", "--mac-key"),
		badCase{"sign with a public key", "firmctl manifest sign $W/release.suit --out $W/new --key " + author, nil, 2, "input", []string{"author.pub.pem", "want a private key"}, ""},
		usage("firmctl manifest attach $W/release.suit", "no --key"),
		usage("firmctl manifest attach $W/release.suit --signature $W/block.cose --out $W/new", "no --key"),
		usage("firmctl manifest attach $W/release.suit --signature $W/block.cose --key "+author, "--out FILE"),
		usage("firmctl manifest attach $W/release.suit --out $W/new --key "+author, "nothing to attach"),
		usage("firmctl manifest attach $W/release.suit --out $W/new --member install", `"install"`, "want NAME=FILE"),
		badCase{"attach of another block", "firmctl manifest attach $W/release.suit --out $W/new --signature $W/install.cbor --key " + author, nil, 1, "manifest.ErrMalformed", []string{"install.cbor"}, ""},
		usage("firmctl manifest sever $W/release.suit --out $W/new", "--member NAME=FILE"),
		usage("firmctl manifest sever $W/release.suit --member install=$W/part", "--out FILE"),
		usage("firmctl manifest sever $W/release.suit --out $W/new --member validate=$W/part", `"validate"`, "can be severed"),
		usage("firmctl manifest sever $W/release.suit --out $W/new --member install=$W/new", "--out and --member are both"),
		usage("firmctl manifest sever $W/release.suit --out $W/new --member install=$W/part --member install=$W/other", "twice"),
		usage("firmctl manifest inspect $W/release.suit more", "takes ENVELOPE"),
		usage("firmctl manifest verify $W/release.suit", "no --key"),
		usage("firmctl manifest run $W/release.suit --key "+author, "--out DIR"),
		usage("firmctl manifest run $W/release.suit --out $W/new --report-key $D/keys/root.pem --key "+author, "without --report FILE"),
		usage("firmctl manifest encrypt $W/good.bin --out $W/new", "nobody could decrypt it"),
		usage("firmctl manifest encrypt $W/good.bin --recipient "+author, "--out FILE"),
		usage("firmctl manifest encrypt $W/good.bin --out $W/new --info $W/new --recipient "+author, "--out and --info are both"),
		usage("firmctl manifest encrypt $W/good.bin --out $W/new --kek 0001", "--kek"),
		usage("firmctl manifest encrypt $W/good.bin --out $W/new --algorithm ROT13 --recipient "+author, `"ROT13"`, "want one of A128GCM"),
		usage("firmctl manifest report $W/release.suit", "takes ENVELOPE REPORT"),
		usage("firmctl manifest report $W/release.suit $W/report.cbor --key "+author, "or else --unsealed"),
		usage("firmctl manifest report $W/release.suit $W/report.cbor --unsealed", "no --key"),
		usage("firmctl manifest report $W/release.suit $W/report.cbor --unsealed --section lunch --key "+author, `"lunch"`, "is none of"),
		badCase{"report missing", "firmctl manifest report $W/release.suit $W/report.cbor --unsealed --key " + author, nil, 3, "disk", []string{"report.cbor", "no such file"}, ""},
		badCase{"report is none", "firmctl manifest report $W/release.suit $W/install.cbor --unsealed --key " + author, nil, 1, "manifest.ErrMalformed", []string{"install.cbor"}, ""},

		usage("agent", "--dir is missing"),
		usage("agent --dir", "dir"),
		usage("agent --dir $D again", `"again"`),
		usage("agent --dir $D --colour", "-colour"),
		usage("agent --dir $D --once=perhaps", "perhaps", "once"),
		usage("agent --dir $D --every 1ms", "--every is 1ms", "want 1s or more"),
		usage("agent --dir $D --every soon", `"soon"`, "every"),
		usage("agent --dir $D --once --status", "exclude each other"),
		usage("agent --dir $D --once --server nonsense", "--server", `"nonsense"`, "not a URL"),
		usage("agent --dir $D --once --server ftp://127.0.0.1/", "--server", "not a URL"),
		badCase{"agent without folder", "agent --dir $W/none --once", nil, 2, "input", []string{"none: no such folder, want one with device.json"}, ""},
		badCase{"agent with a file", "agent --dir $W/good.bin --once", nil, 2, "input", []string{"good.bin", "want a configuration"}, ""},
		config("server", "nowhere", "not a URL"),
		config("channel", "", "want a name"),
		config("vendor_id", "zz", "vendor_id"),
		config("class_id", 7, "class_id"),
		config("device_id", "", "device_id"),
		config("component", "xyz", "want hex"),
		config("slots", []string{"slot-a.img", "slot-a.img"}, "want two names"),
		config("boot_record", "", "want a name"),
		config("author_keys", []string{}, "want at least one PEM file"),
		config("author_threshold", 2, "want 1 to 1"),
		config("checkpoint_bytes", -1, "want 0 or more"),
		config("unknown", 1, "unknown"),
		badCase{"slot missing", status, remove(dev + "slot-b.img"), 3, "damaged", []string{"slot B", "slot-b.img"}, ""},
		badCase{"slot is a directory", status, folder(dev + "slot-a.img"), 3, "damaged", []string{"slot A", "slot-a.img"}, ""},
		badCase{"boot record missing", status, remove(dev+"boot.0", dev+"boot.1"), 3, "damaged", []string{"boot record", "boot.0"}, ""},
		badCase{"boot record damaged", status, both(spoil(dev+"boot.0", "x"), spoil(dev+"boot.1", "x")), 3, "damaged", []string{"boot record"}, ""},
		badCase{"state missing", status, remove(dev + "state"), 3, "damaged", []string{"state"}, ""},
		badCase{"counter damaged", status, both(spoil(dev+"state/counter.0", "x"), spoil(dev+"state/counter.1", "x")), 3, "verify.ErrCounter", []string{"counter"}, ""},
		badCase{"journal damaged", status, spoil(dev+"state/journal", strings.Repeat("x", 100)), 3, "firmament.ErrJournal", []string{"journal"}, ""},

		badCase{"nobody serves", "agent --dir $D --once --server http://$FREE", nil, 3, "tuf.ErrTransport", []string{"$FREE", "refused"}, dev + "state/tuf"},
		badCase{"server without repository", agentRun + "/elsewhere", nil, 3, "", []string{"elsewhere"}, dev + "state"},
		badCase{"timestamp garbage", agentRun, spoil(prod+"repository/metadata/timestamp.json", "{"), 1, "tuf.ErrMalformed", []string{"timestamp"}, dev + "state"},
		badCase{"timestamp empty", agentRun, spoil(prod+"repository/metadata/timestamp.json", ""), 1, "tuf.ErrMalformed", []string{"timestamp"}, dev + "state"},
		badCase{"envelope garbage", agentRun, bare("garbage"), 1, "manifest.ErrMalformed", []string{"stable.suit"}, ""},
		badCase{"envelope empty", agentRun, bare(""), 1, "manifest.ErrMalformed", []string{"stable.suit"}, ""},
		badCase{"envelope truncated", agentRun, func(t *testing.T, w string) {
			name := bareName(t, w)
			change(t, filepath.Join(w, dev, "device.json"), "tuf_root", "")
			halve(name)(t, w)
		}, 1, "manifest.ErrMalformed", []string{"stable.suit"}, ""},
		badCase{"envelope too large", agentRun, bare(strings.Repeat("x", 1<<20+1)), 1, "fetch.ErrSize", []string{"stable.suit", "1048576"}, ""},
		badCase{"image does not fit", agentRun, func(t *testing.T, w string) {
			if err := os.Truncate(filepath.Join(w, dev, "slot-b.img"), 20000); err != nil {
				t.Fatal(err)
			}
		}, 1, "install.ErrBounds", []string{"30000", "20000"}, dev + "state"},
		badCase{"payload truncated", agentRun, func(t *testing.T, w string) { halve(payload(t, w))(t, w) }, 1, "fetch.ErrSize", []string{"payloads/", "30000"}, dev},

		usage("quickstart more", `"more"`),
		usage("quickstart --colour", "-colour"),
		usage("quickstart --old $W/good.bin", "--old and --new go together"),
		usage("quickstart --dir $D", "product is not empty"),
		usage("quickstart --dir $W/good.bin", "good.bin", "want a new or empty folder"),
		badCase{"quickstart image too small", "quickstart --old $W/good.bin --new $W/large.bin", nil, 2, "input", []string{"good.bin has 30000 bytes", "want an image of"}, ""},
		badCase{"quickstart images alike", "quickstart --old $W/large.bin --new $W/large.bin", nil, 2, "input", []string{"large.bin", "want two images that differ"}, ""},
	)
}

// bare makes the device look for bare envelopes, and gives it this one.
func bare(content string) func(*testing.T, string) {
	return func(t *testing.T, w string) {
		change(t, filepath.Join(w, "product", "device", "device.json"), "tuf_root", "")
		write(t, filepath.Join(w, bareName(t, w)), []byte(content))
	}
}

func bareName(t *testing.T, w string) string {
	return glob(t, w, "product/repository/suit/fw/*/*/stable.suit")
}

// payload is the image of release 2, which good.bin holds.
func payload(t *testing.T, w string) string {
	b, err := os.ReadFile(filepath.Join(w, "good.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("product/repository/payloads/%x", sha256.Sum256(b))
}

func glob(t *testing.T, w, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(w, filepath.FromSlash(pattern)))
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: %d files, %v", pattern, len(names), err)
	}
	rel, err := filepath.Rel(w, names[0])
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

// TestM7_BadInput: whatever is wrong, the message names it and says what was expected, the exit code is right, standard output
// ends with JSON if that was asked for, and nothing was written.
func TestM7_BadInput(t *testing.T) {
	template := t.TempDir()
	dir := filepath.Join(template, "product")
	factory := write(t, filepath.Join(t.TempDir(), "factory.bin"), random(1, 20_000))
	good := write(t, filepath.Join(template, "good.bin"), random(2, 30_000))
	write(t, filepath.Join(template, "large.bin"), random(3, slotSize+1))
	run(t, "firmctl", "init", dir, "--factory", factory, "--slot-size", "65536", "--chunk-size", "16384").ok(t)
	run(t, "firmctl", "release", dir, good, "--version", "2").ok(t)
	writeRelease(t, template)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range badCases() {
		if seen[c.name] {
			t.Errorf("two cases are called %s", c.name)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := t.TempDir()
			if err := os.CopyFS(w, os.DirFS(template)); err != nil {
				t.Fatal(err)
			}
			url := ""
			if strings.Contains(c.args, "$URL") {
				url = serveDir(t, filepath.Join(w, "product"))
			}
			if c.damage != nil {
				c.damage(t, w)
			}
			names := strings.NewReplacer("$D", filepath.Join(w, "product"), "$W", w, "$URL", url,
				"$BUSY", busy.Addr().String(), "$FREE", free.Addr().String())
			c.check(t, w, names)
		})
	}
}

// writeRelease makes a signed envelope of release.json, a second signature, and what could be severed.
func writeRelease(t *testing.T, dir string) {
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("release.json"), []byte(`{"sequence-number": 3, "components": ["00"],
		"shared-sequence": [{"do": "directive-override-parameters", "parameters": {"image-file": "good.bin"}}],
		"install": [{"do": "condition-image-match", "policy": 2}], "severable": ["install"]}`))
	release, key := path("release.suit"), path("product/keys/author.pem")
	run(t, "firmctl", "manifest", "create", path("release.json"), "--out", release).ok(t)
	run(t, "firmctl", "manifest", "sign", release, "--key", key, "--out", release).ok(t)
	run(t, "firmctl", "manifest", "sign", release, "--key", key, "--block", path("block.cose")).ok(t)
	run(t, "firmctl", "manifest", "sever", release, "--member", "install="+path("install.cbor"), "--out", path("severed.suit")).ok(t)
}

func (c badCase) check(t *testing.T, w string, names *strings.Replacer) {
	before := tree(t, w)
	var args []string
	for _, arg := range strings.Fields(c.args) {
		args = append(args, names.Replace(arg))
	}
	at := 1 // where --json is no flag's value
	if args[0] == "firmctl" && len(args) > 1 {
		at = 2
		if args[1] == "manifest" && len(args) > 2 {
			at = 3
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, args[0]), slices.Insert(args, at, "--json")[1:]...)
	cmd.Dir = w
	r := runCmd(t, cmd)
	a := r.answer(t)
	if r.code != c.exit || a.Exit != c.exit || a.Result != "error" {
		t.Errorf("exit %d, %+v, want %d\n%s", r.code, a, c.exit, r.stderr)
	}
	if a.Error == "" || c.error != "" && a.Error != c.error {
		t.Errorf("got %s, want %s: %s", a.Error, c.error, a.Cause)
	}
	if a.Next == "" {
		t.Errorf("%s: %s: it does not say what to do next", a.Error, a.Cause)
	}
	for _, want := range c.cause {
		if want = filepath.FromSlash(names.Replace(want)); !strings.Contains(a.Cause, want) {
			t.Errorf("cause is %q, want %q in it", a.Cause, want)
		}
	}
	if want := a.Error + ": " + a.Cause; !strings.Contains(r.stderr, want) {
		t.Errorf("standard error is %q, want %q in it", r.stderr, want)
	}
	after := tree(t, w)
	for name := range maps.Keys(after) {
		if c.writes != "" && strings.HasPrefix(filepath.ToSlash(name), c.writes) && !strings.Contains(name, "slot-a") && !strings.Contains(name, "boot.") {
			delete(after, name)
			delete(before, name)
		}
	}
	if !maps.Equal(before, after) {
		for name := range maps.Keys(before) {
			if after[name] != before[name] {
				t.Errorf("changed or removed: %s", name)
			}
		}
		for name := range maps.Keys(after) {
			if _, ok := before[name]; !ok {
				t.Errorf("made: %s", name)
			}
		}
	}
}

// TestM7_Unwritable: who may not write is told so, and what is there stays.
func TestM7_Unwritable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; TestM7_UnwritableAsNobody looks at the same as another user")
	}
	unwritable(t, func(*exec.Cmd) {})
}

// unwritable runs what writes on folders without write permission.
func unwritable(t *testing.T, as func(*exec.Cmd)) {
	w := t.TempDir()
	good := write(t, filepath.Join(w, "good.bin"), random(2, 30_000))
	dir := filepath.Join(w, "product")
	run(t, "firmctl", "init", dir, "--slot-size", "65536").ok(t)
	run(t, "firmctl", "release", dir, good, "--version", "1").ok(t)
	url := serveDir(t, dir)
	// Readable for all, writable for none.
	err := filepath.WalkDir(filepath.Dir(w), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return errors.Join(err, os.Chmod(path, 0o444))
		}
		if path == filepath.Dir(w) {
			return os.Chmod(path, 0o755)
		}
		t.Cleanup(func() { _ = os.Chmod(path, 0o755) })
		return os.Chmod(path, 0o755)
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range tree(t, w) {
		if st, err := os.Stat(filepath.Join(w, path)); err == nil && st.IsDir() {
			if err := os.Chmod(filepath.Join(w, path), 0o555); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := tree(t, w)
	for _, args := range [][]string{
		{"firmctl", "init", filepath.Join(w, "new"), "--json"},
		{"firmctl", "release", dir, good, "--version", "2", "--json"},
		{"agent", "--dir", dir, "--once", "--server", url, "--json"},
		{"quickstart", "--dir", filepath.Join(w, "work"), "--json"},
	} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, args[0]), args[1:]...)
		as(cmd)
		r := runCmd(t, cmd)
		a := r.answer(t)
		if r.code != 3 || a.Exit != 3 || a.Next == "" || !strings.Contains(a.Cause, "permission denied") || !strings.Contains(a.Cause, "/") {
			t.Errorf("%s: exit %d, %+v, want exit 3 and the path", args[:2], r.code, a)
		}
	}
	if after := tree(t, w); !maps.Equal(before, after) {
		t.Errorf("got %v, want %v", after, before)
	}
}
