// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// The JSON form of a manifest. Field names are the specification's.

type description struct {
	SequenceNumber  *uint64                     `json:"sequence-number"` // required
	ReferenceURI    string                      `json:"reference-uri,omitempty"`
	ComponentID     *describedID                `json:"manifest-component-id,omitempty"`
	SetVersion      []int64                     `json:"set-version,omitempty"`
	DigestAlgorithm string                      `json:"digest-algorithm,omitempty"`
	Components      []describedID               `json:"components,omitempty"`
	Dependencies    []describedDependency       `json:"dependencies,omitempty"`
	Shared          describedSequence           `json:"shared-sequence,omitempty"`
	Resolution      describedSequence           `json:"dependency-resolution,omitempty"`
	PayloadFetch    describedSequence           `json:"payload-fetch,omitempty"`
	Candidate       describedSequence           `json:"candidate-verification,omitempty"`
	Install         describedSequence           `json:"install,omitempty"`
	Validate        describedSequence           `json:"validate,omitempty"`
	Load            describedSequence           `json:"load,omitempty"`
	Invoke          describedSequence           `json:"invoke,omitempty"`
	Uninstall       describedSequence           `json:"uninstall,omitempty"`
	CoSWID          hexBytes                    `json:"coswid,omitempty"`
	Text            []describedText             `json:"text,omitempty"`
	Severable       []string                    `json:"severable,omitempty"`
	Payloads        map[string]describedPayload `json:"payloads,omitempty"`
	Untagged        bool                        `json:"untagged,omitempty"`
}

type describedDependency struct {
	Index  uint64       `json:"index"`
	Prefix *describedID `json:"prefix,omitempty"`
}

type describedSequence []describedCommand

type describedCommand struct {
	Do         string                   `json:"do"`
	Policy     manifest.ReportingPolicy `json:"policy,omitempty"`
	Index      *describedIndex          `json:"index,omitempty"`
	Parameters *describedParameters     `json:"parameters,omitempty"`
	Sequences  []describedSequence      `json:"sequences,omitempty"`
	Nil        bool                     `json:"nil,omitempty"`
	Overrides  []describedOverride      `json:"overrides,omitempty"`
	Copies     []describedCopy          `json:"copies,omitempty"`
	Custom     *describedValue          `json:"custom,omitempty"`
}

type describedOverride struct {
	Index      uint64               `json:"index"`
	Parameters *describedParameters `json:"parameters"`
}

type describedCopy struct {
	Source uint64   `json:"source"`
	Keys   []string `json:"keys"`
}

type describedParameters struct {
	VendorID        *describedUUID            `json:"vendor-identifier,omitempty"`
	VendorPEN       *hexBytes                 `json:"vendor-enterprise-number,omitempty"`
	ClassID         *describedUUID            `json:"class-identifier,omitempty"`
	DeviceID        *describedUUID            `json:"device-identifier,omitempty"`
	ImageDigest     *verify.Digest            `json:"image-digest,omitempty"`
	ImageSize       *uint64                   `json:"image-size,omitempty"`
	ImageFile       string                    `json:"image-file,omitempty"`
	Slot            *uint64                   `json:"component-slot,omitempty"`
	StrictOrder     *bool                     `json:"strict-order,omitempty"`
	SoftFailure     *bool                     `json:"soft-failure,omitempty"`
	Content         *hexBytes                 `json:"content,omitempty"`
	ContentFile     string                    `json:"content-file,omitempty"`
	EncryptionInfo  *hexBytes                 `json:"encryption-info,omitempty"`
	URI             *string                   `json:"uri,omitempty"`
	SourceComponent *uint64                   `json:"source-component,omitempty"`
	InvokeArgs      *hexBytes                 `json:"invoke-args,omitempty"`
	FetchArguments  *hexBytes                 `json:"fetch-arguments,omitempty"`
	UseBefore       *uint64                   `json:"use-before,omitempty"`
	MinimumBattery  *uint64                   `json:"minimum-battery,omitempty"`
	UpdatePriority  *int64                    `json:"update-priority,omitempty"`
	Version         *describedVersion         `json:"version,omitempty"`
	WaitInfo        *describedWait            `json:"wait-info,omitempty"`
	Metadata        *describedMetadata        `json:"component-metadata,omitempty"`
	Custom          map[string]describedValue `json:"custom-parameters,omitempty"`
}

type describedVersion struct {
	Comparison string  `json:"comparison"` // one of comparisons
	Version    []int64 `json:"value"`
}

var comparisons = [...]string{manifest.VersionGreater: ">", manifest.VersionGreaterEqual: ">=",
	manifest.VersionEqual: "=", manifest.VersionLesserEqual: "<=", manifest.VersionLesser: "<"}

type describedWait struct {
	Authorization *int64                `json:"authorization,omitempty"`
	Power         *int64                `json:"power,omitempty"`
	Network       *int64                `json:"network,omitempty"`
	OtherDevice   *describedOtherDevice `json:"other-device-version,omitempty"`
	Time          *uint64               `json:"time,omitempty"`
	TimeOfDay     *uint64               `json:"time-of-day,omitempty"`
	DayOfWeek     *uint64               `json:"day-of-week,omitempty"`
	TimeOfDayUTC  *uint64               `json:"time-of-day-utc,omitempty"`
	DayOfWeekUTC  *uint64               `json:"day-of-week-utc,omitempty"`
}

