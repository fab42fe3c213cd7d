// SPDX-License-Identifier: Apache-2.0

package insns

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Grid is the table of instructions a packet: a row for each way to do the work, a
// column for each number of members.
type Grid struct {
	Kernel  string `json:"kernel"`
	Members []int  `json:"members"`
	TestRun int    `json:"testRun"` // of a program that only returns; part of all the others
	Rows    []Row  `json:"rows"`
}

// Row is one way. Instructions are by number of members, and may lack some.
type Row struct {
	Name         string      `json:"name"`
	Instructions map[int]int `json:"instructions"`
}

// WriteJSON prints the grid for another program to compare with.
func (g *Grid) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(g)
}

// WriteTable prints each figure with its ratio to the last row's.
func (g *Grid) WriteTable(w io.Writer) error {
	base := g.Rows[len(g.Rows)-1]
	var text strings.Builder
	fmt.Fprintf(&text, "Linux %s: instructions a packet, and how many times those of %s\n", g.Kernel, base.Name)
	fmt.Fprintf(&text, "%d of each are the kernel's test run by itself\n\n", g.TestRun)
	text.WriteString(line("members", g.Members, func(n int) string { return fmt.Sprintf("%7d", n) }))
	for _, row := range g.Rows {
		text.WriteString(line(row.Name, g.Members, func(n int) string { return row.cell(base, n) }))
	}
	fmt.Fprintf(&text, "\n%s, costs no more than %s: %s\n", nameOurs, nameLoader, g.target())
	_, err := io.WriteString(w, text.String())
	return err
}

// line is a name and a cell for each number of members.
func line(name string, members []int, cell func(n int) string) string {
	text := fmt.Sprintf("%-32s", name)
	for _, n := range members {
		text += fmt.Sprintf("%-18s", cell(n))
	}
	return strings.TrimRight(text, " ") + "\n"
}

// cell is a row's figure for n members and its ratio to the base's, or nothing.
func (r Row) cell(base Row, n int) string {
	got, ok := r.Instructions[n]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%7d  %.2f x", got, float64(got)/float64(base.Instructions[n]))
}

// target says where a dispatcher of ours costs what xdp-loader's does, or less.
func (g *Grid) target() string {
	ours, theirs := g.row(nameOurs), g.row(nameLoader)
	var missed []string
	for _, n := range g.Members {
		if more := ours[n] - theirs[n]; more > 0 {
			missed = append(missed, fmt.Sprintf("%d members: %d more", n, more))
		}
	}
	if len(missed) > 0 {
		return "MISSED, " + strings.Join(missed, "; ")
	}
	return "met"
}

func (g *Grid) row(name string) map[int]int {
	for _, r := range g.Rows {
		if r.Name == name {
			return r.Instructions
		}
	}
	return nil
}
