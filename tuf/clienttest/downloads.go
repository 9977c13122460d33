// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"fmt"

	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// downloads is section 5.7.
var downloads = []Case{
	{"test_file_download.py::test_client_downloads_expected_file", func(w *world) {
		w.release("file.txt", "content")
		w.accepts()
		w.has()
		w.downloads("file.txt")
		w.has("content")
	}},
	{"test_file_download.py::test_client_downloads_expected_file_in_sub_dir", func(w *world) {
		w.release("path/to/a/file.txt", "content")
		w.downloads("path/to/a/file.txt")
		w.has("content")
	}},
	{"test_file_download.py::test_repository_substitutes_target_file", func(w *world) {
		w.Targets["other.txt"] = []byte("other")
		w.release("file.txt", "content")
		w.downloads("file.txt")
		w.has("content")
		for _, bad := range []string{"malicious, longer", "CONTENT", "short"} {
			w.Spoil("targets/*", replaced(bad))
			_ = w.download("file.txt") // a client that has it already need not notice
			w.has("content")
			w.doesNotDownload("other.txt")
			w.has("content")
			w.Honest()
		}
		w.Spoil("targets/*", replaced("OTHER"))
		w.doesNotDownload("other.txt")
		w.has("content")
	}},
	{"test_file_download.py::test_multiple_changes_to_target", func(w *world) {
		w.release("file.txt", "content")
		w.downloads("file.txt")
		others := []string{}
		for i := range 11 {
			now := fmt.Sprint("changed ", i)
			other := fmt.Sprint("other-", i)
			w.Targets[other] = []byte(other)
			w.release("file.txt", now)
			if i%5 != 0 {
				continue // the client is off
			}
			others = append(others, other)
			w.downloads("file.txt")
			w.downloads(other)
			w.has(append(others, now)...)
			w.Spoil("targets/*", replaced(fmt.Sprint("Changed ", i)))
			w.Publish()
			_ = w.download("file.txt")
			w.has(append(others, now)...)
			w.Honest()
		}
	}},
	algorithms("hashes0", verify.SHA256),
	algorithms("hashes1", verify.SHA512),
	algorithms("hashes2", verify.SHA256, verify.SHA512),
	{"test_file_download.py::test_download_with_unknown_hash_algorithm", func(w *world) {
		sum := fmt.Sprintf("%x", verify.Sum(verify.SHA512, []byte("content")).Bytes())
		w.edit(targets, func(signed map[string]any) {
			signed["targets"].(map[string]any)["file.txt"].(map[string]any)["hashes"] = map[string]any{"unknown-hash": sum}
		})
		w.release("file.txt", "content")
		w.Files["targets/"+sum+".file.txt"] = []byte("content")
		w.doesNotDownload("file.txt")
		w.has()
	}},
	{"test_file_download.py::test_artifact_cache", func(w *world) {
		w.release("file.txt", "content")
		w.downloads("file.txt")
		if n := w.targetRequests(); n != 1 {
			w.Fatalf("asked %d times for the target", n)
		}
		w.downloads("file.txt")
		if n := w.targetRequests(); n != 0 {
			w.Fatalf("asked for a target that it has")
		}
		w.has("content")
	}},
}

// release publishes a target of the top-level role.
func (w *world) release(name, data string) {
	w.Targets[name] = []byte(data)
	w.Publish()
}

// replaced serves other bytes.
func replaced(data string) tuftest.Fault {
	return func(_ *tuftest.Repo, a *tuftest.Answer) { a.Data, a.Length = []byte(data), int64(len(data)) }
}

// algorithms: any of the digests listed will do for the file's name.
func algorithms(name string, list ...verify.Hash) Case {
	return Case{"test_file_download.py::test_download_with_hash_algorithms[" + name + "]", func(w *world) {
		w.Algorithms = list
		w.release("file.txt", "content")
		w.downloads("file.txt")
		if n := w.targetRequests(); n != 1 {
			w.Fatalf("asked %d times for the target", n)
		}
		w.has("content")
	}}
}
