// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/conflist"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/schematest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// printed are the schemas of what commands print, and what it is printed from. ID and
// CONFLIST stand for a member's id and a conflist.
var printed = []struct {
	schema string
	value  any
	args   []string
}{
	{"list", []inspect.Chain{}, []string{"list"}},
	{"stats", []inspect.ChainStats{}, []string{"stats"}},
	{"flows", []inspect.ChainFlows{}, []string{"flows"}},
	{"status", []inspect.Hook{}, []string{"status"}},
	{"get", inspect.Detail{}, []string{"get", "ID"}},
	{"check", []doctor.CheckedChain{}, []string{"check", "--all"}},
	{"policy", plannedChains{}, []string{"policy", "--conflist", "CONFLIST", "--annotation", "ratelimit"}},
	{"conflist-validate", []*conflist.Validation{}, []string{"conflist", "validate", "CONFLIST"}},
	{"doctor", []doctor.Finding{}, nil}, // what it finds is the machine's
}

func TestSchemaFields(t *testing.T) {
	for _, p := range printed {
		t.Run(p.schema, func(t *testing.T) { schematest.Open(t, p.schema).Prints(t, p.value) })
	}
}

// xdpctl runs a command in this process and returns what it prints.
func xdpctl(t *testing.T, args ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	cmd := command()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("xdpctl %s: %v", strings.Join(args, " "), err)
	}
	return out.Bytes()
}

// What is printed of chains that have something of everything fits the schemas.
func TestSchemaOfOutput(t *testing.T) {
	testenv.NoLeaks(t)
	netns := testenv.NewNetNS(t)
	testenv.Veth(t, netns, "eth0", hostInterface, 1500)
	on := []string{"--netns", netns, "--iface", "eth0"}
	t.Cleanup(func() { xdpctl(t, append([]string{"unload", "--all"}, on...)...) })
	load := func(args ...string) string {
		return strings.TrimSpace(string(xdpctl(t, append(append([]string{"load", "-q"}, on...), args...)...)))
	}
	load("--program", "flow-stats", "--metadata", "team=network")
	// Two members with one map, so that it has a user.
	load("--program", "ratelimit", "--name", "shared", "--map", `sources={"scope": "node"}`, "--global", "pps=1000")
	id := load("--program", "ratelimit", "--map", `sources={"scope": "node"}`, "--global", "pps=1000", "--proceed-on", "none")
	testenv.Send(t, "", hostInterface, exampleUDP)
	deadline := time.Now().Add(10 * time.Second)
	for !bytes.Contains(xdpctl(t, "stats", "-o", "json"), []byte(`"packets"`)) {
		if time.Now().After(deadline) {
			t.Fatal("no packet was counted")
		}
		time.Sleep(10 * time.Millisecond)
	}

	conflist := filepath.Join(t.TempDir(), "podnet.conflist")
	if err := os.WriteFile(conflist, []byte(exampleConflist), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range printed {
		if p.args == nil {
			continue
		}
		args := strings.Fields(strings.NewReplacer("ID", id, "CONFLIST", conflist).Replace(strings.Join(p.args, " ")))
		output := xdpctl(t, append(args, "-o", "json")...)
		if err := schematest.Open(t, p.schema).Check(output); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
	}
}

const exampleConflist = `{
  "cniVersion": "1.0.0",
  "cniVersions": ["1.0.0", "1.1.0"],
  "name": "podnet",
  "plugins": [
    {"type": "bridge"},
    {
      "type": "xdp-chain",
      "capabilities": {"io.kubernetes.cri.pod-annotations": true},
      "programs": [{"name": "count", "priority": 10}, {"name": "drop", "side": "host"}],
      "annotations": {"allow": ["ratelimit"]}
    }
  ]
}`

// exampleUDP is a frame with a datagram from 192.0.2.1, port 40000, to 192.0.2.2, port 53.
var exampleUDP = []byte{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x08, 0x00,
	0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
	0x9c, 0x40, 0, 53, 0, 8, 0, 0,
}
