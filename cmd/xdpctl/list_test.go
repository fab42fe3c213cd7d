// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

var (
	podKey  = chain.Key{Cookie: 20481, Ifindex: 2}
	hostKey = chain.Key{Cookie: 1, Ifindex: 1017}
	offKey  = chain.Key{Cookie: 4, Ifindex: 3}
)

// listedAt is when the example is looked at.
var listedAt = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func exampleChains() []inspect.Chain {
	owner := record.Owner{Network: "podnet", ContainerID: "c1", Ifname: "eth0", PodNamespace: "shop", PodName: "web-0"}
	member := func(position int, id record.ID, age time.Duration, name string, priority int, proceedOn chain.ActionSet) inspect.Member {
		return inspect.Member{
			Member:   chain.Member{Name: name, Function: "xdp_" + name, Priority: priority, ProceedOn: proceedOn},
			Position: position, ID: id, CreatedAt: listedAt.Add(-age), Owner: owner,
		}
	}
	acl := member(1, 12, 0, "acl", 100, chain.ActionSetOf(chain.Pass))
	acl.Owner, acl.Metadata = record.Owner{Kind: record.OwnerCLI}, map[string]string{"why": "a b", "ticket": "NET-7"}
	others := member(2, 0, 0, "xdpf", 200, chain.ActionSetOf(chain.Pass))
	others.Owner, others.ProgramID, others.CreatedAt = record.Owner{Kind: record.OwnerLibxdp}, 4711, time.Time{}
	return []inspect.Chain{
		{
			Key: hostKey,
			Placement: inspect.Placement{
				Interface: "veth3f2a11c0", Ifindex: 1017, NetNS: "/proc/1/ns/net", Side: config.HostSide,
				Mode: chain.ModeGeneric, ModeReason: "MTU 9000 is over 3506", Attach: chain.AttachLink, Dispatcher: chain.DispatcherLinked,
			},
			Generation: 1, Owners: []record.Owner{owner},
			Members: []inspect.Member{member(0, 7, 2*time.Hour, "mine", 5, 0)},
		},
		{
			Key: podKey,
			Placement: inspect.Placement{
				Interface: "eth0", Ifindex: 2, NetNS: "/run/netns/a", Side: config.PodSide,
				Mode: chain.ModeNative, Attach: chain.AttachLink, Dispatcher: chain.DispatcherLinked,
			},
			PeerGRO: "veth3f2a11c0", Generation: 3, Owners: []record.Owner{owner, owner},
			Members: []inspect.Member{
				member(0, 8, 90*time.Second, "count", 10, chain.DefaultProceedOn), acl, others,
			},
		},
		{
			Key: offKey,
			Placement: inspect.Placement{
				Interface: "eth0", Ifindex: 3, NetNS: "/run/netns/b", Side: config.PodSide,
				Mode: chain.ModeNative, Attach: chain.AttachLink, Dispatcher: chain.DispatcherLinked,
			},
			Owners: []record.Owner{{Network: "podnet", ContainerID: "c2", Ifname: "eth0"}},
		},
	}
}

// wantText compares a table, and holds it to the width of a terminal.
func wantText(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(got) {
		if len(line) > 81 {
			t.Errorf("line of %d columns: %s", len(line)-1, line)
		}
	}
}

func TestListTable(t *testing.T) {
	wantText(t, `
CHAIN    POD           INTERFACE     SIDE  MODE
  POS  ID  NAME   PRIORITY  PROCEEDS ON             OWNER   AGE
1-1017   shop/web-0    veth3f2a11c0  host  generic
  mode generic: MTU 9000 is over 3506
    0   7  mine          5  none                    podnet   2h
20481-2  shop/web-0    eth0          pod   native
  GRO is on at veth3f2a11c0, the other end, for members that transmit
    0   8  count        10  pass,dispatcher_return  podnet  90s
    1  12  acl         100  pass                    cli      0s
    2      xdpf        200  pass                    libxdp
4-3      /run/netns/b  eth0          pod   native
`, listText(render.Screen{}, exampleChains(), listedAt))
}

func TestListTableOfAChainThatIsGone(t *testing.T) {
	chains := exampleChains()[:1]
	chains[0].State, chains[0].Reason = state.Gone, "its interface veth3f2a11c0 is gone"
	wantText(t, `
CHAIN   POD         INTERFACE     SIDE  MODE
  POS  ID  NAME  PRIORITY  PROCEEDS ON  OWNER   AGE
1-1017  shop/web-0  veth3f2a11c0  host  generic
  gone: its interface veth3f2a11c0 is gone
  mode generic: MTU 9000 is over 3506
    0   7  mine         5  none         podnet   2h
`, listText(render.Screen{}, chains, listedAt))
}

func TestListWide(t *testing.T) {
	const want = `CHAIN    POD         INTERFACE  SIDE  MODE    DISPATCHER  ATTACH  GENERATION  NETNS
  POS  ID  NAME   FUNCTION   PRIORITY  PROCEEDS ON             OWNER   AGE  CREATED               PROGRAM  METADATA
20481-2  shop/web-0  eth0       pod   native  linked      link             3  /run/netns/a
  GRO is on at veth3f2a11c0, the other end, for members that transmit
    0   8  count  xdp_count        10  pass,dispatcher_return  podnet  90s  2026-11-21T11:58:30Z
    1  12  acl    xdp_acl         100  pass                    cli      0s  2026-11-21T12:00:00Z           ticket=NET-7 why=a b
    2      xdpf   xdp_xdpf        200  pass                    libxdp                                4711
`
	if diff := cmp.Diff(want, listText(render.Screen{Wide: true}, exampleChains()[1:2], listedAt)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// A terminal of 60 columns has the long cut and the sentences wrapped.
func TestListOnTerminal(t *testing.T) {
	chains := exampleChains()[:1]
	chains[0].Owners[0].PodName = "a-pod-with-a-name-of-a-length-that-nobody-types"
	chains[0].ModeReason = strings.Repeat("words ", 15)
	wantText(t, `
CHAIN   POD                      INTERFACE     SIDE  MODE
  POS  ID  NAME  PRIORITY  PROCEEDS ON  OWNER   AGE
1-1017  shop/a-pod-with-a-name…  veth3f2a11c0  host  generic
  mode generic: words words words words words words words
    words words words words words words words words
    0   7  mine         5  none         podnet   2h
`, listText(render.Screen{Width: 60}, chains, listedAt))
}
