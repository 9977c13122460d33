// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament_test

import (
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs/mutant"
)

// TestM2_Mutants proves the prover: each of these changes to the shipped source, one line dropped, swapped or moved, is
// found by the exploration of a full update, or of one slot, which names the invariant that no longer holds.
func TestM2_Mutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the module once per mutant")
	}
	for _, m := range []mutant.Mutant{
		{
			Name: "slot not synced before it is armed", File: "install/slot/writer.go",
			Old: "\tif err := w.dev.Sync(); err != nil {", New: "\tif err := error(nil); err != nil {",
			Invariant: "S1|S3|S5|S7",
		},
		{
			Name: "tail read from the cache", File: "install/slot/writer.go",
			Old: "d, ok := w.dev.(simfs.CacheDropper); ok {", New: "d, ok := w.dev.(simfs.CacheDropper); ok && w == nil {",
			Package: "./install/slot", TestRun: "^TestSTO_06_FailedSync$", Invariant: "S7",
		},
		{
			Name: "staged recorded before it is armed", File: "install/machine.go",
			Old:       "\tcase Candidate:\n\t\tif err := m.inst.Install(ctx, r.Image); err != nil {",
			New:       "\tcase Candidate:\n\t\tif err := m.record(Entry{Staged, r.Image}); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif err := m.inst.Install(ctx, r.Image); err != nil {",
			Invariant: "S2",
		},
		{
			Name: "trial ended before the journal says staged", File: "install/machine.go",
			Old: "\t\tif err := m.record(Entry{Staged, r.Image}); err != nil {\n\t\t\treturn err\n\t\t}\n", New: "",
			Invariant: "S2|S5",
		},
		{
			Name: "image not marked good", File: "install/machine.go",
			Old: "m.inst.Accept(ctx)", New: "error(nil)",
			Invariant: "S2|S5",
		},
		{
			Name: "acceptance not decided durably", File: "accept.go",
			Old: "u.j.append(releaseRecord(kindAccept, st.Current))", New: "u.j.state.apply(releaseRecord(kindAccept, st.Current))",
			Invariant: "S2|S4|S5|S8",
		},
		{
			Name: "counter raised before the decision", File: "accept.go",
			Old: "\t\tif err := u.j.append(releaseRecord(kindAccept,", New: "\t\tif err := u.o.Counter.Raise(ctx, st.Current.Sequence); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif err := u.j.append(releaseRecord(kindAccept,",
			Invariant: "S4",
		},
		{
			Name: "acceptance not finished after a cut", File: "accept.go",
			Old: "\tif u.j.state.finishing {\n\t\tif err := u.finishAccept(ctx)", New: "\tif false {\n\t\tif err := u.finishAccept(ctx)",
			Invariant: "S2|S4|S5|S8",
		},
		{
			Name: "boot record believed without checksum", File: "internal/durable/frame.go",
			Old: "!bytes.Equal(want, b[16:headerSize])", New: "len(want) > 16",
			Invariant: "S1|S2|S3|S5",
		},
		{
			Name: "journal record acknowledged before it is synced", File: "internal/durable/log.go",
			Old: "err := writeSync(l.file, b, l.tail.off); err != nil", New: "_, err := l.file.WriteAt(b, l.tail.off); err != nil",
			Invariant: "S2|S3",
		},
		{
			Name: "boot record copy not synced", File: "internal/durable/region.go",
			Old: "err := d.Sync(); err != nil", New: "err := error(nil); err != nil",
			Invariant: "S1|S2|S3",
		},
		{
			Name: "trial freed for another image taken for its acceptance", File: "install/machine.go",
			Old: "if e.State == Staged {", New: "if e.State == Staged && m == nil {",
			Package: ".", TestRun: "^TestM1_Supersede$", Invariant: "S2|S4|S5|S8",
		},
		{
			Name: "image renamed by the next offer", File: "updater.go",
			Old: "Current: u.j.state.subject,", New: "Current: u.j.state.current,",
			Package: ".", TestRun: "^TestM1_Supersede$", Invariant: "S2|S4",
		},
		{
			Name: "rejection not finished after a cut", File: "accept.go",
			Old: "case u.j.state.isGivenUp(st.Current) && (", New: "case u == nil && u.j.state.isGivenUp(st.Current) && (",
			Package: ".", TestRun: "^TestM1_Reject$", Invariant: "S2|S3|S5|S8",
		},
	} {
		if m.Package == "" {
			m.Package, m.TestRun = ".", "^TestM1_Sample$"
		}
		t.Run(m.Name, func(t *testing.T) { mutant.Run(t, m) })
	}
}
