// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

// The code points of draft-ietf-suit-trust-domains-12, in the order of its
// IANA tables, section 12.

// Keys of SUIT_Manifest, of SUIT_Common, and of SUIT_Dependency_Metadata.
const (
	manifestComponentID = 5 // suit-manifest-component-id
	commonDependencies  = 1 // suit-dependencies
	dependencyPrefix    = 1 // suit-dependency-prefix
)

// The command sequences of trust domains.
const (
	SectionDependencyResolution  Section = 15 // suit-dependency-resolution, severable
	SectionCandidateVerification Section = 18 // suit-candidate-verification, see CompatSeveredCandidateVerification
	SectionUninstall             Section = 24 // suit-uninstall
)

var trustSections = [...]sectionInfo{
	{SectionDependencyResolution, "dependency-resolution"},
	{SectionCandidateVerification, "candidate-verification"},
	{SectionUninstall, "uninstall"},
}

// The commands of trust domains.
const (
	ConditionDependencyIntegrity Code = 7  // suit-condition-dependency-integrity
	ConditionIsDependency        Code = 8  // suit-condition-is-dependency
	DirectiveProcessDependency   Code = 11 // suit-directive-process-dependency
	DirectiveSetParameters       Code = 19 // suit-directive-set-parameters
	DirectiveUnlink              Code = 33 // suit-directive-unlink
)

// Set-parameters is not in the CDDL of the shared sequence, but the text puts
// it there in three templates (sections 9.1 to 9.3), which wins.
var trustCommands = [...]commandInfo{
	ConditionDependencyIntegrity: {name: "condition-dependency-integrity", condition: true},
	ConditionIsDependency:        {name: "condition-is-dependency", condition: true},
	DirectiveProcessDependency:   {name: "directive-process-dependency"},
	DirectiveSetParameters:       {name: "directive-set-parameters", argument: argParameters, shared: true},
	DirectiveUnlink:              {name: "directive-unlink"},
}
