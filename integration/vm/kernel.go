// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kernel is one of Debian's kernels for virtual machines.
type kernel struct {
	series   string // of the kernel: 6.1
	suite    string // of Debian: the release that has it
	optional bool   // may be missing from the archive
}

// kernels are those that the lab knows, oldest first. 5.10 is the oldest that we
// support; its Debian release has ended and may leave the mirrors.
var kernels = []kernel{
	{series: "5.10", suite: "bullseye", optional: true},
	{series: "6.1", suite: "bookworm"},
	{series: "6.12", suite: "trixie"},
}

func seriesOf(list []kernel) string {
	var names []string
	for _, k := range list {
		names = append(names, k.series)
	}
	return strings.Join(names, ",")
}

// kernelsOf reads a list as seriesOf prints it. Who names a kernel wants it.
func kernelsOf(list string) (found []kernel, err error) {
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(kernels, func(k kernel) bool { return k.series == name })
		if i < 0 {
			return nil, fmt.Errorf("no kernel %q: the lab has %s", name, seriesOf(kernels))
		}
		k := kernels[i]
		k.optional = false
		found = append(found, k)
	}
	return found, nil
}

// metaPackage is empty and depends on the newest kernel of a suite.
const metaPackage = "linux-image-cloud-amd64"

var imagePackage = regexp.MustCompile(`(?m)^Depends:.*\b(linux-image-[^ ,]+)`)

// fetch returns the folder with the kernel and its modules.
func (k kernel) fetch(ctx context.Context, l *lab) (string, error) {
	return l.unpacked(ctx, "linux-"+k.series, k.suite, func(ctx context.Context, a *apt) error {
		shown, err := a.run(ctx, "apt-cache", "show", "--no-all-versions", metaPackage)
		if err != nil {
			return err
		}
		image := imagePackage.FindStringSubmatch(shown)
		if image == nil {
			return fmt.Errorf("package %s names no kernel that it depends on:\n%s", metaPackage, shown)
		}
		return a.download(ctx, false, image[1])
	})
}

// vmlinuz returns the bootable kernel in such a folder.
func vmlinuz(dir string) (string, error) { return only(filepath.Join(dir, "boot/vmlinuz-*")) }

// only returns the one file that any of the patterns matches.
func only(patterns ...string) (string, error) {
	var paths []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		paths = append(paths, matches...)
	}
	if len(paths) != 1 {
		return "", fmt.Errorf("%d files match %s, want one; remove that folder and it is fetched again", len(paths), strings.Join(patterns, " or "))
	}
	return paths[0], nil
}

// wantedModules are loaded in each guest, with what they depend on: the devices that
// tests make, and the sockets by which they and their programs ask the kernel.
var wantedModules = []string{
	"veth", "bridge", "dummy", "ifb", "macvlan", "tun", "sch_ingress", "cls_u32",
	"netlink_diag", "af_packet_diag", "inet_diag", "af_packet",
}

// module is one kernel module, ready to be loaded.
type module struct {
	name    string // of its file in the image
	content []byte
}

// moduleTree finds modules in the package of a kernel. The package has no list of
// dependencies, which Debian makes when it is installed; but every module names its
// own.
type moduleTree struct {
	files   map[string]string // module name -> path
	builtin map[string]bool
	xzcat   []string // command that decompresses its standard input

	chosen []module
	seen   map[string]bool
}

func newModuleTree(dir string, xzcat ...string) (*moduleTree, error) {
	// Since Debian 13 packages have nothing in /lib, which is a link to /usr/lib.
	root, err := only(filepath.Join(dir, "lib/modules/*"), filepath.Join(dir, "usr/lib/modules/*"))
	if err != nil {
		return nil, err
	}
	t := &moduleTree{files: map[string]string{}, builtin: map[string]bool{}, xzcat: xzcat, seen: map[string]bool{}}
	builtin, err := os.ReadFile(filepath.Join(root, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for path := range strings.Lines(string(builtin)) {
		t.builtin[moduleName(strings.TrimSpace(path))] = true
	}
	return t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".ko") {
			t.files[moduleName(path)] = path
		}
		return err
	})
}

// moduleName is the kernel's name for a module file, where - and _ are the same.
func moduleName(path string) string {
	base, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(base, "-", "_")
}

// choose adds a module to the chosen ones, after all that it depends on.
func (t *moduleTree) choose(ctx context.Context, name string) error {
	if t.seen[name] || t.builtin[name] {
		return nil
	}
	t.seen[name] = true
	path, ok := t.files[name]
	if !ok {
		return fmt.Errorf("this kernel has no module %s", name)
	}
	content, err := t.read(ctx, path)
	if err != nil {
		return err
	}
	needs, err := dependencies(content)
	if err != nil {
		return fmt.Errorf("reading module %s: %w", path, err)
	}
	for _, need := range needs {
		if err := t.choose(ctx, need); err != nil {
			return fmt.Errorf("%w, which %s needs", err, name)
		}
	}
	t.chosen = append(t.chosen, module{name + ".ko", content})
	return nil
}

func (t *moduleTree) read(ctx context.Context, path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(path, ".xz") {
		return content, err
	}
	cmd := exec.CommandContext(ctx, t.xzcat[0], t.xzcat[1:]...)
	cmd.Stdin = bytes.NewReader(content)
	if content, err = cmd.Output(); err != nil {
		return nil, fmt.Errorf("decompressing module %s: %w", path, err)
	}
	return content, nil
}

// dependencies reads the names of modules from the "depends" entry of section
// .modinfo, which the kernel's scripts/mod/modpost.c writes.
func dependencies(content []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	section := file.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no section .modinfo")
	}
	entries, err := section.Data()
	if err != nil {
		return nil, err
	}
	for entry := range bytes.SplitSeq(entries, []byte{0}) {
		list, ok := strings.CutPrefix(string(entry), "depends=")
		if ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
