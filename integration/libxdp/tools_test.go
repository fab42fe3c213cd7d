// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// tools are libxdp's tools as an operator runs them for one interface.
type tools struct {
	netns  string // path; "": the host's
	ifname string
	bpffs  string // LIBXDP_BPFFS; "": libxdp's plain tree
	alone  bool   // LIBXDP_SKIP_DISPATCHER: load programs without a dispatcher
}

// plainTree is where libxdp's tools keep their pins if nobody tells them otherwise.
const plainTree = "/sys/fs/bpf/xdp"

// podTools are the tools for the pod's end, in the plain tree.
func podTools(p *plugintest.Pod) tools { return tools{netns: p.NetNS, ifname: p.Ifname} }

// chainTools are the tools for the pod's end, in the tree of the pod's chain.
func chainTools(t *testing.T, p *plugintest.Pod) tools {
	t.Helper()
	cookie, _, _ := strings.Cut(p.ChainOn(t, "pod").Key, "-")
	x := podTools(p)
	x.bpffs = filepath.Join("/sys/fs/bpf/xdp-chain/netns", cookie)
	return x
}

// timeout is how long a tool may take. One that takes longer waits for a lock that
// nobody gives back.
const timeout = time.Minute

// command prepares a tool; the caller cancels the context.
func (x tools) command(ctx context.Context, tool string, args ...string) *exec.Cmd {
	argv := append([]string{tool}, args...)
	if x.netns != "" {
		argv = append([]string{"nsenter", "--net=" + x.netns}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = os.Environ()
	if x.bpffs != "" {
		cmd.Env = append(cmd.Env, "LIBXDP_BPFFS="+x.bpffs)
	}
	if x.alone {
		cmd.Env = append(cmd.Env, "LIBXDP_SKIP_DISPATCHER=1")
	}
	return cmd
}

// try runs a tool and returns what it printed.
func (x tools) try(tool string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	out, err := x.command(ctx, tool, args...).CombinedOutput()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", tool, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// run runs a tool, which must succeed.
func (x tools) run(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := x.try(tool, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refuse runs a tool, which must fail, and returns what it printed.
func (x tools) refuse(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := x.try(tool, args...)
	if err == nil {
		t.Fatalf("%s %s succeeded", tool, strings.Join(args, " "))
	}
	return out
}

// load has xdp-loader load the member of testdata/mark.c that signs with the letter.
func (x tools) load(t *testing.T, letter string, priority int) {
	t.Helper()
	if err := x.tryLoad(letter, priority); err != nil {
		t.Fatal(err)
	}
}

func (x tools) tryLoad(letter string, priority int) error {
	_, err := x.try("xdp-loader", "load", x.ifname, "testdata/mark.o", "-n", "mark_"+letter, "-P", fmt.Sprint(priority))
	return err
}

// unload has xdp-loader unload the member of that name.
func (x tools) unload(t *testing.T, function string) {
	t.Helper()
	m, err := x.find(function)
	if err != nil {
		t.Fatal(err)
	}
	if m == nil {
		t.Fatalf("xdp-loader shows no %s", function)
	}
	x.run(t, "xdp-loader", "unload", x.ifname, "-i", fmt.Sprint(m.id))
}

// find returns the member of that name as xdp-loader shows it, nil where it shows none.
func (x tools) find(function string) (*shown, error) {
	s, err := x.tryStatus()
	if i := slices.IndexFunc(s.members, func(m shown) bool { return m.name == function }); i >= 0 {
		return &s.members[i], nil
	}
	return nil, err
}

// unloadAll has xdp-loader unload everything.
func (x tools) unloadAll(t *testing.T) {
	t.Helper()
	x.run(t, "xdp-loader", "unload", x.ifname, "--all")
}

// status returns what xdp-loader shows of the interface.
func (x tools) status(t *testing.T) status {
	t.Helper()
	s, err := x.tryStatus()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (x tools) tryStatus() (status, error) {
	out, err := x.try("xdp-loader", "status", x.ifname)
	if err != nil {
		return status{}, err
	}
	return statusOf(out)
}

// status is what `xdp-loader status` shows of one interface.
type status struct {
	program string // on the hook; "" where there is none
	mode    string // native, skb
	id      uint32
	members []shown // in running order; none where the program is no dispatcher
}

// shown is a member as xdp-loader shows it.
type shown struct {
	name     string
	priority int
	actions  string // XDP_PASS,XDP_DROP
	id       uint32
}

// names returns the members' functions in running order.
func (s status) names() []string {
	var names []string
	for _, m := range s.members {
		names = append(names, m.name)
	}
	return names
}

// unnumbered is the status without the ids, which a test cannot know before.
func (s status) unnumbered() []shown {
	var members []shown
	for _, m := range s.members {
		m.id = 0
		members = append(members, m)
	}
	return members
}

// statusOf reads the table of `xdp-loader status`: a line for the interface with
//
//	Interface  Prio  Program name  Mode  ID  Tag  Chain actions
//
// of which it leaves out Prio and Chain actions, and a line " =>" for each member,
// which leaves out Mode.
func statusOf(text string) (s status, err error) {
	_, table, found := strings.Cut(text, "-----\n")
	if !found {
		return s, fmt.Errorf("xdp-loader shows no table:\n%s", text)
	}
	for line := range strings.Lines(table) {
		var m shown
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.Contains(line, "<No XDP program loaded!>"):
		case words[0] == "=>":
			_, err = fmt.Sscan(line[len(" =>"):], &m.priority, &m.name, &m.id, new(string), &m.actions)
			s.members = append(s.members, m)
		default:
			_, err = fmt.Sscan(line, new(string), &s.program, &s.mode, &s.id)
		}
		if err != nil {
			return s, fmt.Errorf("xdp-loader shows a line that is not understood, %q: %w", line, err)
		}
	}
	return s, nil
}

// wantMembers fails the test unless xdp-loader shows these functions, in this order.
func wantMembers(t *testing.T, x tools, functions ...string) {
	t.Helper()
	if diff := cmp.Diff(functions, x.status(t).names()); diff != "" {
		t.Errorf("xdp-loader shows other members (-want +got):\n%s", diff)
	}
}
