// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
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
