// SPDX-License-Identifier: Apache-2.0

package bpf_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")

// Every program has a README whose examples can be put into a configuration.
func TestReadmeExamples(t *testing.T) {
	for _, name := range catalog.Builtins() {
		readme, err := os.ReadFile(filepath.Join(name, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		examples := jsonBlock.FindAllSubmatch(readme, -1)
		if len(examples) == 0 {
			t.Errorf("%s/README.md has no example", name)
		}
		for i, example := range examples {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				var p config.Program
				if err := json.Unmarshal(example[1], &p); err != nil {
					t.Fatal(err)
				}
				if p.Name != name {
					t.Errorf("name %q", p.Name)
				}
				xdptest.Load(t, configured(t, p).Spec)
			})
		}
	}
}

var annotationBlock = regexp.MustCompile("(?s)```yaml\n(" + catalog.Annotation + ":.*?)```")

// A pod may ask for what a README shows as its annotation, where a network allows the
// program.
func TestReadmeAnnotations(t *testing.T) {
	readmes, err := filepath.Glob("*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range readmes {
		readme, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, example := range annotationBlock.FindAllSubmatch(readme, -1) {
			found++
			t.Run(fmt.Sprintf("%s %d", filepath.Dir(path), found), func(t *testing.T) {
				var annotations map[string]string
				if err := yaml.Unmarshal(example[1], &annotations); err != nil {
					t.Fatal(err)
				}
				policy := &config.Policy{Allow: catalog.Builtins(), Priorities: config.Band{Min: 100, Max: 199}, Max: 4}
				programs, err := (*catalog.Catalog)(nil).Programs(policy, annotations[catalog.Annotation], nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range programs {
					xdptest.Load(t, configured(t, p).Spec)
				}
			})
		}
	}
	if found == 0 {
		t.Error("no README shows an annotation")
	}
}

// configured does what a node does with an entry of a configuration.
func configured(t *testing.T, p config.Program) *object.Program {
	t.Helper()
	entry, err := catalog.Builtin(p.Name)
	if err != nil {
		t.Fatal(err)
	}
	o, err := object.New(entry.Origin, entry.Content)
	if err != nil {
		t.Fatal(err)
	}
	program, err := o.Program(entry.Function)
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]object.MapSettings)
	for name, m := range p.Maps {
		given := object.MapSettings{MaxEntries: m.MaxEntries}
		for _, e := range m.Entries {
			given.Entries = append(given.Entries, object.MapEntry(e))
		}
		settings[name] = given
	}
	for what, err := range map[string]error{
		"entry":   p.Check(),
		"lists":   entry.CheckMaps(p.Maps),
		"globals": program.SetGlobals(p.Globals),
		"maps":    program.ConfigureMaps(settings),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	return program
}

// The acl's example does what its README says, from the JSON to the verdict.
func TestReadmeOfACL(t *testing.T) {
	readme, err := os.ReadFile("acl/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var p config.Program
	if err := json.Unmarshal(jsonBlock.FindSubmatch(readme)[1], &p); err != nil {
		t.Fatal(err)
	}
	acl := xdptest.Load(t, configured(t, p).Spec).Programs["acl"]
	tests := []struct {
		name  string
		frame []byte
		want  uint32
	}{
		{"rule 0", frame4("10.0.13.1", xdptest.TCP, 8000), xdptest.Drop},
		{"rule 1", frame4("10.0.12.1", xdptest.TCP, 8999), xdptest.Pass},
		{"rule 1, another port", frame4("10.0.12.1", xdptest.TCP, 9000), xdptest.Drop},
		{"rule 1, another protocol", frame4("10.0.12.1", xdptest.UDP, 8000), xdptest.Drop},
		{"rule 1, another source", frame4("11.0.12.1", xdptest.TCP, 8000), xdptest.Drop},
		{"rule 2", frame6("2001:db8::1", xdptest.TCP, 443), xdptest.Pass},
		{"rule 2, another source", frame6("2001:db9::1", xdptest.TCP, 443), xdptest.Drop},
		{"rule 3", frame4("192.0.2.1", xdptest.ICMP, 0), xdptest.Pass},
		{"rule 4", frame6("2001:db9::1", xdptest.ICMPv6, 0), xdptest.Pass},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := xdptest.Run(t, acl, tt.frame); got != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
		})
	}
}

func frame4(source string, protocol uint8, port uint16) []byte {
	h := xdptest.IPv4{Source: netip.MustParseAddr(source), Protocol: protocol, TTL: 64}
	return xdptest.Ethernet(xdptest.EtherTypeIPv4, h.Packet(xdptest.Segment(port)))
}

func frame6(source string, protocol uint8, port uint16) []byte {
	h := xdptest.IPv6{Source: netip.MustParseAddr(source), NextHeader: protocol, HopLimit: 64}
	return xdptest.Ethernet(xdptest.EtherTypeIPv6, h.Packet(xdptest.Segment(port)))
}
