// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

// The code points of draft-ietf-suit-update-management-14, in the order of
// its IANA tables, section 6.

// Keys of SUIT_Manifest.
const (
	manifestSetVersion = 6  // suit-set-version
	manifestCoSWID     = 14 // suit-coswid, severable
)

// The commands of update management.
const (
	ConditionUseBefore        Code = 4  // suit-condition-use-before
	ConditionImageNotMatch    Code = 25 // suit-condition-image-not-match
	ConditionMinimumBattery   Code = 26 // suit-condition-minimum-battery
	ConditionUpdateAuthorized Code = 27 // suit-condition-update-authorized
	ConditionVersion          Code = 28 // suit-condition-version
	DirectiveWait             Code = 29 // suit-directive-wait
	DirectiveOverrideMultiple Code = 34 // suit-directive-override-multiple
	DirectiveCopyParams       Code = 35 // suit-directive-copy-params
)

var updateCommands = [...]commandInfo{
	ConditionUseBefore:        {name: "condition-use-before", condition: true},
	ConditionImageNotMatch:    {name: "condition-image-not-match", condition: true},
	ConditionMinimumBattery:   {name: "condition-minimum-battery", condition: true},
	ConditionUpdateAuthorized: {name: "condition-update-authorized", condition: true},
	ConditionVersion:          {name: "condition-version", condition: true},
	DirectiveWait:             {name: "directive-wait"},
	DirectiveOverrideMultiple: {name: "directive-override-multiple", argument: argOverrides},
	DirectiveCopyParams:       {name: "directive-copy-params", argument: argCopies},
}

// The parameters of update management.
const (
	ParameterUseBefore         ParameterKey = 4  // suit-parameter-use-before
	ParameterMinimumBattery    ParameterKey = 26 // suit-parameter-minimum-battery
	ParameterUpdatePriority    ParameterKey = 27 // suit-parameter-update-priority
	ParameterVersion           ParameterKey = 28 // suit-parameter-version
	ParameterWaitInfo          ParameterKey = 29 // suit-parameter-wait-info
	ParameterComponentMetadata ParameterKey = 30 // suit-parameter-component-metadata
)

var updateParameters = [...]string{
	ParameterUseBefore:         "use-before",
	ParameterMinimumBattery:    "minimum-battery",
	ParameterUpdatePriority:    "update-priority",
	ParameterVersion:           "version",
	ParameterWaitInfo:          "wait-info",
	ParameterComponentMetadata: "component-metadata",
}

// The texts about a component that update management adds.
const (
	TextVersionRequired ComponentTextKey = 7 // suit-text-version-required
	TextCurrentVersion  ComponentTextKey = 8 // suit-text-current-version
)

// Keys of SUIT_Wait_Event.
const (
	waitAuthorization = 1 // suit-wait-event-authorization
	waitPower         = 2 // suit-wait-event-power
	waitNetwork       = 3 // suit-wait-event-network
	waitOtherDevice   = 4 // suit-wait-event-other-device-version
	waitTime          = 5 // suit-wait-event-time
	waitTimeOfDay     = 6 // suit-wait-event-time-of-day
	waitDayOfWeek     = 7 // suit-wait-event-day-of-week
	waitTimeOfDayUTC  = 8 // suit-wait-event-time-of-day-utc
	waitDayOfWeekUTC  = 9 // suit-wait-event-day-of-week-utc
)

// Comparison is how a version is compared.
type Comparison uint8

// The comparisons: suit-condition-version-comparison-greater and so on.
const (
	VersionGreater      Comparison = 1
	VersionGreaterEqual Comparison = 2
	VersionEqual        Comparison = 3
	VersionLesserEqual  Comparison = 4
	VersionLesser       Comparison = 5
)

// Pre-release indicators in a version, never its first number.
const (
	ReleaseCandidate = -1
	Beta             = -2
	Alpha            = -3
)

// Keys of SUIT_Component_Metadata, and the tags in it.
const (
	metadataDefault  = 1 // suit-meta-default-permissions
	metadataUser     = 2 // suit-meta-user-permissions
	metadataGroup    = 3 // suit-meta-group-permissions
	metadataRole     = 4 // suit-meta-role-permissions
	metadataFileType = 5 // suit-meta-file-type
	metadataModified = 6 // suit-meta-modification-time
	metadataCreated  = 7 // suit-meta-creation-time
	metadataCreator  = 8 // suit-meta-creator

	tagTime = 1  // RFC 8949, epoch-based
	tagUUID = 37 // UUID_Tagged
)

// FileType is what a component is in a file system.
type FileType uint8

// The file types.
const (
	FileRegular   FileType = 1 // suit-filetype-regular, the default
	FileDirectory FileType = 2 // suit-filetype-directory
	FileSymlink   FileType = 3 // suit-filetype-symlink
)

// Permissions is SUIT_meta_permissions, a bit set.
type Permissions uint16

// The permission bits.
const (
	TraverseExec    Permissions = 1 << 0
	CreateWrite     Permissions = 1 << 1
	ListRead        Permissions = 1 << 2
	CreateDirAppend Permissions = 1 << 3
	ReadAttr        Permissions = 1 << 4
	ReadPerm        Permissions = 1 << 5
	ChangePerm      Permissions = 1 << 6
	ChangeOwner     Permissions = 1 << 7
	WriteAttr       Permissions = 1 << 8
	RecurseDelete   Permissions = 1 << 9
	Delete          Permissions = 1 << 10
	Sync            Permissions = 1 << 11
	ReadAttrEx      Permissions = 1 << 12
	WriteAttrEx     Permissions = 1 << 13

	permissionBits = 1<<14 - 1
)
