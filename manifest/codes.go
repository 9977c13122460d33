// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "strconv"

// The drafts whose code points the tables have: manifest37.go, trustdomains12.go,
// updatemanagement14.go and firmwareencryption25.go, one table per document, so that a
// renumbering is a change of one file. Earlier drafts used the same numbers
// for other things; their manifests are refused, not guessed at.

// Section names a command sequence of a manifest by its map key, which is
// also the section key a SUIT report uses.
type Section int64

// String returns the specification's name without its "suit-" prefix.
func (s Section) String() string {
	switch s {
	case MemberCoSWID:
		return "coswid"
	case MemberText:
		return "text"
	}
	for _, table := range sections {
		for _, row := range table {
			if row.section == s {
				return row.name
			}
		}
	}
	return "section(" + strconv.FormatInt(int64(s), 10) + ")"
}

// Code is the code point of a command. Those of MaxCustom and below belong to
// whoever uses them.
type Code int64

// MaxCustom is the largest number for custom commands and parameters. Between
// it and zero all numbers are reserved.
//
// draft-ietf-suit-manifest-37, sections 11.4 and 11.5.
const MaxCustom = -256

// String returns the specification's name without its "suit-" prefix.
func (c Code) String() string {
	if info := c.info(); info != nil {
		return info.name
	}
	return "command(" + strconv.FormatInt(int64(c), 10) + ")"
}

// IsCondition reports whether c is a condition of the specifications: it has no
// side effect, and its failure may be softened. The failure of a directive always
// aborts. Custom commands are directives unless the Registry says otherwise.
func (c Code) IsCondition() bool {
	info := c.info()
	return info != nil && info.condition
}

// info returns the row of c, nil if no document has it.
func (c Code) info() *commandInfo {
	if 0 <= c && c < Code(len(commands)) {
		return commands[c]
	}
	return nil
}

// ParameterKey is the key of a parameter. Those of MaxCustom and below belong to
// whoever uses them.
type ParameterKey int64

// String returns the specification's name without its "suit-parameter-" prefix.
func (k ParameterKey) String() string {
	for _, table := range parameters {
		if 0 <= k && k < ParameterKey(len(table)) && table[k] != "" {
			return table[k]
		}
	}
	return "parameter(" + strconv.FormatInt(int64(k), 10) + ")"
}

// known reports whether a document has k.
func (k ParameterKey) known() bool {
	for _, table := range parameters {
		if 0 <= k && k < ParameterKey(len(table)) && table[k] != "" {
			return true
		}
	}
	return false
}

// All tables, in the order of the documents.
var (
	sections   = [...][]sectionInfo{manifestSections[:], trustSections[:]}
	commands   = byCode(manifestCommands[:], trustCommands[:], updateCommands[:])
	parameters = [...][]string{manifestParameters[:], encryptionParameters[:], updateParameters[:]}
)

// byCode returns the rows of all tables, each at its code.
func byCode(tables ...[]commandInfo) (rows [36]*commandInfo) {
	for _, table := range tables {
		for code := range table {
			if row := &table[code]; row.name != "" {
				row.shared = row.shared || row.condition
				rows[code] = row
			}
		}
	}
	return rows
}

type sectionInfo struct {
	section Section
	name    string
}

type commandInfo struct {
	name      string
	argument  argument
	condition bool
	shared    bool // the shared sequence may have it: all conditions, and some directives
}

// argument says which field of a Command has the argument.
type argument uint8

const (
	argPolicy     argument = iota // SUIT_Rep_Policy
	argIndex                      // IndexArg
	argParameters                 // SUIT_Parameters
	argTryEach                    // two sequences or more, nil
	argSequence                   // one sequence
	argOverrides                  // SUIT_Override_Mult_Arg
	argCopies                     // SUIT_Directive_Copy_Params
	argCustom                     // bstr, tstr, int or nil
)
