// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// ErrNoChain is wrapped by every error about a chain that the node does not have.
var ErrNoChain = errors.New("no such chain")

// CheckedChain is a chain that was compared with what the kernel runs. Its JSON form is
// stable: fields are added, none is taken away or given another meaning.
type CheckedChain struct {
	Key chain.Key `json:"key"`
	// Interface, NetNS and Side are empty where the chain's record is lost.
	Interface string      `json:"interface,omitempty"`
	NetNS     string      `json:"netns,omitempty"`
	Side      config.Side `json:"side"`
	// Differences says, a sentence each, what the kernel and bpffs have that the record
	// does not say. None: the chain is as it should be.
	Differences []string `json:"differences"`
}

// CheckChain compares what is recorded of a chain with what the kernel runs, whoever owns
// its members: what [node.Node.Check] does with one attachment's configuration besides. While
// somebody changes the chain it waits, as long as ctx allows; a change whose process was
// killed it finishes or takes back first. A chain that is not there satisfies
// errors.Is(err, [ErrNoChain]).
func CheckChain(ctx context.Context, n *state.Node, key chain.Key) (CheckedChain, error) {
	c := CheckedChain{Key: key, Differences: []string{}}
	_, err := n.Records.ReadOnly().Load(key)
	recorded := err == nil // what is wrong with it shows once the chain is held
	if !recorded && !n.Knows(key) {
		return c, fmt.Errorf("%w: %s", ErrNoChain, key)
	}
	lc, err := change.Lock(ctx, n, key, nil)
	if err != nil {
		return c, err
	}
	defer lc.Unlock()
	if lc.Record() == nil && recorded && wasRemoved(n, key) {
		return c, fmt.Errorf("%w: %s was removed meanwhile", ErrNoChain, key)
	}
	differences, err := lc.Differences()
	c.Differences = append(c.Differences, differences...)
	if rec := lc.Record(); rec != nil {
		c.Interface, c.NetNS, c.Side = rec.Interface, rec.NetNS, rec.Side
	}
	if err != nil {
		return c, fmt.Errorf("chain %s: %w", key, err)
	}
	return c, nil
}

// CheckAll is [CheckChain] for every chain of the node, by key. Chains that could not
// be looked at are in the error.
func CheckAll(ctx context.Context, n *state.Node) ([]CheckedChain, error) {
	keys, err := n.Keys()
	if err != nil {
		return nil, err
	}
	list := make([]CheckedChain, 0, len(keys))
	var errs []error
	for _, key := range keys {
		c, err := CheckChain(ctx, n, key)
		switch {
		case err == nil:
			list = append(list, c)
		case !errors.Is(err, ErrNoChain): // else removed since
			errs = append(errs, err)
		}
	}
	return list, errors.Join(errs...)
}

// wasRemoved tells whether the record of a chain that is held is gone rather than broken.
func wasRemoved(n *state.Node, key chain.Key) bool {
	alive, err := n.LinkAlive(key)
	return !alive && err == nil
}

// ExamineState says in what state the records, the pins and the store of the node are. It
// changes nothing.
func ExamineState(n *state.Node) []Finding {
	left, err := Leftovers(n)
	return []Finding{
		examineChains(n, err),
		examineLeftovers("records", left, "no record is of a chain that is dead", LeftoverChain, LeftoverChange, LeftoverAttachment),
		examineLeftovers("pins", left, "no pins are left of what is gone", LeftoverPins, LeftoverMaps, LeftoverLibxdp),
		examineBroken(n),
		examineLeftovers("files", left, "no file is left that nobody needs", LeftoverObject, LeftoverTemporary),
	}
}

