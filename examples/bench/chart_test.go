// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestChart reads a chart back: it is XML, and the bars are as long as their values say.
func TestChart(t *testing.T) {
	r := &report{out: filepath.Join(t.TempDir(), "charts")}
	bars := []bar{{"ours <&>", 2.5, true}, {"theirs", 5, false}, {"nothing", 0, false}}
	if err := r.chart("cpu", "CPU of a download", "seconds", bars); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(r.out, "cpu.svg"))
	if err != nil {
		t.Fatal(err)
	}
	var widths []float64
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			for _, a := range e.Attr {
				if w, err := strconv.ParseFloat(a.Value, 64); a.Name.Local == "width" && err == nil {
					widths = append(widths, w)
				}
			}
		}
	}
	if len(widths) != 3 || widths[1] == 0 || widths[0]*2 != widths[1] || widths[2] != 0 {
		t.Errorf("bars are %v wide, want the second twice the first and the third nothing", widths)
	}
}

func TestChartFigures(t *testing.T) {
	for most, want := range map[float64]float64{0: 1, 4.2: 1, 10: 2, 0.07: 0.02, 1234: 500, 16: 5} {
		if got := tick(most); got < want*0.999 || got > want*1.001 {
			t.Errorf("ticks up to %v are %v apart, want %v", most, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 0.1234: "0.123", 12.345: "12.3", 72707: "72707", 5: "5"} {
		if got := figure(v); got != want {
			t.Errorf("%v printed as %s, want %s", v, got, want)
		}
	}
}
