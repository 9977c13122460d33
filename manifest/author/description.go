// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// MaxDescription bounds a description, in bytes.
const MaxDescription = 4 << 20

// ParseDescription builds an envelope, unsigned, from a JSON description, so that an author
// writes no Go:
//
//	{
//	  "sequence-number": 3,
//	  "components": ["00"],
//	  "shared-sequence": [
//	    {"do": "directive-override-parameters", "parameters": {
//	      "vendor-identifier": "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
//	      "class-identifier": "1492af14-2569-5e48-bf42-9b2d51f2ab45",
//	      "image-file": "build/firmware.bin"}},
//	    {"do": "condition-vendor-identifier", "policy": 15},
//	    {"do": "condition-class-identifier", "policy": 15}],
//	  "install": [
//	    {"do": "directive-override-parameters", "parameters": {"uri": "#firmware"}},
//	    {"do": "directive-fetch", "policy": 2},
//	    {"do": "condition-image-match", "policy": 15}],
//	  "validate": [{"do": "condition-image-match", "policy": 15}],
//	  "severable": ["install"],
//	  "payloads": {"#firmware": {"file": "build/firmware.bin"}}
//	}
//
// firmctl manifest create takes the same in YAML, firmctl manifest example prints one with comments, and firmctl manifest
// inspect --description turns an envelope into one. What the specification names has its name, without "suit-", "suit-parameter-" and
// the like. Forms of values: ID is a component identifier in hexadecimal, its parts joined by dots ("00", "757372.62696e"); HEX
// bytes in hexadecimal; UUID the form 8-4-4-4-12; DIGEST "sha256:" (or sha384, sha512) and hexadecimal; FILE a name within files; N
// a whole number; INDEX the number of a component, from 0, or of a dependency. All but INDEX, N, true and false is in quotes.
//
// # Members
//
//	"sequence-number": N              required; grows with every release
//	"reference-uri": "URI"            where the whole manifest can be had
//	"manifest-component-id": ID       where a root manifest is stored
//	"set-version": [N, ...]           of all components together: 1.2-rc.1 is [1, 2, -1, 1]; -2 is beta, -3 alpha
//	"digest-algorithm": "sha256"      of manifest and severable members; or sha384, sha512
//	"components": [ID, ...]           what INDEX counts
//	"dependencies": [{"index": INDEX, "prefix": ID}, ...]
//	"severable": [NAME, ...]          of dependency-resolution, payload-fetch, install, coswid, text: signed by digest only
//	"payloads": {"#uri": {"file": FILE}, ...}   in the envelope; or {"data": HEX}
//	"coswid": HEX                     an encoded CoSWID
//	"text": [TEXT, ...]               for people, one for each language
//	"untagged": true                  without tag 107, which a relaxation has to allow
//
// The sections, each a list of commands, in the order they are run in: "shared-sequence" (before each of the others), and
// "dependency-resolution", "payload-fetch", "candidate-verification", "install", "validate", "load", "invoke"; "uninstall".
//
// # Commands
//
// A command is {"do": NAME} with its argument, which for most is "policy", a sum of 1 (record on success), 2 (record on failure), 4
// (system information on success) and 8 (on failure); 0 if absent. They are:
//
//	condition-vendor-identifier, condition-class-identifier, condition-device-identifier,
//	condition-image-match, condition-image-not-match, condition-check-content, condition-component-slot,
//	condition-dependency-integrity, condition-is-dependency, condition-abort, condition-use-before,
//	condition-minimum-battery, condition-update-authorized, condition-version,
//	directive-fetch, directive-write, directive-copy, directive-swap, directive-invoke,
//	directive-process-dependency, directive-unlink, directive-wait
//
// Those with another argument:
//
//	{"do": "directive-set-component-index", "index": INDEX}       or [INDEX, ...], or true for all
//	{"do": "directive-override-parameters", "parameters": {...}}
//	{"do": "directive-set-parameters", "parameters": {...}}       those that are not set yet
//	{"do": "directive-try-each", "sequences": [[COMMAND, ...], [COMMAND, ...]], "nil": true}
//	                                                              two or more; with "nil" it is no failure if none succeeds
//	{"do": "directive-run-sequence", "sequences": [[COMMAND, ...]]}
//	{"do": "directive-override-multiple", "overrides": [{"index": INDEX, "parameters": {...}}, ...]}
//	{"do": "directive-copy-params", "copies": [{"source": INDEX, "keys": ["uri", ...]}, ...]}
//	{"do": "-256", "custom": VALUE}                               a custom command that Options.Registry has
//
// With more than one component or dependency every section begins with directive-set-component-index.
//
// # Parameters
//
//	"vendor-identifier": UUID         or "vendor-enterprise-number": HEX, a relative OID (tag 112)
//	"class-identifier": UUID
//	"device-identifier": UUID
//	"image-digest": DIGEST
//	"image-size": N                   in bytes
//	"image-file": FILE                for both: digest (SHA-256) and size of the file
//	"component-slot": N
//	"strict-order": true              or false
//	"soft-failure": true              or false; inside of try-each and run-sequence
//	"content": HEX                    or "content-file": FILE
//	"encryption-info": HEX            as firmctl manifest encrypt prints it
//	"uri": "URI"                      "#..." for one of "payloads"
//	"source-component": INDEX         of copy and swap
//	"invoke-args": HEX
//	"fetch-arguments": HEX
//	"use-before": N                   seconds since 1970
//	"minimum-battery": N              mWh
//	"update-priority": N              smaller is more urgent
//	"version": VERSION
//	"wait-info": {EVENT, ...}
//	"component-metadata": {...}
//	"custom-parameters": {"-256": VALUE, ...}   that Options.Registry has
//
//	VERSION: {"comparison": ">=", "value": [1, 2]}                or ">", "=", "<=", "<"
//	VALUE:   {"bytes": HEX}, {"text": "..."}, {"int": N} or {"bool": true}
//	EVENT:   "authorization": N, "power": N, "network": N (priorities), "time": N (seconds since 1970),
//	         "time-of-day": N, "time-of-day-utc": N (seconds), "day-of-week": N, "day-of-week-utc": N (0 is Sunday),
//	         "other-device-version": {"device": HEX, "versions": [VERSION, ...]}
//
//	component-metadata: {"default-permissions": N, "user-permissions": [PERMISSION, ...], "group-permissions": [...],
//	         "role-permissions": [...], "file-type": N (1 file, 2 directory, 3 symbolic link),
//	         "modification-time": N, "creation-time": N, "creator": ACTOR}
//	PERMISSION: {"actor": ACTOR, "permissions": N}
//	ACTOR:   {"id": N}, {"name": "..."}, {"bytes": HEX} or {"uuid": UUID}
//
// # Text
//
//	{"language": "en",
//	 "manifest": {"manifest-description": "...", "update-description": "...",
//	              "manifest-json-source": "...", "manifest-yaml-source": "..."},
//	 "of-components": [{"component": ID, "texts": {
//	              "vendor-name": "...", "model-name": "...", "vendor-domain": "...", "model-info": "...",
//	              "component-description": "...", "component-version": "...",
//	              "version-required": "...", "current-version": "..."}}]}
//
// The components are the manifest's own. A text that has no name goes by its number, as "-1".
//
// # Errors
//
// The form is strict: an unknown or repeated name, or null, is manifest.ErrMalformed. What is
// described wrongly is refused with the errors of manifest.Envelope.Encode. Errors say where: install[2].parameters.uri. The same description
// and files give the same bytes. Files may be nil if there are none.
func ParseDescription(description []byte, files fs.FS, o manifest.Options) (*manifest.Envelope, error) {
	e, err := parseDescription(description, files, o)
	if err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	return e, nil
}

