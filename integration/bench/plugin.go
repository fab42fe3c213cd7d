// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// network is the name of the network in every configuration.
const network = "bench"

// fields are a JSON object.
type fields = map[string]any

// plugin is a CNI plugin with its configuration for one pod.
type plugin struct {
	path  string
	pod   *pod
	stdin []byte
}

// newPlugin makes a plugin's configuration, as a runtime hands it over when the
// plugins before it have made the pod's interface.
func newPlugin(path string, p *pod, conf fields) (*plugin, error) {
	all := fields{
		"cniVersion": "1.0.0",
		"name":       network,
		"type":       filepath.Base(path),
		"prevResult": fields{
			"cniVersion": "1.0.0",
			"interfaces": []fields{{"name": podInterface, "sandbox": p.path}},
			"ips":        []fields{{"interface": 0, "address": "10.0.0.2/24"}},
		},
	}
	for field, value := range conf {
		all[field] = value
	}
	stdin, err := json.Marshal(all)
	return &plugin{path: path, pod: p, stdin: stdin}, err
}

// run runs the plugin, as a runtime does, and returns how long it took from its
// start to its end.
func (p *plugin) run(verb string) (time.Duration, error) {
	cmd := exec.Command(p.path)
	cmd.Env = []string{
		"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + p.pod.name, "CNI_NETNS=" + p.pod.path,
		"CNI_IFNAME=" + podInterface, "CNI_PATH=" + filepath.Dir(p.path),
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(p.stdin), &out, &out
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s %s of pod %s: %w: %s", filepath.Base(p.path), verb, p.pod.name, err, out.Bytes())
	}
	return took, nil
}

func (p *plugin) add() (time.Duration, error) { return p.run("ADD") }

func (p *plugin) del() (time.Duration, error) { return p.run("DEL") }