// examineChains counts the chains, and says what could not be read of them, and which do
// not run.
func examineChains(n *state.Node, unread error) Finding {
	const check = "chains"
	recorded, err := n.Records.Keys()
	var unrecorded, stopped []string
	if err == nil {
		unrecorded, err = lost(n, recorded)
	}
	if err == nil {
		stopped, err = detached(n, recorded)
	}
	switch {
	case err != nil || unread != nil:
		message := strings.Join(strings.Split(errors.Join(err, unread).Error(), "\n"), "; ")
		return Failing(check, message, "a file that is broken is set aside by whoever reads it next, such as xdpctl list; others: run xdpctl as root")
	case len(unrecorded) > 0:
		return Failing(check, fmt.Sprintf("%s without a record: %s", counted(len(unrecorded), "chain runs", "chains run"), strings.Join(unrecorded, ", ")),
			"have the pods made anew, or remove the pin of the link in the chain's folder below "+n.BPFFS.Root+"/xdp-chain/chains to take it off")
	case len(stopped) > 0:
		return Failing(check, fmt.Sprintf("%s no longer on the interface: %s", counted(len(stopped), "recorded chain is", "recorded chains are"), strings.Join(stopped, ", ")),
			"have the pods made anew, or xdpctl replace a member that was loaded by hand with the same object; xdpctl check --all says what differs")
	}
	return OK(check, counted(len(recorded), "chain is recorded", "chains are recorded"))
}

// lost returns the chains that a link holds on an interface and that have no record.
func lost(n *state.Node, recorded []chain.Key) ([]string, error) {
	pinned, err := n.BPFFS.Keys()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pinned, state.CompareKeys)
	var lost []string
	for _, key := range pinned {
		if slices.Contains(recorded, key) {
			continue
		}
		alive, err := n.LinkAlive(key)
		if err != nil {
			return nil, err
		}
		if alive && knowsNoRecord(n, key) {
			lost = append(lost, key.String())
		}
	}
	return lost, nil
}

// knowsNoRecord looks again: a chain may have come since the records were listed.
func knowsNoRecord(n *state.Node, key chain.Key) bool {
	keys, err := n.Records.Keys()
	return err == nil && !slices.Contains(keys, key)
}

// detached returns the recorded chains whose interface is there and does not run them:
// somebody removed the pin of the link, or bpffs was unmounted.
func detached(n *state.Node, recorded []chain.Key) ([]string, error) {
	var stopped []string
	var errs []error
	locator := n.NewLocator()
	for _, key := range recorded {
		is, err := isDetached(n, locator, key)
		if err != nil {
			errs = append(errs, err)
		}
		if is {
			stopped = append(stopped, key.String())
		}
	}
	return stopped, errors.Join(errs...)
}

// isDetached takes no lock, and believes the kernel if nobody works on the chain.
func isDetached(n *state.Node, locator *state.Locator, key chain.Key) (bool, error) {
	rec, err := n.Records.ReadOnly().Load(key)
	if err != nil || rec.State == nil {
		return false, nil // what is wrong with it is Leftovers' to say
	}
	liveness, _, err := locator.LivenessOf(rec)
	if err != nil || liveness != state.Detached {
		return false, err
	}
	busy, err := n.BPFFS.Busy(key)
	return !busy && err == nil, err
}

// examineLeftovers says which leftovers there are of some kinds.
func examineLeftovers(check string, left []Leftover, none string, kinds ...LeftoverKind) Finding {
	var list []string
	for _, l := range left {
		if slices.Contains(kinds, l.Kind) {
			list = append(list, l.String())
		}
	}
	if len(list) == 0 {
		return OK(check, none)
	}
	const shown = 3
	found := fmt.Sprintf("%s: %s", counted(len(list), "leftover", "leftovers"), strings.Join(list[:min(shown, len(list))], ", "))
	if len(list) > shown {
		found += fmt.Sprintf(", and %d more", len(list)-shown)
	}
	return Warning(check, found, "xdpctl gc removes them; xdpctl gc --dry-run lists them")
}

func examineBroken(n *state.Node) Finding {
	const check = "broken"
	paths, err := n.Records.Broken()
	switch {
	case err != nil:
		return Failing(check, err.Error(), "run xdpctl as root")
	case len(paths) == 0:
		return OK(check, "no record was found broken and set aside")
	}
	return Warning(check, fmt.Sprintf("%s, last as %s", counted(len(paths), "broken file was set aside", "broken files were set aside"), paths[len(paths)-1]),
		"look at what broke them, have their pods made anew, and remove them")
}
