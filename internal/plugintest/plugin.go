// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

// Fields are the fields of a plugin's entry, or of any JSON object.
type Fields = map[string]any

// Network is the name of the network in every suite that needs one alone.
const Network = "podnet"

// PodAnnotations is the capability by which runtimes hand over the annotations of pods.
const PodAnnotations = "io.kubernetes.cri.pod-annotations"

// Annotation is the one in which pods name programs.
const Annotation = "xdp-chain.io/programs"

// Entry is a configuration of our plugin as a runtime hands it over, with these
// programs. Further fields are added, or replace what is there; a nil takes a
// field away.
func Entry(more Fields, programs ...Fields) Fields {
	e := Fields{"cniVersion": "1.0.0", "name": Network, "type": "xdp-chain", "programs": programs}
	maps.Copy(e, more)
	maps.DeleteFunc(e, func(_ string, value any) bool { return value == nil })
	return e
}

// Result is a prevResult for the pod, as ptp makes it.
func (p *Pod) Result(cniVersion string) Fields {
	return Fields{
		"cniVersion": cniVersion,
		"interfaces": []Fields{
			{"name": p.Host, "mac": "02:00:00:00:00:01"},
			{"name": p.Ifname, "mac": "02:00:00:00:00:02", "sandbox": p.NetNS},
		},
		"ips": []Fields{
			{"interface": 1, "address": "10.88.0.2/24", "gateway": "10.88.0.1"},
			{"interface": 1, "address": "fd00:88::2/64"},
		},
		"dns": Fields{},
	}
}

// Chained is [Entry] with the pod's prevResult.
func (p *Pod) Chained(more Fields, programs ...Fields) Fields {
	cniVersion, given := more["cniVersion"].(string)
	if !given {
		cniVersion = "1.0.0"
	}
	all := Fields{"prevResult": p.Result(cniVersion)}
	maps.Copy(all, more)
	return Entry(all, programs...)
}

// Command prepares one call of the plugin, as a runtime makes it.
func (p *Pod) Command(t *testing.T, verb string, conf any) *exec.Cmd {
	t.Helper()
	stdin, raw := conf.([]byte)
	if !raw {
		var err error
		if stdin, err = json.Marshal(conf); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(Binary(t, "xdp-chain"))
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+p.ID, "CNI_NETNS="+p.NetNS,
		"CNI_IFNAME="+p.Ifname, "CNI_ARGS="+p.Args, "CNI_PATH="+filepath.Dir(cmd.Path))
	cmd.Stdin = bytes.NewReader(stdin)
	return cmd
}

// Call runs the plugin and returns what it printed, or the error it printed.
func (p *Pod) Call(t *testing.T, verb string, conf any) ([]byte, *types.Error) {
	t.Helper()
	return Finish(t, p.Command(t, verb, conf))
}

// Finish runs a call of the plugin and returns what it printed, or the error it
// printed; a plugin that fails without one fails the test.
func Finish(t *testing.T, cmd *exec.Cmd) ([]byte, *types.Error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err == nil {
		return stdout.Bytes(), nil
	}
	var said types.Error
	if json.Unmarshal(stdout.Bytes(), &said) != nil || said.Code == 0 {
		t.Fatalf("%v: %v; it printed no CNI error but\n%s%s", cmd.Args, err, stdout.Bytes(), stderr.Bytes())
	}
	return nil, &said
}

// Must runs the plugin, fails the test where it errs, and returns what it printed.
func (p *Pod) Must(t *testing.T, verb string, conf any) []byte {
	t.Helper()
	out, err := p.Call(t, verb, conf)
	if err != nil {
		t.Fatalf("%s: %s", verb, Describe(err))
	}
	return out
}

// Refuse runs the plugin and fails the test unless it errs with the code and
// says each of the words.
func (p *Pod) Refuse(t *testing.T, verb string, conf any, code uint, words ...string) {
	t.Helper()
	_, err := p.Call(t, verb, conf)
	WantError(t, verb, err, code, words...)
}

// WantError fails the test unless the plugin's verb ended in an error that has the
// code and says each of the words.
func WantError(t *testing.T, verb string, err *types.Error, code uint, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s succeeded, want code %d", verb, code)
	}
	if err.Code != code {
		t.Errorf("%s: code %d, want %d: %s", verb, err.Code, code, Describe(err))
	}
	for _, word := range words {
		if !strings.Contains(err.Msg+"\n"+err.Details, word) {
			t.Errorf("%s: the message does not say %q: %s", verb, word, Describe(err))
		}
	}
}

// Describe is an error in full: that of a plugin as it printed it.
func Describe(err error) string {
	var said *types.Error
	if errors.As(err, &said) {
		text, _ := json.Marshal(said)
		return string(text)
	}
	return err.Error()
}

// dir is where the binaries and the files of tests are put: on the private /run, in
// folders that nobody but root can write to.
const dir = "/run/plugintest"

// built returns the folder with the binaries.
var built = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("XDP_CHAIN_BIN"); given != "" {
		return given, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	const module = "github.com/xdp-chain/xdp-chain/"
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", module+"plugins/meta/xdp-chain", module+"cmd/xdpctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

// Binary returns the path of a binary under test: xdp-chain or xdpctl.
func Binary(t testing.TB, name string) string {
	t.Helper()
	folder, err := built()
	if err != nil {
		t.Fatalf("building the binaries under test: %v", err)
	}
	return filepath.Join(folder, name)
}

// CopyOf returns the path of a copy of a file, in a place and with a mode that the
// plugin accepts whatever the checkout's are.
func CopyOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return File(t, filepath.Base(path), content)
}

// File writes a file that root alone may write to, and returns its path. It goes
// with the test.
func File(t *testing.T, name string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	own, err := os.MkdirTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(own) })
	path := filepath.Join(own, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
