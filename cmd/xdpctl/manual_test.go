// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// manuals are those whose console blocks are run. In such a block each line that begins
// with "$ " is a command, with the lines after it while one ends with a backslash, and
// what follows is what it prints, on stdout and stderr. A command that fails has to print
// something.
var manuals = []string{"tutorial.md", "from-xdp-loader.md", "from-bpfman.md", "configuration.md"}

// varying is what differs from one run to the next, and what stands for it in both when
// what a command prints is compared with the manual.
var varying = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:?\d\d| UTC)?`), "TIME"},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "DIGEST"},
	{regexp.MustCompile(`\b[0-9]+-[0-9]+\b`), "KEY"},
	// A program's id stands before its tag.
	{regexp.MustCompile(`(\d+ +)?\b[0-9a-f]{16}\b`), "PROGRAM"},
	{regexp.MustCompile(`\btime \d+ms`), "DURATION"},
	{regexp.MustCompile(`\bindex \d+\b`), "index N"},
	// How long ago a member came stands last.
	{regexp.MustCompile(`(?m) +\d+[smhd]$`), " AGE"},
	// Of the kernel's figures the names stay.
	{regexp.MustCompile(`(?m)^( *(Program ID|Map IDs|BTF ID|Bytes translated|Bytes jited|Memory locked|Verified instructions)) .*$`), "$1 FIGURE"},
	// Columns are as wide as what is in them.
	{regexp.MustCompile(` {2,}`), "  "},
	{regexp.MustCompile(`(?m) +$`), ""},
}

// TestManuals runs the commands of manuals, each manual on a node of its own, from the
// checkout, and compares what they print. With -update the manuals get what was printed.
func TestManuals(t *testing.T) {
	testenv.KernelIndependent(t)
	t.Setenv("PATH", strings.Join([]string{xdpctlFolder(t), os.Getenv("PATH"), "/usr/sbin", "/sbin"}, string(filepath.ListSeparator)))
	for _, tool := range []string{"ip", "ping"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "the manuals use "+tool)
		}
	}
	// ip mounts the folder of namespaces over itself, once for all.
	for _, verb := range []string{"add", "delete"} {
		if output, err := exec.CommandContext(t.Context(), "ip", "netns", verb, "first").CombinedOutput(); err != nil {
			t.Fatalf("ip netns %s: %v: %s", verb, err, output)
		}
	}
	for _, name := range manuals {
		t.Run(name, func(t *testing.T) {
			freshNode(t)
			runManual(t, filepath.Join(docsDir, name))
		})
	}
}

// freshNode gives the test ids that begin with 1, and an empty /opt.
func freshNode(t *testing.T) {
	t.Helper()
	const state = "/run/xdp-chain"
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	testenv.NoLeaks(t)
	for _, dir := range []string{state, "/opt"} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			t.Fatalf("mounting tmpfs at %s: %v", dir, err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Errorf("unmounting %s: %v", dir, err)
			}
		})
	}
}

// xdpctlFolder makes a folder in which this binary is xdpctl.
func xdpctlFolder(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "xdpctl")); err != nil {
		t.Fatal(err)
	}
	return bin
}

func runManual(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	printed := consoleBlock.ReplaceAllStringFunc(string(text), func(block string) string {
		parts := consoleBlock.FindStringSubmatch(block)
		var out strings.Builder
		for _, c := range consoleCommands(parts[2]) {
			out.WriteString(runCommand(t, c))
		}
		return parts[1] + out.String() + parts[3]
	})
	if *update && printed != string(text) {
		if err := os.WriteFile(file, []byte(printed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var consoleBlock = regexp.MustCompile("(?ms)^(```console\n)(.*?)^(```)$")

// consoleCommand is a command of a manual, and what the manual has it print.
type consoleCommand struct{ command, output string }

func consoleCommands(block string) []consoleCommand {
	var all []consoleCommand
	continued := false
	for line := range strings.Lines(block) {
		command, begins := strings.CutPrefix(line, "$ ")
		switch {
		case begins && !continued:
			all = append(all, consoleCommand{command: command})
		case continued:
			all[len(all)-1].command += line
		default:
			all[len(all)-1].output += line
			continue
		}
		continued = strings.HasSuffix(line, "\\\n")
	}
	return all
}

// runCommand runs a command, and returns it with what it printed: in the manual's words
// where that is the same but for what varies.
func runCommand(t *testing.T, c consoleCommand) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", c.command)
	cmd.Dir = filepath.Join(docsDir, "..")
	output, err := cmd.CombinedOutput()
	if err != nil && (!errors.As(err, new(*exec.ExitError)) || len(output) == 0) {
		t.Errorf("$ %s%v, without a word", c.command, err)
	}
	diff := cmp.Diff(constant(c.output), constant(string(output)))
	if diff == "" {
		return "$ " + c.command + c.output
	}
	if !*update {
		t.Errorf("$ %sprints (-manual +now):\n%s", c.command, diff)
	}
	return "$ " + c.command + string(output)
}

// constant returns what stays the same.
func constant(output string) string {
	for _, v := range varying {
		output = v.pattern.ReplaceAllString(output, v.name)
	}
	return output
}

func TestConsoleCommands(t *testing.T) {
	got := consoleCommands("$ a \\\n    b\n$ c\nx\n  y\n\n$ d\n")
	want := []consoleCommand{{"a \\\n    b\n", ""}, {"c\n", "x\n  y\n\n"}, {"d\n", ""}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(consoleCommand{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
