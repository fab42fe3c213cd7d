// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"path"
	"path/filepath"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

// assemble writes the root file system of a guest: Debian's programs, the checkout
// with the binaries where its tests look for them, the modules and the script.
func (l *lab) assemble(ctx context.Context, file string, g guest) error {
	im, err := newImage(file)
	if err != nil {
		return err
	}
	defer im.file.Close() // after an error; otherwise it is closed already
	for _, dir := range []string{"/opt", "/root", "/var/lib"} {
		im.folder(dir)
	}
	if err := im.copyTree("/", g.userland, "usr/share"); err != nil {
		return err
	}
	if err := im.copyTree(guestRoot, l.checkout, ".git", ".cache", "bin"); err != nil {
		return err
	}
	if err := im.copyTree(guestRoot+"/.cache/bin", filepath.Join(l.checkout, ".cache/bin")); err != nil {
		return err
	}
	for to, from := range l.binaries(g) {
		if err := im.copy(to, from); err != nil {
			return err
		}
	}
	modules, err := im.addModules(ctx, g)
	if err != nil {
		return err
	}
	text, err := json.Marshal(g.script(modules))
	if err != nil {
		return err
	}
	im.put(script.Path, 0o644, text)
	return im.close()
}

// binaries returns what was built for a guest, and the files that the command line
// names, by their paths in the guest.
func (l *lab) binaries(g guest) map[string]string {
	files := map[string]string{script.Init: filepath.Join(l.bin, "guest")}
	for _, name := range []string{"xdp-chain", "xdpctl"} {
		files[path.Join(guestRoot, "bin", name)] = filepath.Join(l.bin, name)
	}
	for _, s := range g.suites {
		files[s.name()] = s.binary
	}
	for to, from := range g.files {
		files[to] = from
	}
	return files
}

// addModules puts the modules of a guest's kernel into the image and returns their
// paths in the order in which they can be loaded.
func (im *image) addModules(ctx context.Context, g guest) (paths []string, err error) {
	tree, err := newModuleTree(g.kernelDir, filepath.Join(g.userland, "bin/busybox"), "xzcat")
	if err != nil {
		return nil, err
	}
	for _, name := range wantedModules {
		if err := tree.choose(ctx, name); err != nil {
			return nil, err
		}
	}
	for _, m := range tree.chosen {
		name := path.Join("/modules", m.name)
		im.put(name, 0o644, m.content)
		paths = append(paths, name)
	}
	return paths, nil
}

// script is what a guest has to do: run its suites, or the command.
func (g guest) script(modules []string) script.Script {
	s := script.Script{
		Modules: modules,
		Tell:    len(g.packages) > 0, // a command's output is its own
		Env: []string{
			"CI=true",
			"XDP_CHAIN_LAB=" + g.series,
			"XDP_CHAIN_TURN=" + g.turn,
			"XDP_CHAIN_BIN=" + guestRoot + "/bin",
		},
	}
	if len(g.packages) == 0 {
		s.Steps = []script.Step{{Name: g.args[0], Dir: guestRoot, Argv: g.args}}
	}
	for _, suite := range g.suites {
		s.Steps = append(s.Steps, suite.step(g.args))
	}
	return s
}
