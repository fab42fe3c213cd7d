// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// checkout returns the root of the checkout that the program is run in.
func checkout() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// prepare builds the plugins into the checkout's .cache/bin: other people's in the
// versions of go.mod, ours, the operator's command and the one that does nothing with the
// flags of `make build`. It may need the network, which the sandbox has not got.
func prepare(root string) error {
	bin := binDir(root)
	for _, args := range [][]string{
		{"hack/cni-plugins.sh"},
		{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", bin + "/", "./plugins/meta/xdp-chain", "./cmd/xdpctl", "./integration/bench/nothing"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

func binDir(root string) string { return filepath.Join(root, ".cache", "bin") }
