// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// loadFlags are the flags of load.
type loadFlags struct {
	*target
	*program
	name          string
	priority      int
	proceedOn     []string
	metadata      []string
	libxdpVersion uint8
	load          node.Load // modes, as the flags set them
}

func loadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "load --iface INTERFACE {--object FILE | --program NAME}",
		Short: "Load a program into the chain of an interface",
		Long: "Load a program into the chain of an interface, which is made where there is none. What\n" +
			"runs already goes on: the chain changes in one swap. The member stays until it is\n" +
			"unloaded, the interface goes, or the machine is rebooted.",
		Example: "  xdpctl load --iface eth0 --program count\n" +
			"  xdpctl load --pod shop/web-0 --iface eth0 --object ./filter.o --function filter \\\n" +
			"    --priority 20 --proceed-on pass --global limit=100 --metadata team=network",
		Args: noArguments,
	}
	f := addLoad(cmd)
	out := addOutput(cmd, formatText, formatJSON, formatYAML)
	timeout := addTimeout(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		n := node.Default()
		l, err := f.read(n)
		if err != nil {
			return err
		}
		ctx, cancel := timeout.context(cmd.Context())
		defer cancel()
		m, err := n.Load(ctx, l)
		if err != nil {
			return failed(err)
		}
		return out.printMember(m, fmt.Sprintf("member %d (%s) at position %d of %s, priority %d", m.ID, m.Name, m.Position, f.target, m.Priority))
	}
	return cmd
}

func addLoad(cmd *cobra.Command) *loadFlags {
	f := &loadFlags{target: addTarget(cmd), program: addProgram(cmd)}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "`name` of the member in its chain; without it, one is made of the function's")
	flags.IntVar(&f.priority, "priority", chain.DefaultPriority, "its place in the chain: 0 runs first; without it, what the catalog or the object says")
	flags.StringSliceVar(&f.proceedOn, "proceed-on", nil, "`verdict` after which the next member runs: aborted, drop, pass, tx, redirect or dispatcher_return; may be repeated; none for none; without it, what the catalog or the object says, or pass,dispatcher_return")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "a note for people, as `NAME=TEXT`; may be repeated")
	flags.TextVar(&f.load.Mode, "mode", chain.ModeAuto, "`mode` of the chain: auto, native, generic or offload")
	flags.TextVar(&f.load.Dispatcher, "dispatcher", chain.DispatcherAuto, "`dispatcher` of the chain: auto, linked or libxdp")
	flags.TextVar(&f.load.Attach, "attach", chain.AttachAuto, "what holds the chain: auto, `link` or netlink")
	flags.Uint8Var(&f.libxdpVersion, "libxdp-version", 0, "`version` of libxdp's protocol, 2 or 3, for dispatcher libxdp")
	return f
}

// read makes of the flags what is to be loaded.
func (f *loadFlags) read(n *node.Node) (node.Load, error) {
	l := f.load
	r, err := f.program.read()
	if err == nil {
		err = l.LibxdpVersion.UnmarshalJSON(strconv.AppendUint(nil, uint64(f.libxdpVersion), 10))
	}
	if err == nil {
		l.Place, err = f.target.resolve(n)
	}
	if err == nil {
		l.Metadata, err = assignments("--metadata", f.metadata, func(text string) (string, error) { return text, nil })
	}
	if err != nil {
		return l, err
	}
	l.Entry, l.Catalog = r.Entry, r.Catalog
	l.Program = config.Program{Name: f.name, Object: r.Object, Function: r.Function, Globals: r.Globals, Maps: r.Maps}
	if f.cmd.Flags().Changed("priority") {
		l.Program.Priority = &f.priority
	}
	if f.cmd.Flags().Changed("proceed-on") {
		set, err := actionSet(f.proceedOn)
		if err != nil {
			return l, err
		}
		l.Program.ProceedOn = &set
	}
	return l, nil
}

// actionSet reads verdicts, each once, or none.
func actionSet(names []string) (set chain.ActionSet, err error) {
	if slices.Equal(names, []string{"none"}) {
		return 0, nil
	}
	for _, name := range names {
		var verdict chain.Action
		switch err := verdict.UnmarshalText([]byte(name)); {
		case name == "none":
			return 0, errors.New("--proceed-on none makes every verdict final, so it stands alone")
		case err != nil:
			return 0, fmt.Errorf("--proceed-on: %w, or none alone", err)
		case set.Has(verdict):
			return 0, fmt.Errorf("--proceed-on names %s twice; name each verdict once", name)
		}
		set |= chain.ActionSetOf(verdict)
	}
	return set, nil
}

// printMember prints a member that was changed: as a value, as a sentence, or its id
// alone.
func (o *output) printMember(m inspect.Member, sentence string) error {
	if quiet(o.cmd) {
		sentence = strconv.Itoa(int(m.ID))
	}
	return o.print(m, sentence+"\n", nil)
}