type describedOtherDevice struct {
	Device   hexBytes           `json:"device"`
	Versions []describedVersion `json:"versions"`
}

type describedMetadata struct {
	Default  *manifest.Permissions `json:"default-permissions,omitempty"`
	Users    []describedPermission `json:"user-permissions,omitempty"`
	Groups   []describedPermission `json:"group-permissions,omitempty"`
	Roles    []describedPermission `json:"role-permissions,omitempty"`
	FileType manifest.FileType     `json:"file-type,omitempty"`
	Modified *uint64               `json:"modification-time,omitempty"`
	Created  *uint64               `json:"creation-time,omitempty"`
	Creator  *describedActor       `json:"creator,omitempty"`
}

type describedPermission struct {
	Actor       describedActor       `json:"actor"`
	Permissions manifest.Permissions `json:"permissions"`
}

// describedActor is one of its fields.
type describedActor struct {
	ID    *int64         `json:"id,omitempty"`
	Bytes *hexBytes      `json:"bytes,omitempty"`
	Name  *string        `json:"name,omitempty"`
	UUID  *describedUUID `json:"uuid,omitempty"`
}

type describedText struct {
	Language   string                      `json:"language"`
	Manifest   map[describedTextKey]string `json:"manifest,omitempty"`
	Components []describedComponentText    `json:"of-components,omitempty"`
}

type describedComponentText struct {
	ID   describedID                          `json:"component"`
	Text map[describedComponentTextKey]string `json:"texts,omitempty"`
}

type describedPayload struct {
	File string    `json:"file,omitempty"`
	Data *hexBytes `json:"data,omitempty"`
}

// describedValue is a custom value: one of its fields, or nil.
type describedValue struct {
	Bytes *hexBytes `json:"bytes,omitempty"`
	Text  *string   `json:"text,omitempty"`
	Int   *int64    `json:"int,omitempty"`
	Bool  *bool     `json:"bool,omitempty"`
}

// hexBytes are written in lower-case hexadecimal.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

func (b *hexBytes) UnmarshalText(text []byte) error {
	decoded, err := hex.AppendDecode([]byte{}, text)
	*b = decoded
	return err
}

type describedUUID manifest.UUID

func (u describedUUID) MarshalText() ([]byte, error) { return []byte(manifest.UUID(u).String()), nil }

func (u *describedUUID) UnmarshalText(text []byte) error {
	parsed, err := manifest.ParseUUID(string(text))
	*u = describedUUID(parsed)
	return err
}

type describedID manifest.ComponentID

func (id describedID) MarshalText() ([]byte, error) {
	return []byte(manifest.ComponentID(id).String()), nil
}

func (id *describedID) UnmarshalText(text []byte) error {
	for part := range strings.SplitSeq(string(text), ".") {
		b, err := hex.DecodeString(part)
		if err != nil {
			return fmt.Errorf("component identifier %.80q: %w", text, err)
		}
		*id = append(*id, b)
	}
	return nil
}

// describedTextKey and describedComponentTextKey are names, or numbers for which there is no name.
type (
	describedTextKey          manifest.TextKey
	describedComponentTextKey manifest.ComponentTextKey
)

func (k describedTextKey) MarshalText() ([]byte, error) { return marshalKey(manifest.TextKey(k)) }

func (k *describedTextKey) UnmarshalText(text []byte) error {
	return unmarshalKey((*manifest.TextKey)(k), text)
}

func (k describedComponentTextKey) MarshalText() ([]byte, error) {
	return marshalKey(manifest.ComponentTextKey(k))
}

func (k *describedComponentTextKey) UnmarshalText(text []byte) error {
	return unmarshalKey((*manifest.ComponentTextKey)(k), text)
}

type textKey interface {
	~int64
	String() string
}

// maxTextKey is above all keys of texts that have a name.
const maxTextKey = 16

func marshalKey[K textKey](k K) ([]byte, error) {
	if 0 <= k && k < maxTextKey && !strings.HasPrefix(k.String(), "text(") {
		return []byte(k.String()), nil
	}
	return strconv.AppendInt(nil, int64(k), 10), nil
}

func unmarshalKey[K textKey](k *K, text []byte) error {
	for named := range K(maxTextKey) {
		if named.String() == string(text) {
			*k = named
			return nil
		}
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("unknown text %.80q, expected one of %s, or a number", text, textNames[K]())
	}
	*k = K(n)
	return nil
}

func textNames[K textKey]() string {
	var names []string
	for k := range K(maxTextKey) {
		if name := k.String(); !strings.HasPrefix(name, "text(") {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// describedIndex is a number, a list of numbers, or true.
type describedIndex manifest.ComponentIndex

func (i describedIndex) MarshalJSON() ([]byte, error) {
	switch {
	case i.All:
		return []byte("true"), nil
	case i.List != nil:
		return json.Marshal(i.List)
	}
	return strconv.AppendUint(nil, i.One, 10), nil
}

func (i *describedIndex) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "true":
		i.All = true
		return nil
	case len(b) > 0 && b[0] == '[':
		return json.Unmarshal(b, &i.List)
	}
	return json.Unmarshal(b, &i.One)
}
