// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestAsManyMembersAsThereCanBe(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	object := nodetest.Path(t, "bpf/pass/pass.o")
	list := make([]config.Program, 65)
	for i := range list {
		list[i] = config.Program{Name: fmt.Sprintf("member-%d", i), Object: object}
	}
	p.Programs = list
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, chain.ErrTooManyMembers) {
		t.Errorf("65 members: %v", err)
	}
	if a := p.Attached(t, config.PodSide); a.ProgramID != 0 {
		t.Errorf("65 members: the interface carries %s", a)
	}
	p.Apply(t, n, list[:64]...)
	p.Check(t, n)
	p.Send(t, n, 1)
	p.Programs = list
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, chain.ErrTooManyMembers) {
		t.Errorf("one more: %v", err)
	}
	p.Programs = list[:64]
	p.Check(t, n)
	p.Remove(t, n)
}

// Owners of several networks come and go at once, on chains and with maps that they
// share, while somebody sweeps and looks.
func TestManyAtOnce(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	testenv.NoLeaks(t)
	n := node.Default()
	var busy sync.WaitGroup
	for range 3 {
		p := nodetest.NewPod(t, 0)
		for i, network := range []string{"a", "b"} {
			owner := *p
			owner.Network = network
			owner.Programs = nodetest.Sharing()
			owner.Programs[0].Name = "count-" + network
			owner.Programs[0].Object = nodetest.Path(t, "bpf/count/count.o")
			owner.Programs[0].Priority = &i
			busy.Go(func() {
				for range rounds {
					if err := errors.Join(n.Apply(t.Context(), owner.Attachment), n.Check(t.Context(), owner.Attachment)); err != nil {
						t.Error(err)
					}
					if err := n.Remove(t.Context(), owner.Network, owner.ContainerID, owner.Ifname); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	stop := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, errStats := inspect.Stats(n.Node)
			if err := errors.Join(errStats, n.Sweep(t.Context(), 16)); err != nil {
				t.Error(err)
			}
		}
	})
	busy.Wait()
	close(stop)
	looking.Wait()
}
