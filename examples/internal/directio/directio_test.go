// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package directio

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Whatever the alignment, the file holds what was written, and readers see it at once.
func TestFile(t *testing.T) {
	plain, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	f := New(plain)
	defer f.Close()
	t.Logf("direct: %v", f.direct != nil)
	if err := f.Reserve(1 << 20); err != nil {
		t.Fatal(err)
	}
	if st, err := f.Stat(); err != nil || st.Size() != 0 {
		t.Errorf("reserving made the file %d bytes long, %v", st.Size(), err)
	}
	want := make([]byte, 300_000)
	for i := range want {
		want[i] = byte(i * i >> 7)
	}
	buf := make([]byte, 64<<10)
	for at := 0; at < len(want); {
		n := copy(buf, want[at:])
		if at == 128<<10 {
			n = 1000 // from here on nothing is aligned
		}
		if _, err := f.WriteAt(buf[:n], int64(at)); err != nil {
			t.Fatal(err)
		}
		at += n
	}
	if got, err := os.ReadFile(plain.Name()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("file holds %d other bytes, %v", len(got), err)
	}
}
