// SPDX-License-Identifier: Apache-2.0

// Package mountinfo reads where file systems are mounted for this process. The format is
// that of proc_pid_mountinfo(5).
package mountinfo

import (
	"fmt"
	"os"
	"strings"
)

// Mount is one line, as far as it matters here.
type Mount struct {
	// Root is what of the file system is mounted: "net:[<inode>]" for a network namespace.
	Root string
	// Point is where.
	Point string
	// Type is that of the file system, such as "bpf".
	Type string
}

// Points returns the mount points of those mounts that are wanted, in their order, which
// is that of mounting. Of several mounts on one point each is there.
func Points(wanted func(Mount) bool) ([]string, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("look at what is mounted: %w", err)
	}
	var points []string
	for line := range strings.Lines(string(content)) {
		if m, ok := parse(line); ok && wanted(m) {
			points = append(points, m.Point)
		}
	}
	return points, nil
}

// unescape undoes how the kernel writes what would end a field or a line.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func parse(line string) (m Mount, ok bool) {
	head, tail, _ := strings.Cut(line, " - ")
	fields := strings.Fields(head)
	if len(fields) < 5 {
		return Mount{}, false
	}
	kind, _, _ := strings.Cut(tail, " ")
	return Mount{Root: unescape.Replace(fields[3]), Point: unescape.Replace(fields[4]), Type: kind}, true
}
