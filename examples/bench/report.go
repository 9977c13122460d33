// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// A report takes what a suite found, and prints it as tables or as JSON lines.
type report struct {
	suite  string
	out    string // folder for charts; empty if none are wanted
	json   bool
	stdout io.Writer
	notes  io.Writer

	corpus  string // folder of pairs of images
	only    string // beginnings of names of tools, with commas; "" is all of them
	targets int    // of the suite tuf
}

// notef says something beside the tables, such as which peer is missing and how to install it.
func (r *report) notef(format string, args ...any) {
	fmt.Fprintf(r.notes, "%s: %s\n", r.suite, fmt.Sprintf(format, args...))
}

// table prints rows under their headings. With --json each row is one object with the headings as keys.
func (r *report) table(title string, headings []string, rows [][]string) error {
	if r.json {
		enc := json.NewEncoder(r.stdout)
		for _, row := range rows {
			object := map[string]string{"suite": r.suite, "table": title}
			for i, h := range headings {
				object[h] = row[i]
			}
			if err := enc.Encode(object); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Fprintf(r.stdout, "\n%s: %s\n\n", r.suite, title)
	w := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{headings}, rows...) {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, cell)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
