// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// source is an archive of packages as apt knows it: the fields of a stanza in the
// format of sources.list(5) that say where it is and whom to trust.
type source struct {
	URIs, SignedBy, Trusted string
}

// stanza is what apt has to read to find another suite in the same archive.
func (s source) stanza(suite string) string {
	text := fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n", s.URIs, suite)
	if s.SignedBy != "" {
		text += "Signed-By: " + s.SignedBy + "\n"
	}
	if s.Trusted != "" {
		text += "Trusted: " + s.Trusted + "\n"
	}
	return text
}

// machineSources returns the archives that bring this machine the given suite, its
// own: Debian's archive, or the mirror somebody chose, has the neighbouring suites
// too. Others' archives name their suites as Debian does, so there may be several.
func machineSources(etc, suite string) ([]source, error) {
	var found []source
	for _, pattern := range []string{"sources.list", "sources.list.d/*.list", "sources.list.d/*.sources"} {
		paths, err := filepath.Glob(filepath.Join(etc, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if strings.HasSuffix(path, ".sources") {
				found = append(found, fromStanzas(string(content), suite)...)
			} else {
				found = append(found, fromLines(string(content), suite)...)
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no archive with suite %s, component main, among the sources of apt in %s", suite, etc)
	}
	return found, nil
}

// fromStanzas reads the deb822 format.
func fromStanzas(content, suite string) (found []source) {
	for stanza := range strings.SplitSeq(content, "\n\n") {
		fields := stanzaFields(stanza)
		if strings.EqualFold(fields["enabled"], "no") ||
			!slices.Contains(strings.Fields(fields["types"]), "deb") ||
			!slices.Contains(strings.Fields(fields["suites"]), suite) ||
			!slices.Contains(strings.Fields(fields["components"]), "main") {
			continue
		}
		found = append(found, source{URIs: fields["uris"], SignedBy: fields["signed-by"], Trusted: fields["trusted"]})
	}
	return found
}

// stanzaFields returns the fields of a stanza by their names in lower case. A value
// keeps its further lines, as that of a key that stands in the file itself.
func stanzaFields(stanza string) map[string]string {
	fields := make(map[string]string)
	last := ""
	for line := range strings.Lines(stanza) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			fields[last] += "\n" + line
		default:
			name, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(name)
			fields[last] = strings.TrimSpace(value)
		}
	}
	return fields
}

// fromLines reads the format of one line an archive:
//
//	deb [option=value ...] uri suite component...
func fromLines(content, suite string) (found []source) {
	for line := range strings.Lines(content) {
		rest, isDeb := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !isDeb {
			continue
		}
		var s source
		rest = strings.TrimSpace(rest)
		if inside, after, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]"); ok && rest[0] == '[' {
			rest = after
			for _, option := range strings.Fields(inside) {
				switch name, value, _ := strings.Cut(option, "="); strings.ToLower(name) {
				case "signed-by":
					s.SignedBy = value
				case "trusted":
					s.Trusted = value
				}
			}
		}
		fields := strings.Fields(rest)
		if len(fields) < 3 || fields[1] != suite || !slices.Contains(fields[2:], "main") {
			continue
		}
		s.URIs = fields[0]
		found = append(found, s)
	}
	return found
}
