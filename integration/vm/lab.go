// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"time"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

// lab is where guests are made: a checkout, and a folder in it that git ignores.
type lab struct {
	checkout string
	cache    string
}

func newLab(ctx context.Context) (*lab, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the checkout: %w", withStderr(err))
	}
	checkout := string(out[:len(out)-1])
	cache := filepath.Join(checkout, ".cache/vm")
	return &lab{checkout, cache}, os.MkdirAll(cache, 0o755)
}

// work is what guests are to do, whatever their kernel.
type work struct {
	suites []suite
	steps  []script.Step
	files  map[string]string // path in the guest -> path on the machine
	cpus   int
	icount bool
	limit  time.Duration
}

// run does the work in a guest with kernel k; dir is for its files.
func (l *lab) run(ctx context.Context, k kernel, w work, bin, dir string, output io.Writer) (script.Result, error) {
	kernelDir, err := k.fetch(ctx, l)
	if err != nil {
		return script.Result{}, err
	}
	boot, err := vmlinuz(kernelDir)
	if err != nil {
		return script.Result{}, err
	}
	initrd := filepath.Join(dir, "initrd")
	if err := l.assemble(ctx, initrd, k, kernelDir, w, bin); err != nil {
		return script.Result{}, fmt.Errorf("making the image of kernel %s: %w", k.series, err)
	}
	m := machine{vmlinuz: boot, initrd: initrd, dir: dir, cpus: w.cpus, icount: w.icount, limit: w.limit}
	return m.run(ctx, output)
}

// assemble writes the root file system of a guest.
func (l *lab) assemble(ctx context.Context, file string, k kernel, kernelDir string, w work, bin string) error {
	userland, err := l.userland(ctx)
	if err != nil {
		return err
	}
	im, err := newImage(file)
	if err != nil {
		return err
	}
	defer im.file.Close() // on the way out of an error; otherwise it is closed already
	for _, dir := range []string{"/root", "/var/lib", "/opt"} {
		im.folder(dir)
	}
	if err := im.copyTree("/", userland, "usr/share"); err != nil {
		return err
	}
	if err := im.copyTree(guestRoot, l.checkout, ".git", ".cache", "bin"); err != nil {
		return err
	}
	if err := im.copyTree(guestRoot+"/.cache/bin", filepath.Join(l.checkout, ".cache/bin")); err != nil {
		return err
	}
	files := map[string]string{script.Init: filepath.Join(bin, "guest")}
	for _, name := range []string{"xdp-chain", "xdpctl"} {
		files[path.Join(guestRoot, "bin", name)] = filepath.Join(bin, name)
	}
	for _, s := range w.suites {
		files[s.name()] = s.binary
	}
	for to, from := range w.files {
		files[to] = from
	}
	for to, from := range files {
		if err := im.copy(to, from); err != nil {
			return err
		}
	}
	s := script.Script{
		Env: []string{
			"CI=true",
			"XDP_CHAIN_LAB=" + k.series,
			"XDP_CHAIN_BIN=" + guestRoot + "/bin",
		},
		Steps: w.steps,
	}
	modules, err := newModuleTree(kernelDir, filepath.Join(userland, "bin/busybox"), "xzcat")
	if err != nil {
		return err
	}
	for _, name := range wantedModules {
		if err := modules.choose(ctx, name); err != nil {
			return err
		}
	}
	for _, m := range modules.chosen {
		name := "/modules/" + m.name
		im.put(name, 0o644, m.content)
		s.Modules = append(s.Modules, name)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	im.put(script.Path, 0o644, text)
	return im.close()
}
