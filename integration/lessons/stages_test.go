// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// needStages skips a test with libxdp's dispatcher where the kernel does not let its
// extension programs use a map that holds XDP programs.
func needStages(t *testing.T, dispatcher string) {
	t.Helper()
	version, err := features.LinuxVersionCode()
	if err == nil && dispatcher == "libxdp" && version >= 5<<16|18<<8 && version < 6<<16|2<<8 {
		err = fmt.Errorf("%w: second stages of extension programs", ebpf.ErrNotSupported)
	}
	testenv.NeedKernel(t, err)
}

// stamped is what a frame is after leave_interface.
func stamped(frame []byte, mark byte, by *end) []byte {
	from := mac(frame[6:])
	from[4], from[5] = mark, byte(by.ifindex)
	return between(mac(frame), from, frame)
}

// toPort is a member that redirects to an end, where an entry program stamps and counts what
// leaves, and drops what asks for it.
func toPort(to *end, path string, mark byte) fields {
	return fields{
		"name": "to-port", "object": path, "function": "to_port", "globals": fields{"mark": mark},
		"maps": fields{"ports": fields{"entries": []fields{{"key": 0, "value": fields{"ifindex": to.ifindex, "program": "leave_interface"}}}}},
	}
}

// A program in the entry of a devmap runs on what leaves by the entry's interface.
func TestEntryProgramOfDevmap(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		needStages(t, dispatcher)
		left, right := newEnd(t), newEnd(t)
		chain(t, left.Pod, dispatcher, receive()...)
		chain(t, right.Pod, dispatcher, onHost(front(), toPort(left, object(t, "stages.o"), 0x5a), behind(t))...)
		sent := [][]byte{asking(pass), asking(drop), asking(pass)}
		tp := listenInside(t, left.Pod)
		testenv.Send(t, right.NetNS, right.Ifname, sent...)
		want := [][]byte{stamped(sent[0], 0x5a, left), stamped(sent[2], 0x5a, left)}
		if diff := cmp.Diff(want, tp.until(t, sent[2])); diff != "" {
			t.Errorf("what arrives (-want +got):\n%s", diff)
		}
		counts := tallied(pass, sent[0], sent[2])
		counts[drop] = tallied(drop, sent[1])[drop]
		wantTallies(t, mapOf(t, right.Pod, "host", "to-port", "second"), counts)
		wantTallies(t, mapOf(t, right.Pod, "host", "behind", "tallies"), tallied(pass))
		wantDecided(t, right.Pod, dispatcher, "host", "to-port", "redirect", 3)
	})
}

// Second stages stay what they are when their chain is built anew from the record and the
// store, also where that no longer, or again, takes packets of several buffers. They get
// new values of global variables.
func TestEntryProgramStays(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		needStages(t, dispatcher)
		left, right := newEnd(t), newEnd(t)
		chain(t, left.Pod, dispatcher, receive()...)
		path := object(t, "stages.o")
		confOf := func(mark byte) fields {
			return right.Chained(fields{"dispatcher": dispatcher, "mode": "native"}, onHost(front(), toPort(left, path, mark))...)
		}
		conf := confOf(1)
		right.Must(t, "ADD", conf)
		t.Cleanup(func() { right.Must(t, "DEL", conf) })
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var sent [][]byte
		check := func(mark byte) {
			t.Helper()
			frame := asking(pass)
			crosses(t, right, left, frame, stamped(frame, mark, left))
			sent = append(sent, frame)
			wantTallies(t, mapOf(t, right.Pod, "host", "to-port", "second"), tallied(pass, sent...))
		}
		check(1)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		// Another network's member, which takes packets of one buffer alone.
		other := right.Chained(fields{"name": "othernet", "dispatcher": dispatcher, "mode": "native"},
			onHost(member(t, "counter.o", "count_actions", fields{"priority": 20}))...)
		right.Must(t, "ADD", other)
		check(1)
		wantTallies(t, mapOf(t, right.Pod, "host", "count-actions", "tallies"), tallied(pass, sent[1]))
		right.Must(t, "DEL", other)
		check(1)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		conf = confOf(2)
		right.Must(t, "ADD", conf)
		check(2)
		right.Must(t, "CHECK", conf)
	})
}

// What somebody has put into a devmap stays in it when the chain no longer takes packets of
// several buffers.
func TestPortsByHandStay(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		left, right := newEnd(t), newEnd(t)
		chain(t, left.Pod, dispatcher, receive()...)
		chain(t, right.Pod, dispatcher, onHost(front(), member(t, "stages.o", "to_port", nil))...)
		ports := mapOf(t, right.Pod, "host", "to-port", "ports")
		if err := ports.Put(uint32(0), struct{ Ifindex, Program uint32 }{uint32(left.ifindex), 0}); err != nil {
			t.Fatal(err)
		}
		frame := asking(pass)
		crosses(t, right, left, frame, frame)
		other := right.Chained(fields{"name": "othernet", "dispatcher": dispatcher, "mode": "native"},
			onHost(member(t, "counter.o", "count_actions", fields{"priority": 20}))...)
		right.Must(t, "ADD", other)
		t.Cleanup(func() { right.Must(t, "DEL", other) })
		frame = asking(pass)
		crosses(t, right, left, frame, frame)
		wantTallies(t, mapOf(t, right.Pod, "host", "count-actions", "tallies"), tallied(pass, frame))
	})
}

