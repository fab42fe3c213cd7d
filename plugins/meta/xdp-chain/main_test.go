// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

// examplesDir has configurations as runtimes hand them over.
const examplesDir = "../../../internal/config/testdata/"

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// wantError checks that err is told with the given code and a message that begins
// with msg.
func wantError(t *testing.T, err error, code uint, msg string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want code %d", code)
	}
	if e := cniError(err); e.Code != code || !strings.HasPrefix(e.Msg, msg) {
		t.Errorf("error is code %d, %q\nwant code %d, %q", e.Code, e.Msg, code, msg)
	}
}

// TestMain lets the test binary stand in for the plugin's: called with a verb,
// it is the plugin.
func TestMain(m *testing.M) {
	if os.Getenv("CNI_COMMAND") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// plugin runs a verb the way a runtime does and returns stdout, stderr and the
// exit status.
func plugin(t *testing.T, verb, stdin string, env ...string) (string, string, int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{
		"CNI_COMMAND=" + verb, "CNI_CONTAINERID=c1", "CNI_IFNAME=eth0", "CNI_NETNS=/nonexistent/netns", "CNI_PATH=/nonexistent",
	}, env...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestPluginVersion(t *testing.T) {
	stdout, stderr, status := plugin(t, "VERSION", "")
	want := `{"cniVersion":"1.1.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}` + "\n"
	if stdout != want || stderr != "" || status != 0 {
		t.Errorf("status %d, stdout %q, stderr %q; want %q", status, stdout, stderr, want)
	}
}

// What can be refused before anything is touched is refused with its code, on
// stdout, by an exit status of 1.
func TestPluginRefuses(t *testing.T) {
	const eth0 = `"prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "/proc/self/ns/net"}]}`
	tests := []struct {
		name, verb, stdin, env string
		want                   types.Error
	}{
		{"not JSON", "ADD", `{`, "", types.Error{Code: 6, Msg: "error unmarshall network config: unexpected end of JSON input"}},
		{"no name", "ADD", `{"cniVersion": "1.1.0"}`, "", types.Error{Code: 7, Msg: "missing network name"}},
		{"no prevResult", "ADD", `{"cniVersion": "1.1.0", "name": "n"}`, "", types.Error{
			Code: 7, Msg: "prevResult is missing: xdp-chain is a chained plugin and must come after the plugin that makes the interface",
		}},
		{"no prevResult to check", "CHECK", `{"cniVersion": "1.1.0", "name": "n"}`, "", types.Error{
			Code: 7, Msg: "prevResult is missing: xdp-chain is a chained plugin and must come after the plugin that makes the interface",
		}},
		{"unknown field", "ADD", `{"cniVersion": "1.1.0", "name": "n", "sides": "pod"}`, "", types.Error{
			Code: 7, Msg: `sides: unknown field; did you mean "side"?`,
		}},
		{"own namespace", "ADD", `{"cniVersion": "1.1.0", "name": "n", ` + eth0 + `}`, "CNI_NETNS=/proc/self/ns/net", types.Error{
			Code: 8, Msg: "CNI_NETNS /proc/self/ns/net is the plugin's own network namespace; no chain is put on the host",
		}},
		{"list of the valid", "GC", `{"cniVersion": "1.1.0", "name": "n", "cni.dev/valid-attachments": 1}`, "", types.Error{
			Code: 7, Msg: "cni.dev/valid-attachments: json: cannot unmarshal number into Go struct field .cni.dev/valid-attachments of type []types.GCAttachment",
		}},
		{"configuration that cannot work", "STATUS", `{"cniVersion": "1.1.0", "name": "n", "mode": "skb", "sides": "pod"}`, "", types.Error{
			Code: 50, Msg: `mode: invalid value: mode "skb"; use one of auto, native, generic, offload`,
			Details: `sides: unknown field; did you mean "side"?`,
		}},
		{"version", "ADD", `{"cniVersion": "0.2.0", "name": "n"}`, "", types.Error{
			Code: 1, Msg: "incompatible CNI versions", Details: `config is "0.2.0", plugin supports ["0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, status := plugin(t, tt.verb, tt.stdin, tt.env)
			var got types.Error
			if err := json.Unmarshal([]byte(stdout), &got); err != nil {
				t.Fatalf("stdout %q: %v; stderr %q", stdout, err, stderr)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || status != 1 {
				t.Errorf("status %d; error (-want +got):\n%s", status, diff)
			}
		})
	}
}

// A pod that is excluded gets its prevResult back, however little else is right.
func TestPluginExcluded(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	const prev = `{"cniVersion": "1.0.0", "x": 1}`
	stdin := `{"cniVersion": "1.0.0", "name": "n", "namespaces": {"include": ["shop"]}, "logFile": "` + log + `", "logLevel": "debug", "prevResult": ` + prev + `}`
	for verb, want := range map[string]string{"ADD": prev, "CHECK": ""} {
		stdout, stderr, status := plugin(t, verb, stdin, "CNI_ARGS=K8S_POD_NAMESPACE=kube-system")
		if stdout != want || stderr != "" || status != 0 {
			t.Errorf("%s: status %d, stdout %q, stderr %q", verb, status, stdout, stderr)
		}
	}

	type line struct {
		Level, Msg, Verb, Network, ContainerID, Ifname, Outcome, Duration string
	}
	var outcomes []string
	for text := range bytes.Lines(readFile(t, log)) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		if l.Network != "n" || l.ContainerID != "c1" || l.Ifname != "eth0" {
			t.Errorf("line does not say whom it is about: %s", text)
		}
		if l.Outcome != "" {
			outcomes = append(outcomes, l.Outcome)
			if took, err := time.ParseDuration(l.Duration); err != nil || took <= 0 || l.Level != "INFO" {
				t.Errorf("line of the outcome: %s", text)
			}
		}
	}
	if diff := cmp.Diff([]string{"ok", "ok"}, outcomes); diff != "" {
		t.Errorf("outcomes in the log (-want +got):\n%s", diff)
	}
}

// A logFile that cannot be written fails no pod and makes no node NotReady.
func TestPluginLogFileUnwritable(t *testing.T) {
	stdin := `{"cniVersion": "1.0.0", "name": "n", "namespaces": {"include": []}, "logFile": "/nonexistent/log", "prevResult": {"cniVersion": "1.0.0"}}`
	stdout, stderr, status := plugin(t, "ADD", stdin)
	if status != 0 || stdout != `{"cniVersion": "1.0.0"}` || !strings.Contains(stderr, "/nonexistent/log: no such file or directory") {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

func TestValidAttachments(t *testing.T) {
	tests := []struct {
		stdin string
		want  []node.Ref
		known bool
	}{
		{`{}`, nil, false},
		{`{"cni.dev/valid-attachments": null}`, nil, false},
		{`{"cni.dev/valid-attachments": []}`, nil, true},
		{
			`{"cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}, {"containerID": "b", "ifname": "net1"}]}`,
			[]node.Ref{{ContainerID: "a", Ifname: "eth0"}, {ContainerID: "b", Ifname: "net1"}},
			true,
		},
		// What ADD would refuse does not keep GC from its work.
		{`{"programs": 5, "side": "left", "cni.dev/valid-attachments": []}`, nil, true},
	}
	for _, tt := range tests {
		got, known, err := validAttachments([]byte(tt.stdin))
		if err != nil {
			t.Errorf("%s: %v", tt.stdin, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || known != tt.known {
			t.Errorf("%s: known %t, want %t; attachments (-want +got):\n%s", tt.stdin, known, tt.known, diff)
		}
	}
	for _, stdin := range []string{
		`{"cni.dev/valid-attachments": "all"}`,
		`{"cni.dev/valid-attachments": {}}`,
		`{"cni.dev/valid-attachments": [{"containerID": 7, "ifname": "eth0"}]}`,
	} {
		_, _, err := validAttachments([]byte(stdin))
		wantError(t, err, types.ErrInvalidNetworkConfig, "cni.dev/valid-attachments: ")
	}
}

func TestNetworkName(t *testing.T) {
	for _, stdin := range []string{
		`{"name": "podnet"}`,
		`{"programs": "broken", "name": "podnet", "side": [], "unknown": {}}`,
		string(readFile(t, examplesDir+"full.json")),
	} {
		if got := networkName([]byte(stdin)); got != "podnet" {
			t.Errorf("%s: name %q", stdin, got)
		}
	}
}

func TestLogToStderr(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct{ conf, want string }{
		{`{}`, "W E "},
		{`{"logLevel": "debug"}`, "W E "},
		{`{"logLevel": "error"}`, "E "},
		{`{"logFile": "/nonexistent/log"}`, "logFile W E "},
		{`{"logFile": "relative.log"}`, "W E "},
		{`{"logFile": 1, "logLevel": "error"}`, "E "},
		{`broken`, "W E "},
	} {
		var stderr bytes.Buffer
		log, done := openLog([]byte(tt.conf), &stderr)
		log.Debug("D")
		log.Info("I")
		log.Warn("W")
		log.Error("E")
		done()
		var got strings.Builder
		for line := range strings.Lines(stderr.String()) {
			for _, word := range []string{"logFile", "msg=D", "msg=I", "msg=W", "msg=E"} {
				if strings.Contains(line, word) {
					fmt.Fprint(&got, strings.TrimPrefix(word, "msg="), " ")
					break
				}
			}
		}
		if got.String() != tt.want {
			t.Errorf("%s: stderr has %q, want %q:\n%s", tt.conf, got.String(), tt.want, stderr.String())
		}
	}
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
		t.Errorf("files in the working directory: %v, %v", files, err)
	}
}

// Verbs of many pods append to one file at once; no line is lost or torn.
func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xdp-chain.log")
	const verbs = 50
	var wg sync.WaitGroup
	for range verbs {
		wg.Go(func() {
			log, done := openLog([]byte(`{"logFile": "`+path+`"}`), os.Stderr)
			defer done()
			log.Debug("not at this level")
			log.Info("done", "filler", strings.Repeat("x", 5000))
		})
	}
	wg.Wait()
	lines := bytes.Split(bytes.TrimSpace(readFile(t, path)), []byte("\n"))
	if len(lines) != verbs {
		t.Errorf("%d lines, want %d", len(lines), verbs)
	}
	for _, line := range lines {
		var record struct{ Msg string }
		if err := json.Unmarshal(line, &record); err != nil || record.Msg != "done" {
			t.Errorf("line %.100s…: %v", line, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("log file: %v, %v; want mode 0600", info.Mode(), err)
	}
}

// A log that nobody reads must not keep a verb waiting, least of all DEL.
func TestLogFileThatIsNone(t *testing.T) {
	unread, read := filepath.Join(t.TempDir(), "unread"), filepath.Join(t.TempDir(), "read")
	for _, fifo := range []string{unread, read} {
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := os.OpenFile(read, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, path := range []string{unread, read, "/dev/full", t.TempDir()} {
		told := make(chan string, 1)
		go func() {
			var stderr bytes.Buffer
			log, done := openLog([]byte(`{"logFile": "`+path+`"}`), &stderr)
			defer done()
			for range 1000 {
				log.Error("filler", "filler", strings.Repeat("x", 100))
			}
			told <- stderr.String()
		}()
		select {
		case stderr := <-told:
			if lines := strings.Count(stderr, "\n"); lines != 1001 || !strings.Contains(stderr, path) {
				t.Errorf("%s: %d lines on stderr, want 1000 and one that names it", path, lines)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: still waiting", path)
		}
	}
}
