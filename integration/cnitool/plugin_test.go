// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

// fields are the fields of a plugin's entry, or of any JSON object.
type fields = map[string]any

// network is the name of the network in every suite that needs one alone.
const network = "podnet"

// entry is a configuration of our plugin as a runtime hands it over, with these
// programs. Further fields are added, or replace what is there; a nil takes a
// field away.
func entry(more fields, programs ...fields) fields {
	e := fields{"cniVersion": "1.0.0", "name": network, "type": "xdp-chain", "programs": programs}
	maps.Copy(e, more)
	maps.DeleteFunc(e, func(_ string, value any) bool { return value == nil })
	return e
}

// result is a prevResult for the pod, as ptp makes it.
func (p *pod) result(cniVersion string) fields {
	return fields{
		"cniVersion": cniVersion,
		"interfaces": []fields{
			{"name": p.host, "mac": "02:00:00:00:00:01"},
			{"name": p.ifname, "mac": "02:00:00:00:00:02", "sandbox": p.netns},
		},
		"ips": []fields{
			{"interface": 1, "address": "10.88.0.2/24", "gateway": "10.88.0.1"},
			{"interface": 1, "address": "fd00:88::2/64"},
		},
		"dns": fields{},
	}
}

// chained is entry with the pod's prevResult.
func (p *pod) chained(more fields, programs ...fields) fields {
	cniVersion, given := more["cniVersion"].(string)
	if !given {
		cniVersion = "1.0.0"
	}
	all := fields{"prevResult": p.result(cniVersion)}
	maps.Copy(all, more)
	return entry(all, programs...)
}

// command prepares one call of the plugin, as a runtime makes it.
func (p *pod) command(t *testing.T, verb string, conf any) *exec.Cmd {
	t.Helper()
	stdin, raw := conf.([]byte)
	if !raw {
		var err error
		if stdin, err = json.Marshal(conf); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(binary(t, "xdp-chain"))
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+p.id, "CNI_NETNS="+p.netns,
		"CNI_IFNAME="+p.ifname, "CNI_ARGS="+p.args, "CNI_PATH="+binDir)
	cmd.Stdin = bytes.NewReader(stdin)
	return cmd
}

// call runs the plugin and returns what it printed, or the error it printed.
func (p *pod) call(t *testing.T, verb string, conf any) ([]byte, *types.Error) {
	t.Helper()
	return finish(t, p.command(t, verb, conf))
}

func finish(t *testing.T, cmd *exec.Cmd) ([]byte, *types.Error) {
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

// must runs the plugin, fails the test where it errs, and returns what it printed.
func (p *pod) must(t *testing.T, verb string, conf any) []byte {
	t.Helper()
	out, err := p.call(t, verb, conf)
	if err != nil {
		t.Fatalf("%s: %s", verb, describe(err))
	}
	return out
}

// refuse runs the plugin and fails the test unless it errs with the code and
// says each of the words.
func (p *pod) refuse(t *testing.T, verb string, conf any, code uint, words ...string) {
	t.Helper()
	_, err := p.call(t, verb, conf)
	wantError(t, verb, err, code, words...)
}

func wantError(t *testing.T, verb string, err *types.Error, code uint, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s succeeded, want code %d", verb, code)
	}
	if err.Code != code {
		t.Errorf("%s: code %d, want %d: %s", verb, err.Code, code, describe(err))
	}
	for _, word := range words {
		if !strings.Contains(err.Msg+"\n"+err.Details, word) {
			t.Errorf("%s: the message does not say %q: %s", verb, word, describe(err))
		}
	}
}

func describe(err error) string {
	var said *types.Error
	if errors.As(err, &said) {
		text, _ := json.Marshal(said)
		return string(text)
	}
	return err.Error()
}
