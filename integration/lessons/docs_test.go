// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The commands of docs/lessons.md can be pasted, one after the other.
func TestDocumentedCommands(t *testing.T) {
	if testenv.InLab() {
		t.Skip("it is about the commands, not about the kernel, and takes tools that the lab has not got")
	}
	for _, tool := range []string{"bash", "ip", "ping", "bpftool", "sysctl", "install"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "needs iproute2, iputils-ping, bpftool and procps: "+err.Error())
		}
	}
	// The first namespace has ip make /run/netns a mount, which stays.
	if out, err := exec.Command("sh", "-c", "ip netns add first && ip netns del first").CombinedOutput(); err != nil {
		t.Fatalf("making a network namespace: %v\n%s", err, out)
	}
	testenv.NoLeaks(t)
	page, err := os.ReadFile("../../docs/lessons.md")
	if err != nil {
		t.Fatal(err)
	}
	var script bytes.Buffer
	for _, block := range shellBlock.FindAllSubmatch(page, -1) {
		script.Write(block[1])
	}
	// The machine's /opt is not the test's.
	opt := filepath.Dir(plugintest.File(t, "opt", nil))
	commands := strings.ReplaceAll(script.String(), "/opt/xdp", opt)
	cmd := exec.Command("bash", "-euxo", "pipefail", "-c", commands)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(plugintest.Binary(t, "xdpctl"))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// drop_all takes the one, and drop_odd_echoes half of another.
	losses := map[string]int{" 0% packet loss": 10, " 50% packet loss": 1, " 100% packet loss": 1}
	for loss, want := range losses {
		if got := strings.Count(string(out), loss); got != want {
			t.Errorf("%d pings end with%s, want %d:\n%s", got, loss, want, out)
		}
	}
}
