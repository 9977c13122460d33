// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

// A bar is one row of a chart.
type bar struct {
	label string
	value float64 // in the chart's unit; not negative
	ours  bool    // drawn in the strong colour
}

// chart writes a horizontal bar chart, name.svg, into the report's folder; without a folder it does nothing. unit is what
// the values are in, such as "CPU seconds" or "MB".
func (r *report) chart(name, title, unit string, bars []bar) error {
	if r.out == "" {
		return nil
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, name+".svg"), barChart(title, unit, bars), 0o644)
}

// Sizes of a chart in pixels.
const (
	chartWidth  = 760
	chartHead   = 44
	chartRow    = 26
	chartAxis   = 46
	chartMargin = 16
	labelWidth  = 250
	valueWidth  = 80
)

// barChart draws bars from zero over an axis with round ticks. It needs no font, script or style sheet of its own, and
// reads on a light and on a dark page.
func barChart(title, unit string, bars []bar) []byte {
	most := 0.0
	for _, b := range bars {
		most = max(most, b.value)
	}
	step := tick(most)
	end := max(math.Ceil(most/step), 1) * step
	const plot = chartWidth - labelWidth - valueWidth - chartMargin
	x := func(v float64) float64 { return labelWidth + v/end*plot }
	bottom := chartHead + chartRow*len(bars)

	var w bytes.Buffer
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="13">`+"\n", chartWidth, bottom+chartAxis)
	fmt.Fprintf(&w, `<title>%s, in %s</title>`+"\n", escape(title), escape(unit))
	fmt.Fprintf(&w, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n")
	fmt.Fprintf(&w, `<text x="%d" y="26" font-size="16" font-weight="bold" fill="#1a1a1a">%s</text>`+"\n", chartMargin, escape(title))
	for n := 0; ; n++ {
		v := float64(n) * step
		if v > end*1.0001 {
			break
		}
		fmt.Fprintf(&w, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/>`, x(v), chartHead-4, x(v), bottom+4)
		fmt.Fprintf(&w, `<text x="%.1f" y="%d" text-anchor="middle" fill="#555555">%s</text>`+"\n", x(v), bottom+20, figure(v))
	}
	fmt.Fprintf(&w, `<text x="%d" y="%d" text-anchor="middle" fill="#555555">%s</text>`+"\n", labelWidth+plot/2, bottom+38, escape(unit))
	for i, b := range bars {
		y := chartHead + chartRow*i
		colour := "#9aa5b1"
		if b.ours {
			colour = "#1f6feb"
		}
		fmt.Fprintf(&w, `<text x="%d" y="%d" text-anchor="end" fill="#1a1a1a">%s</text>`, labelWidth-8, y+17, escape(b.label))
		fmt.Fprintf(&w, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, labelWidth, y+4, x(b.value)-labelWidth, chartRow-8, colour)
		fmt.Fprintf(&w, `<text x="%.1f" y="%d" fill="#1a1a1a">%s</text>`+"\n", x(b.value)+6, y+17, figure(b.value))
	}
	w.WriteString("</svg>\n")
	return w.Bytes()
}

// tick is the distance of about five ticks up to most: 1, 2 or 5 times a power of ten.
func tick(most float64) float64 {
	if most <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(most/5)))
	for _, m := range []float64{1, 2, 5} {
		if most/5 <= m*power {
			return m * power
		}
	}
	return 10 * power
}

// figure prints three digits that count, and all of those before the point.
func figure(v float64) string {
	if v >= 100 || v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func escape(s string) string {
	var b bytes.Buffer
	xml.EscapeText(&b, []byte(s)) // a bytes.Buffer cannot fail
	return b.String()
}
