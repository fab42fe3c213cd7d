// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// apt asks a Debian archive in folders of its own: what the machine has installed,
// or thinks is available, is neither looked at nor changed. Its settings, such as a
// proxy, apply.
type apt struct {
	dir     string
	options []string
}

// newAPT prepares folders below dir and reads the index of a suite.
func newAPT(ctx context.Context, dir string, s source, suite string) (*apt, error) {
	for _, sub := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	list := filepath.Join(dir, "apt.sources")
	if err := os.WriteFile(list, []byte(s.stanza(suite)), 0o644); err != nil {
		return nil, err
	}
	a := &apt{dir: dir}
	for _, option := range []string{
		"Dir::State=" + dir,
		"Dir::State::status=/dev/null", // nothing is installed
		"Dir::Cache=" + dir,
		"Dir::Etc::sourcelist=" + list,
		"Dir::Etc::sourceparts=-",
		"Dir::Etc::preferencesparts=-",
		"Acquire::Languages=none",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		// apt's own user could not write to a checkout.
		"APT::Sandbox::User=root",
	} {
		a.options = append(a.options, "-o", option)
	}
	_, err := a.run(ctx, "apt-get", "update")
	return a, err
}

// run runs one of apt's commands and returns what it printed.
func (a *apt) run(ctx context.Context, command string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command, append(append([]string{"-q"}, a.options...), args...)...)
	cmd.Dir = filepath.Join(a.dir, "archives")
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w:\n%s", command, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// download gets packages, and with needs also those that they need, into archives.
func (a *apt) download(ctx context.Context, needs bool, packages ...string) error {
	args := []string{"download"}
	if needs {
		args = []string{"install", "-y", "--no-install-recommends", "--download-only"}
	}
	_, err := a.run(ctx, "apt-get", append(args, packages...)...)
	return err
}

// unpack unpacks what was downloaded into a folder. No script of a package is run.
func (a *apt) unpack(ctx context.Context, into string) error {
	packages, err := filepath.Glob(filepath.Join(a.dir, "archives/*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range packages {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", deb, into).CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking %s: %w: %s", deb, err, out)
		}
	}
	return nil
}

// errNotDebian is wrapped by the errors of a machine whose apt leads to no Debian archive.
var errNotDebian = errors.New("the lab's kernels come from Debian's archive, which this machine does not use")

// unpacked returns the folder in the cache with the packages that choose downloads
// from a suite, and fills it first where it is missing. It is there as a whole or
// not at all: a process that dies before the rename leaves a folder that nobody
// looks at, and of two that fill it at once the first one wins.
func (l *lab) unpacked(ctx context.Context, name, suite string, choose func(context.Context, *apt) error) (string, error) {
	target := filepath.Join(l.cache, name)
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	codename, err := debianCodename("/etc/os-release")
	if err != nil {
		return "", err
	}
	sources, err := machineSources("/etc/apt", codename)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotDebian, err)
	}
	fmt.Fprintf(os.Stderr, "lab: fetching %s from Debian's suite %s\n", name, suite)
	var failures error
	for _, s := range sources {
		if err = l.unpackFrom(ctx, s, target, suite, choose); err == nil {
			return target, nil
		}
		failures = errors.Join(failures, err)
	}
	return "", fmt.Errorf("fetching %s from Debian's suite %s: %w", name, suite, failures)
}

func (l *lab) unpackFrom(ctx context.Context, s source, target, suite string, choose func(context.Context, *apt) error) error {
	dir, err := os.MkdirTemp(l.cache, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	a, err := newAPT(ctx, dir, s, suite)
	if err != nil {
		return err
	}
	if err := choose(ctx, a); err != nil {
		return err
	}
	tree := filepath.Join(dir, "tree")
	if err := a.unpack(ctx, tree); err != nil {
		return err
	}
	err = os.Rename(tree, target)
	if _, thereNow := os.Stat(target); thereNow == nil {
		return nil
	}
	return err
}

// debianCodename reads the machine's release from os-release(5).
func debianCodename(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNotDebian, err)
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields[name] = strings.Trim(value, `"'`)
	}
	if fields["ID"] != "debian" || fields["VERSION_CODENAME"] == "" {
		return "", fmt.Errorf("%w: it is %s %s", errNotDebian, fields["ID"], fields["VERSION_CODENAME"])
	}
	return fields["VERSION_CODENAME"], nil
}

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
