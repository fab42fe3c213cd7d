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
	"strings"
)

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
