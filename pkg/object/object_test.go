// SPDX-License-Identifier: Apache-2.0

package object

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

//go:generate ../../bpf/compile.sh testdata/globals.c testdata/globals.o
//go:generate ../../bpf/compile.sh testdata/maps.c testdata/maps.o
//go:generate ../../bpf/compile.sh testdata/several.c testdata/several.o
//go:generate ../../bpf/compile.sh testdata/runconfig.c testdata/runconfig.o
//go:generate ../../bpf/compile.sh testdata/stages.c testdata/stages.o
//go:generate ../../bpf/compile.sh testdata/refused.c testdata/refused.o
//go:generate ../../bpf/compile.sh testdata/noxdp.c testdata/noxdp.o
//go:generate ../../bpf/compile.sh testdata/plain.c testdata/plain.o
//go:generate llvm-objcopy-19 --remove-section=.BTF --remove-section=.rel.BTF --remove-section=.BTF.ext --remove-section=.rel.BTF.ext testdata/plain.o testdata/nobtf.o

// load parses one of the objects of testdata.
func load(t testing.TB, name string) *Object {
	t.Helper()
	o, err := New(name, content(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func content(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// program takes a program out of one of the objects of testdata.
func program(t testing.TB, name, function string) *Program {
	t.Helper()
	p, err := load(t, name).Program(function)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantError fails the test unless err is about an unusable object and its message
// has all the parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	if !errors.Is(err, ErrUnusable) {
		t.Errorf("%q does not satisfy errors.Is(err, ErrUnusable)", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestObjectKnowsItsContent(t *testing.T) {
	bytes := content(t, "plain.o")
	o := load(t, "plain.o")
	if !slices.Equal(o.Content(), bytes) {
		t.Error("Content is not what was parsed")
	}
	if !strings.HasPrefix(o.Digest, "sha256:") || len(o.Digest) != len("sha256:")+64 {
		t.Errorf("Digest is %q", o.Digest)
	}
}

func TestProgramTakesWhatItUsesAlone(t *testing.T) {
	tests := []struct {
		object, function string
		maps, variables  []string
		frags, gpl       bool
		license          string
	}{
		{"several.o", "first", []string{"of_first"}, nil, false, false, "Proprietary"},
		{"several.o", "second", nil, nil, true, false, "Proprietary"},
		{"plain.o", "", []string{".rodata"}, []string{"verdict"}, false, false, ""},
		{"globals.o", "others", []string{".data.other"}, []string{"other"}, false, true, "Dual BSD/GPL"},
		{"nobtf.o", "plain", []string{".rodata"}, []string{"verdict"}, false, false, ""},
		{
			"maps.o", "filter",
			[]string{"by_tag", "each", "events", "first", "jumps", "list", "names", "ports", "rules", "rules6", "tables", "untyped"},
			nil, false, true, "Dual BSD/GPL",
		},
	}
	for _, test := range tests {
		t.Run(test.object+" "+test.function, func(t *testing.T) {
			p := program(t, test.object, test.function)
			if len(p.Spec.Programs) != 1 || p.Spec.Programs[p.Function] == nil {
				t.Errorf("the spec holds programs %v; want %q alone", keys(p.Spec.Programs), p.Function)
			}
			if diff := cmp.Diff(test.maps, keys(p.Spec.Maps)); diff != "" {
				t.Errorf("maps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.variables, keys(p.Spec.Variables)); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
			if p.Frags != test.frags || p.License != test.license || p.GPLCompatible != test.gpl {
				t.Errorf("frags %v, license %q, GPL-compatible %v; want %v, %q, %v",
					p.Frags, p.License, p.GPLCompatible, test.frags, test.license, test.gpl)
			}
		})
	}
}

func keys[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func TestChoiceSaysWhatTheObjectHolds(t *testing.T) {
	const all = "classify (tc), first (xdp), on_cpumap (xdp.frags/cpumap), on_devmap (xdp/devmap), plain (prog), second (xdp.frags)"
	tests := []struct {
		object, function string
		want             []string
	}{
		{"several.o", "", []string{"object several.o: 2 XDP programs; name one with function", all}},
		{"several.o", "third", []string{`no program "third"`, all}},
		{"several.o", "look", []string{`no program "look"`, all}},
		{"several.o", "classify", []string{"SchedCLS", `section "tc"`, "not XDP"}},
		{"several.o", "plain", []string{`section "prog"`, `SEC("xdp")`}},
		{"several.o", "on_devmap", []string{"xdp/devmap", "devmap redirects"}},
		{"several.o", "on_cpumap", []string{"xdp.frags/cpumap", "cpumap redirects"}},
		{"noxdp.o", "", []string{"no XDP program", "classify (tc)"}},
		{"refused.o", "on_kconfig", []string{"LINUX_KERNEL_VERSION", "__kconfig"}},
		{"refused.o", "on_metadata", []string{"bpf_xdp_metadata_rx_timestamp", "bound to one device"}},
		{"refused.o", "on_programs", []string{`map "targets"`, "filled with programs"}},
		{"refused.o", "on_memory", []string{`map "memory"`, "1048576 entries of 4104 bytes", "1073741824 bytes"}},
	}
	for _, test := range tests {
		t.Run(test.object+" "+test.function, func(t *testing.T) {
			_, err := load(t, test.object).Program(test.function)
			wantError(t, err, test.want...)
		})
	}
}

func TestProgramsOfOneObjectShareNothing(t *testing.T) {
	o := load(t, "globals.o")
	take := func() *Program {
		p, err := o.Program("globals")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first, second := take(), take()
	if err := first.SetGlobals(raw(`{"limit": 1, "u32": 8}`)); err != nil {
		t.Fatal(err)
	}
	first.Spec.Programs["globals"].Instructions[0].Constant = 99
	first.Spec.Maps[".data"].MaxEntries = 99
	for name, p := range map[string]*Program{"second": second, "third": take()} {
		var limit, u32 uint32
		if err := errors.Join(p.Spec.Variables["limit"].Get(&limit), p.Spec.Variables["u32"].Get(&u32)); err != nil {
			t.Fatal(err)
		}
		if limit != 100 || u32 != 7 || p.Spec.Maps[".data"].MaxEntries != 1 || p.Spec.Programs["globals"].Instructions[0].Constant == 99 {
			t.Errorf("the %s program changed with the first", name)
		}
		if section := p.Spec.Maps[".data"].Contents[0].Value.([]byte); section[p.Spec.Variables["limit"].Offset] != 100 {
			t.Errorf("the %s program's .data changed with the first", name)
		}
	}
}

// TestProgramsAtOnce is for the race detector.
func TestProgramsAtOnce(t *testing.T) {
	o := load(t, "globals.o")
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			p, err := o.Program("globals")
			if err != nil {
				t.Error(err)
				return
			}
			if err := p.SetGlobals(raw(`{"limit": 1, "color": "BLUE", "words": ["a", "b"]}`)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

func BenchmarkNew(b *testing.B) {
	for _, name := range []string{"plain.o", "maps.o", "globals.o"} {
		b.Run(name, func(b *testing.B) {
			bytes := content(b, name)
			for b.Loop() {
				if _, err := New(name, bytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProgram(b *testing.B) {
	for name, function := range map[string]string{"plain.o": "plain", "maps.o": "filter", "globals.o": "globals"} {
		b.Run(name, func(b *testing.B) {
			o := load(b, name)
			for b.Loop() {
				if _, err := o.Program(function); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// install writes an object into a new folder, as root would, and returns its path.
func install(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "needs root, to whom the files must belong")
	}
	path := filepath.Join(t.TempDir(), "plain.o")
	if err := os.WriteFile(path, content(t, "plain.o"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	path := install(t)
	linked := filepath.Join(t.TempDir(), "link.o")
	if err := os.Symlink(path, linked); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, linked} {
		o, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if o.Origin != path || o.Digest != load(t, "plain.o").Digest {
			t.Errorf("origin %s, digest %s", o.Origin, o.Digest)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name string
		make func(path string) error
		want string
	}{
		{"missing", os.Remove, "no such file"},
		{"folder", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, "a folder, not a regular file"},
		{"FIFO", func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o644)) }, "a FIFO, not a regular file"},
		{"device", func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/null", path)) }, "a device, not a regular file"},
		{"too large", func(path string) error { return os.Truncate(path, MaxSize+1) }, "16777217 bytes"},
		{"writable by the group", func(path string) error { return os.Chmod(path, 0o664) }, "writable by others than root (mode 0664)"},
		{"writable by all", func(path string) error { return os.Chmod(path, 0o646) }, "writable by others than root (mode 0646)"},
		{"another's", func(path string) error { return os.Chown(path, 65534, 0) }, "belongs to user 65534"},
		{"in a writable folder", func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) }, "is writable by others than root (mode 0777)"},
		{"in another's folder", func(path string) error { return os.Chown(filepath.Dir(path), 65534, 0) }, "belongs to user 65534"},
		{"not ELF", func(path string) error { return os.WriteFile(path, []byte("\x7fELS"), 0o644) }, "not an ELF file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := install(t)
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			wantError(t, err, "object "+path+": ", test.want)
			if test.name == "missing" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v does not satisfy errors.Is(err, fs.ErrNotExist)", err)
			}
		})
	}
}

func TestOpenTakesStickyFolders(t *testing.T) {
	path := install(t)
	if err := os.Chmod(filepath.Dir(path), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err != nil {
		t.Error(err)
	}
}

func TestRunConfig(t *testing.T) {
	tests := []struct {
		function string
		want     chain.RunConfig
	}{
		{"silent", chain.RunConfig{}},
		{"both", chain.RunConfig{Priority: new(10), ProceedOn: new(chain.DefaultProceedOn | chain.ActionSetOf(chain.Drop))}},
		{"only_priority", chain.RunConfig{Priority: new(0)}},
		{"only_actions", chain.RunConfig{ProceedOn: new(chain.ActionSetOf(chain.TX, chain.DispatcherReturn))}},
	}
	for _, test := range tests {
		t.Run(test.function, func(t *testing.T) {
			if diff := cmp.Diff(test.want, program(t, "runconfig.o", test.function).RunConfig); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunConfigRefuses(t *testing.T) {
	tests := []struct{ function, want string }{
		{"unknown", `unknown member "XDP_HOLD"`},
		{"huge", "priority 2147483648"},
		{"mistyped", `member "priority": it is int; declare it with __uint`},
		{"no_struct", "_no_struct is int, not a struct"},
	}
	for _, test := range tests {
		t.Run(test.function, func(t *testing.T) {
			_, err := load(t, "runconfig.o").Program(test.function)
			wantError(t, err, "object runconfig.o", test.function, test.want)
		})
	}
}
