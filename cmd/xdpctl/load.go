// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/strict"
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
	runWithin(cmd, func(ctx context.Context, _ []string) error {
		n := node.Default()
		l, err := f.read(n)
		if err != nil {
			return err
		}
		m, err := n.Load(ctx, l)
		if err != nil {
			return failed(err)
		}
		return out.printMember(m, fmt.Sprintf("member %d (%s) at position %d of %s, priority %d", m.ID, m.Name, m.Position, f.target, m.Priority))
	})
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
	l.Entry, l.Catalog = r.Entry, r.Catalog
	l.Program = config.Program{Name: f.name, Object: r.Object, Function: r.Function, Globals: r.Globals, Maps: r.Maps}
	if f.cmd.Flags().Changed("priority") {
		l.Program.Priority = &f.priority
	}
	if err == nil {
		err = l.LibxdpVersion.UnmarshalJSON(strconv.AppendUint(nil, uint64(f.libxdpVersion), 10))
	}
	if err == nil {
		l.Place, err = f.target.resolve(n)
	}
	if err == nil {
		l.Metadata, err = assignments("--metadata", f.metadata, func(text string) (string, error) { return text, nil })
	}
	if err == nil && f.cmd.Flags().Changed("proceed-on") {
		l.Program.ProceedOn = new(chain.ActionSet)
		*l.Program.ProceedOn, err = actionSet(f.proceedOn)
	}
	return l, err
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
	return o.print(m, func() string { return sentence + "\n" }, nil)
}

func replaceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replace ID {--object FILE | --program NAME}",
		Short: "Give a member another program, in its place in the chain",
		Long: "Give a member another program, in one swap. It keeps its id, its name, its place in the\n" +
			"chain and its counts, and those of its maps that the new program has in the same shape.",
		Example:           "  xdpctl replace 7 --object ./filter-v2.o",
		Args:              oneID,
		ValidArgsFunction: completeID,
	}
	p := addProgram(cmd)
	var force bool
	cmd.Flags().BoolVar(&force, "force", false, "replace a member that came with a CNI network, too; CHECK of its pod then fails")
	out := addOutput(cmd, formatText, formatJSON, formatYAML)
	runWithin(cmd, func(ctx context.Context, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		r, err := p.read()
		if err != nil {
			return err
		}
		r.Force = force
		m, err := node.Default().Replace(ctx, ids[0], r)
		if err != nil {
			return failed(err)
		}
		return out.printMember(m, fmt.Sprintf("member %d (%s) runs %s, at position %d as before", m.ID, m.Name, m.Function, m.Position))
	})
	return cmd
}

func unloadCommand() *cobra.Command {
	var all, force bool
	cmd := &cobra.Command{
		Use:   "unload {ID... | --iface INTERFACE --all}",
		Short: "Take members out of their chains",
		Long: "Take members out of their chains, each chain in one swap. What came after them moves\n" +
			"up, and the chain goes with its last member. Either all ids are members' that may be\n" +
			"taken, or nothing is.",
		Example:           "  xdpctl unload 7 12\n  xdpctl unload --iface eth0 --all",
		ValidArgsFunction: fromChains(idsOf),
	}
	on := addTarget(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "take all members that were loaded by hand on --iface")
	cmd.Flags().BoolVar(&force, "force", false, "take members that came with a CNI network, too; CHECK of their pods then fails")
	runWithin(cmd, func(ctx context.Context, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		switch {
		case len(ids) > 0 && (all || on.given()):
			return errors.New("ids, and --iface with --all, exclude each other; an id alone says which member")
		case len(ids) == 0 && !all:
			return errors.New("which members? Give their ids, which xdpctl list shows, or --iface with --all")
		}
		n := node.Default()
		if all {
			at, err := on.resolve(n)
			if err != nil {
				return err
			}
			if ids, err = n.UnloadAll(ctx, at, force); err != nil {
				return failed(err)
			}
		} else if err := n.Unload(ctx, force, ids...); err != nil {
			return failed(err)
		}
		if quiet(cmd) {
			return nil
		}
		what := "member"
		if len(ids) > 1 {
			what = "members"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "unloaded %s %s\n", what, commaList(ids))
		return unread(err)
	})
	return cmd
}

// commaList lists ids as people do.
func commaList[N record.ID | uint32](ids []N) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprint(id)
	}
	return strings.Join(list, ", ")
}

// program is what the flags say of a program to run: where it comes from, and what is
// set in it.
type program struct {
	object, entry, function string
	globals, maps           []string
	catalogDir              string
}

// addProgram gives a subcommand the flags that name a program.
func addProgram(cmd *cobra.Command) *program {
	p := &program{}
	flags := cmd.Flags()
	flags.StringVar(&p.object, "object", "", "BPF object `file` to take it from")
	flags.StringVar(&p.entry, "program", "", "`name` of a catalog entry, such as a built-in program, to take")
	flags.StringVar(&p.function, "function", "", "which `program` of an object that holds several")
	flags.StringArrayVar(&p.globals, "global", nil, "set a global variable, as `NAME=VALUE`: JSON if it is JSON, else a string; may be repeated")
	flags.StringArrayVar(&p.maps, "map", nil, `settings of a map, as `+"`NAME=JSON`"+`, such as rules={"maxEntries": 100}; may be repeated`)
	flags.StringVar(&p.catalogDir, "catalog", config.DefaultCatalogDir, "`folder` of the catalog's files")
	return p
}

// read reads what the flags say, as a replacement has it: there has to be one source, and
// its path is made absolute.
func (p *program) read() (r resolve.Replacement, err error) {
	switch {
	case p.object == "" && p.entry == "":
		err = errors.New("which program? Give --object with a file, or --program with a name of the catalog, such as --program count")
	case p.object != "" && p.entry != "":
		err = errors.New("--object and --program exclude each other; --function takes one of several programs of an object")
	case p.object != "":
		r.Object, err = filepath.Abs(p.object)
	default: // which alone needs the catalog
		r.Catalog, err = catalog.Open(p.catalogDir)
		err = failed(err)
	}
	r.Entry, r.Function = p.entry, p.function
	if err == nil {
		r.Globals, err = assignments("--global", p.globals, readGlobal)
	}
	if err == nil {
		r.Maps, err = assignments("--map", p.maps, readMapSettings)
	}
	return r, err
}

// assignments reads the NAME=VALUE of a flag that may be repeated; nil for none.
func assignments[V any](flag string, texts []string, read func(value string) (V, error)) (map[string]V, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	set := make(map[string]V, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s %q is no assignment; give it as NAME=VALUE", flag, text)
		}
		if _, twice := set[name]; twice {
			return nil, fmt.Errorf("%s sets %s twice; which one counts would be a guess", flag, name)
		}
		v, err := read(value)
		if err != nil {
			return nil, render.InEachLine(flag+" "+name, err)
		}
		set[name] = v
	}
	return set, nil
}

// readGlobal reads JSON if it is JSON, and else a string.
func readGlobal(text string) (json.RawMessage, error) {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	return json.Marshal(text)
}

func readMapSettings(text string) (config.MapSettings, error) {
	var s config.MapSettings
	err := strict.JSON([]byte(text), &s, strict.Options{Document: "the settings"})
	if errors.As(err, new(*strict.SyntaxError)) {
		err = fmt.Errorf(`it is not JSON: %w; give an object such as {"maxEntries": 100, "entries": [{"key": 1, "value": 2}]}`, err)
	}
	return s, err
}
