// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
)

// FuzzObject parses what may be no object, and takes and configures every program
// of what is one. Nothing may panic, and every error must say that it is about the
// object.
func FuzzObject(f *testing.F) {
	objects, err := filepath.Glob("testdata/*.o")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range objects {
		f.Add(content(f, filepath.Base(path)))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		o, err := New("fuzzed", content)
		if err != nil {
			checkUnusable(t, err)
			return
		}
		for function := range o.spec.Programs {
			p, err := o.Program(function)
			if err != nil {
				checkUnusable(t, err)
				continue
			}
			for name := range p.Spec.Variables {
				for _, value := range fuzzValues {
					checkUnusable(t, p.SetGlobals(map[string]json.RawMessage{name: json.RawMessage(value)}))
				}
			}
			for name := range p.Spec.Maps {
				for _, key := range fuzzValues {
					checkUnusable(t, p.ConfigureMaps(map[string]MapSettings{name: {Entries: entries(key, `{}`)}}))
				}
			}
		}
	})
}

// fuzzValues has one of each kind of JSON value that types take.
var fuzzValues = []string{`1`, `true`, `"10.0.0.0/8"`, `"::1"`, `[]`, `[1]`, `{}`, `{"prefixlen": 1}`}

func checkUnusable(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrUnusable) {
		t.Errorf("%q does not satisfy errors.Is(err, ErrUnusable)", err)
	}
}

// FuzzValue encodes a JSON value as every variable and as key and value of every
// map of the test objects.
func FuzzValue(f *testing.F) {
	for _, value := range append(fuzzValues,
		`-1`, `1.5`, `1e99`, `null`, `"0x10"`, `"RED"`, `"02:00:00:00:00:01"`, `"\u0000"`,
		`{"address": "10.0.0.1", "id": {"whole": 1}}`, `[{"port": 1}, {}]`, `["a", "b"]`,
		`{"verdict": 1, "ports": [1, 2], "from": "10.0.0.0/8"}`, `"${pod.ip}"`, `{`, ``) {
		f.Add([]byte(value))
	}
	globals, maps := load(f, "globals.o"), load(f, "maps.o")
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := globals.Program("globals")
		if err != nil {
			t.Fatal(err)
		}
		expanded, err := pod.Expand(value)
		checkUnusable(t, err)
		for name := range p.Spec.Variables {
			checkUnusable(t, p.SetGlobals(map[string]json.RawMessage{name: value}))
			if err == nil {
				checkUnusable(t, p.SetGlobals(map[string]json.RawMessage{name: expanded}))
			}
		}
		for _, spec := range maps.spec.Maps {
			for _, entry := range []MapEntry{{Key: value, Value: value}, {Key: json.RawMessage(`1`), Value: value}} {
				if contents, err := encodeEntries(spec, []MapEntry{entry}); err == nil {
					checkSizes(t, spec, contents)
				}
			}
		}
	})
}

func checkSizes(t *testing.T, spec *ebpf.MapSpec, contents []ebpf.MapKV) {
	t.Helper()
	for _, kv := range contents {
		if len(kv.Key.([]byte)) != int(spec.KeySize) {
			t.Errorf("a key of %d bytes; the map has %d", len(kv.Key.([]byte)), spec.KeySize)
		}
		if value, ok := kv.Value.([]byte); ok && len(value) != int(spec.ValueSize) {
			t.Errorf("a value of %d bytes; the map has %d", len(value), spec.ValueSize)
		}
	}
}
