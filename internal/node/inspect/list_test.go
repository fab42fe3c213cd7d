// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestListShowsTheOthersBesideABrokenRecord(t *testing.T) {
	n := node.Default()
	good, bad := nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	good.Apply(t, n, nodetest.Programs("count")...)
	bad.Apply(t, n, nodetest.Programs("count")...)
	path := nodetest.Record(n, bad.Key(t, config.PodSide))
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := inspect.List(n.Node)
	if !errors.Is(err, record.ErrBroken) || len(list) != 1 || list[0].Owners[0].ContainerID != good.ContainerID {
		t.Errorf("list %v, %v; want the good one and an ErrBroken", list, err)
	}
	good.Remove(t, n)
	bad.Remove(t, n)
}

func TestListAndStatsInJSON(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("count")...)
	defer p.Remove(t, n)
	p.Send(t, n, 1)
	list, _ := inspect.List(n.Node)
	stats, _ := inspect.Stats(n.Node)
	for _, tt := range []struct {
		value any
		want  []string
	}{
		{list, []string{"key", "interface", "ifindex", "netns", "side", "mode", "attach", "dispatcher", "dispatcherReason", "generation", "owners", "members", "state"}},
		{list[0].Owners, []string{"kind", "network", "containerID", "ifname", "podNamespace", "podName"}},
		{list[0].Members, []string{"name", "function", "priority", "proceedOn", "owner", "position", "id", "createdAt"}},
		{stats, []string{"key", "interface", "state", "rows"}},
		{stats[0].Rows, []string{"member", "verdict", "packets"}},
	} {
		text, err := json.Marshal(tt.value)
		if err != nil {
			t.Fatal(err)
		}
		var got []map[string]json.RawMessage
		if err := json.Unmarshal(text, &got); err != nil || len(got) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
		slices.Sort(tt.want)
		var names []string
		for name := range got[0] {
			names = append(names, name)
		}
		slices.Sort(names)
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}
