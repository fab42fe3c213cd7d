// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Bodies are what processes do that are killed on the way: "apply", "remove", "gc" and
// "sweep", for the attachment that [Pod.With] hands over.
func Bodies() map[string]func() error {
	return map[string]func() error{
		"apply": forAttachment(func(ctx context.Context, n *node.Node, a resolve.Attachment) error { return n.Apply(ctx, a) }),
		"remove": forAttachment(func(ctx context.Context, n *node.Node, a resolve.Attachment) error {
			return n.Remove(ctx, a.Network, a.ContainerID, a.Ifname)
		}),
		"gc": forAttachment(func(ctx context.Context, n *node.Node, a resolve.Attachment) error {
			return n.GC(ctx, a.Network, nil, true)
		}),
		"sweep": forAttachment(func(ctx context.Context, n *node.Node, _ resolve.Attachment) error { return n.Sweep(ctx, 16) }),
	}
}

// InChild is the body of a process that has 10 seconds for something.
func InChild(do func(context.Context, *node.Node) error) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return do(ctx, node.Default())
	}
}

func forAttachment(do func(context.Context, *node.Node, resolve.Attachment) error) func() error {
	return InChild(func(ctx context.Context, n *node.Node) error {
		var a resolve.Attachment
		if err := json.Unmarshal([]byte(os.Getenv("ATTACHMENT")), &a); err != nil {
			return err
		}
		return do(ctx, n, a)
	})
}

// With is the attachment with other programs, for a child's environment.
func (p *Pod) With(t *testing.T, list []config.Program) []string {
	t.Helper()
	a := p.Attachment
	a.Programs = list
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"ATTACHMENT=" + string(text)}
}

// Finish is what comes after a process that was killed.
type Finish string

// What may come.
const (
	ThenDEL   Finish = "DEL"
	ThenADD   Finish = "ADD"
	ThenGC    Finish = "GC"
	ThenSweep Finish = "sweep"
)

// EachKill runs a body that is killed before each of its changes. The finishes take
// turns: changes in a row leave much the same, and those that do not come again in
// the other tests. At the end nothing may be left. Where tests are to be short it is
// killed before some of the changes.
func EachKill(t *testing.T, body string, env []string, prepare func(t *testing.T), check func(t *testing.T, then Finish), finishes ...Finish) {
	t.Helper()
	kills := 0
	crashtest.AtSome(t, 30, body, env, func(t *testing.T) {
		testenv.NoLeaks(t)
		prepare(t)
	}, func(t *testing.T) {
		then := finishes[kills%len(finishes)]
		kills++
		t.Logf("then %s", then)
		check(t, then)
	})
}

// Begin does what an ADD with these programs does before it takes the chain's lock on the pod's
// side: it stores the objects and writes the attachment's index. It returns the members that
// are to come.
func (p *Pod) Begin(t *testing.T, n *node.Node, list []config.Program) []resolve.Member {
	t.Helper()
	a := p.Attachment
	a.Programs = list
	sides, err := resolve.NewResolver(nil).Sides(&a)
	if err != nil {
		t.Fatal(err)
	}
	members := sides[config.PodSide]
	for _, m := range members {
		if err := n.Store.Put(m.Object); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.BPFFS.Ensure(); err != nil {
		t.Fatal(err)
	}
	index := record.Attachment{Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname, Keys: []chain.Key{p.Key(t, config.PodSide)}}
	if err := n.Records.SaveAttachment(index); err != nil {
		t.Fatal(err)
	}
	return members
}