// A program in the entry of a cpumap runs on the CPU that the entry leads to.
func TestEntryProgramOfCPUMap(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		needStages(t, dispatcher)
		p := plugintest.WiredPod(t, 0)
		chain(t, p, dispatcher, front(), member(t, "stages.o", "to_cpu", fields{"maps": fields{
			"cpus": fields{"entries": []fields{{"key": 0, "value": fields{"qsize": 192, "program": "arrive_on_cpu"}}}},
		}}), behind(t))
		sent := [][]byte{asking(pass), asking(drop), asking(drop), asking(pass)}
		wantThrough(t, p, [][]byte{sent[0], sent[3]}, sent...)
		counts := tallied(pass, sent[0], sent[3])
		counts[drop] = tallied(drop, sent[1], sent[2])[drop]
		m := mapOf(t, p, "pod", "to-cpu", "second")
		wantTallies(t, m, counts)
		for action := range counts {
			var perCPU []tally
			if err := m.Lookup(action, &perCPU); err != nil {
				t.Fatal(err)
			}
			if perCPU[0].Packets != 2 {
				t.Errorf("CPU 0 did not run the entry program: %v", perCPU)
			}
		}
		wantDecided(t, p, dispatcher, "pod", "to-cpu", "redirect", 4)
	})
}

// Second stages are loaded for their kind of map, and the kernel holds them in it.
func TestEntryProgramIsLoaded(t *testing.T) {
	testenv.NoLeaks(t)
	left, right := newEnd(t), newEnd(t)
	chain(t, right.Pod, "linked", onHost(toPort(left, object(t, "stages.o"), 1))...)
	// struct bpf_devmap_val, as the kernel gives it back: with the program's id.
	var value struct{ Ifindex, Program uint32 }
	if err := mapOf(t, right.Pod, "host", "to-port", "ports").Lookup(uint32(0), &value); err != nil {
		t.Fatal(err)
	}
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(value.Program))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Type != ebpf.XDP || info.Name != "leave_interface" || value.Ifindex != uint32(left.ifindex) {
		t.Errorf("interface %d, program %q of type %s", value.Ifindex, info.Name, info.Type)
	}
}

func TestEntryProgramRefused(t *testing.T) {
	testenv.NoLeaks(t)
	p := newEnd(t)
	for _, test := range []struct {
		ifindex int
		program string
		words   []string
	}{
		{p.ifindex, "nothing", []string{`map "ports"`, `no program "nothing"`, "leave_interface (xdp.frags/devmap)"}},
		{p.ifindex, "to_cpu", []string{`program "to_cpu" (section "xdp.frags") cannot run on what a map of type DevMap redirects`, `SEC("xdp/devmap")`}},
		{p.ifindex, "arrive_on_cpu", []string{`program "arrive_on_cpu" (section "xdp.frags/cpumap")`}},
		{999, "leave_interface", []string{`filling map "ports" of member "to-port"`, "entry 0 needs an interface of the network namespace that the chain's is in"}},
	} {
		t.Run(fmt.Sprint(test.program, test.ifindex), func(t *testing.T) {
			m := toPort(&end{ifindex: test.ifindex}, object(t, "stages.o"), 1)
			m["maps"].(fields)["ports"].(fields)["entries"].([]fields)[0]["value"].(fields)["program"] = test.program
			p.Refuse(t, "ADD", p.Chained(nil, onHost(m)...), 103, test.words...)
		})
	}
}

// The interfaces of entries are of the namespace that the chain is in.
func TestPortsOfThePod(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	m := toPort(&end{ifindex: 999}, object(t, "stages.o"), 1)
	m["maps"].(fields)["ports"].(fields)["entries"].([]fields)[0]["value"].(fields)["ifindex"] = "${pod.ifindex}"
	chain(t, p, "linked", m)
	var value struct{ Ifindex, Program uint32 }
	if err := mapOf(t, p, "pod", "to-port", "ports").Lookup(uint32(0), &value); err != nil {
		t.Fatal(err)
	}
	if want := uint32(p.ChainOn(t, "pod").Ifindex); value.Ifindex != want || value.Program == 0 {
		t.Errorf("the entry is %+v, want interface %d", value, want)
	}
}

// A member that gets another program gets that one's entry program, too.
func TestEntryProgramIsReplaced(t *testing.T) {
	testenv.NoLeaks(t)
	left, right := newEnd(t), newEnd(t)
	chain(t, left.Pod, "linked", receive()...)
	path := object(t, "stages.o")
	entry := fmt.Sprintf(`ports={"entries": [{"key": 0, "value": {"ifindex": %d, "program": "leave_interface"}}]}`, left.ifindex)
	id := xdpctl(t, "load", "--quiet", "--iface", right.Host, "--object", path, "--function", "to_port", "--global", "mark=1", "--map", entry)
	t.Cleanup(func() { xdpctl(t, "unload", id) })
	for _, mark := range []byte{1, 2} {
		frame := asking(pass)
		crosses(t, right, left, frame, stamped(frame, mark, left))
		xdpctl(t, "replace", id, "--object", path, "--function", "to_port", "--global", fmt.Sprintf("mark=%d", mark+1))
	}
}

// xdpctl runs a command of the operator's and returns what it prints.
func xdpctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(plugintest.Binary(t, "xdpctl"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("xdpctl %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