func parseDescription(b []byte, files fs.FS, o manifest.Options) (*manifest.Envelope, error) {
	if len(b) > MaxDescription {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", manifest.ErrLimit, len(b), MaxDescription)
	}
	if err := checkDescription(b); err != nil {
		return nil, err
	}
	var d description
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(&d); err != nil {
		return nil, fmt.Errorf("%w: %v", manifest.ErrMalformed, err)
	}
	e, err := d.envelope(&describedFiles{files, maxContent(o)}, o)
	if err != nil {
		return nil, err
	}
	built, err := normal(e)
	if err != nil {
		return nil, locate(e, err)
	}
	return built, nil
}

// Describe is the reverse of ParseDescription: the description that gives e, without its authentication
// blocks. Files become what is in them. Error: manifest.ErrUnsupported if e has what a
// description cannot say, such as a severed member.
func Describe(e *manifest.Envelope) ([]byte, error) {
	out, err := json.MarshalIndent(describe(e), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe: %v", err)
	}
	want := *e
	want.Authentication = nil
	again, err := ParseDescription(out, nil, e.Options)
	if err != nil {
		return nil, fmt.Errorf("describe: %w: %v", manifest.ErrUnsupported, err)
	}
	x, errX := want.Encode()
	y, errY := again.Encode()
	if errX != nil || errY != nil || !bytes.Equal(x, y) {
		return nil, fmt.Errorf("describe: %w: a description does not give the same bytes", manifest.ErrUnsupported)
	}
	return append(out, '\n'), nil
}

// describedFiles is where descriptions find files.
type describedFiles struct {
	fsys fs.FS
	max  int64 // bytes of one that goes into the envelope
}

func maxContent(o manifest.Options) int64 {
	if o.MaxSize <= 0 {
		return manifest.MaxEnvelopeSize
	}
	return min(o.MaxSize, manifest.MaxMaxSize)
}

func (f *describedFiles) open(name string) (fs.File, error) {
	if f.fsys == nil {
		return nil, fmt.Errorf("file %s: %w", name, fs.ErrNotExist)
	}
	return f.fsys.Open(name)
}

// image returns the digest and size of a file of any size.
func (f *describedFiles) image(name string) (d verify.Digest, size uint64, err error) {
	file, err := f.open(name)
	if err != nil {
		return d, 0, err
	}
	defer file.Close()
	d, n, err := verify.SumReader(verify.SHA256, file)
	return d, uint64(n), err
}

// content returns a file that goes into the envelope.
func (f *describedFiles) content(name string) ([]byte, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, f.max+1))
	if err == nil && int64(len(b)) > f.max {
		err = fmt.Errorf("file %s: more than %d bytes: %w", name, f.max, manifest.ErrLimit)
	}
	return b, err
}
