// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// boot runs a command in a guest of the kernel that most machines have.
func boot(t *testing.T, args ...string) (status int, output string, err error) {
	t.Helper()
	if err := possible(); err != nil {
		testenv.Skip(t, err.Error())
	}
	o, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	o.kernels = kernels[1:2]
	l, err := newLab(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.dir = t.TempDir()
	l.bin = filepath.Join(l.dir, "bin")
	guests, err := l.prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	status, err = l.runGuest(t.Context(), guests[0], &out)
	return status, out.String(), err
}

// What the image holds, byte by byte, what the modules are there for, and the way of
// the output and the status out of the guest.
func TestCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("odd"), 0o640); err != nil {
		t.Fatal(err)
	}
	const command = `
set -e
stat -c %n:%a:%s:%u /xdp-chain/given /b/given
cat given
echo
readlink -f /lib64/ld-linux-x86-64.so.2
ip -V | cut -d, -f1
ip link add v0 type veth peer name v1
xdp-loader status v0 | grep -c '^v0 '
pwd
echo $XDP_CHAIN_LAB $XDP_CHAIN_SHARD $CI
test -x /xdp-chain/bin/xdp-chain -a -x .cache/bin/cnitool
cmp /xdp-chain/integration/vm/guest_test.go $0
exit 3`
	status, output, err := boot(t, "-file", file+"=given", "-file", file+"=/b/given", "-timeout", "5m",
		"sh", "-c", command, "integration/vm/guest_test.go")
	want := `/xdp-chain/given:640:3:0
/b/given:640:3:0
odd
/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
ip utility
1
/xdp-chain
6.1 0/1 true
`
	if diff := cmp.Diff(want, output); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if status != 3 || err == nil || !strings.Contains(err.Error(), "sh") {
		t.Errorf("status %d, error %v; want 3, and the name of what failed", status, err)
	}
}

func TestHangingGuest(t *testing.T) {
	start := time.Now()
	status, _, err := boot(t, "-timeout", "10s", "sleep", "3600")
	if status == 0 || err == nil || !strings.Contains(err.Error(), "not done after 10s") {
		t.Errorf("status %d, error %v", status, err)
	}
	if took := time.Since(start); took > 3*time.Minute {
		t.Errorf("stopped after %s", took)
	}
}

func TestPanic(t *testing.T) {
	status, _, err := boot(t, "-timeout", "5m", "sh", "-c", "echo c > /proc/sysrq-trigger")
	if status == 0 || err == nil || !strings.Contains(err.Error(), "Kernel panic - not syncing") {
		t.Errorf("status %d, error %v; want the console's last words", status, err)
	}
}

func TestCommandNotFound(t *testing.T) {
	status, output, err := boot(t, "-timeout", "5m", "no-such-command")
	if status != 127 || err == nil || !strings.Contains(output, "no-such-command") {
		t.Errorf("status %d, error %v, output %q", status, err, output)
	}
}
