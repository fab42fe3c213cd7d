// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

const (
	// ProgramName is the kernel's name of every libxdp dispatcher, and by it libxdp
	// knows them.
	ProgramName = "xdp_dispatcher"

	// MaxMembers is the largest number of members in a chain: MAX_DISPATCHER_ACTIONS
	// of libxdp's xdp/prog_dispatcher.h.
	MaxMembers = 10

	// DefaultVersion is the version of the protocol that most libxdp's know: those
	// before 1.6 do not read a dispatcher of version 3, and those since read both.
	DefaultVersion = chain.LibxdpV2
)

// multiprog makes dispatchers of one version of the protocol.
type multiprog struct{ version chain.LibxdpVersion }

// New returns the dispatcher that speaks version 2 or 3 of libxdp's protocol;
// LibxdpVersionAuto stands for [DefaultVersion]. Version 1 is read alone: its
// dispatcher makes every Build fail with an error that satisfies errors.Is(err,
// [ErrVersion]).
func New(version chain.LibxdpVersion) dispatcher.Dispatcher {
	if version == chain.LibxdpVersionAuto {
		version = DefaultVersion
	}
	return multiprog{version}
}

// Kind implements [dispatcher.Dispatcher].
func (multiprog) Kind() chain.Dispatcher { return chain.DispatcherLibxdp }

// MaxMembers implements [dispatcher.Dispatcher].
func (multiprog) MaxMembers() int { return MaxMembers }

// Build implements [dispatcher.Dispatcher]. Beyond what is said there it returns
// errors that satisfy errors.Is(err, [ErrNoFreplace]). opts.Counters is passed over:
// the protocol leaves no room for a second map in the dispatcher, and the members
// that libxdp's tools add would not be counted; Built.Counters stays nil.
func (d multiprog) Build(ctx context.Context, members []dispatcher.Member, opts dispatcher.Options) (*dispatcher.Built, error) {
	members, err := load.Settle(members)
	if err != nil {
		return nil, err
	}
	if err := d.check(members, opts); err != nil {
		return nil, err
	}
	if err := order(members); err != nil {
		return nil, err
	}
	built := &dispatcher.Built{
		Members: load.Places(members),
		Maps:    make(map[string]map[string]*ebpf.Map, len(members)),
		Frags:   load.TakesFrags(members),
	}
	if err := d.fill(ctx, built, members, opts); err != nil {
		return nil, errors.Join(load.Permission(err), built.Close())
	}
	return built, nil
}

// fill loads the dispatcher and puts the members into its slots. What it made before
// an error is in built.
func (d multiprog) fill(ctx context.Context, built *dispatcher.Built, members []dispatcher.Member, opts dispatcher.Options) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	config, functions := plan(d.version, members, built.Frags)
	if err := loadWithMaps(built, config, members, opts); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	slots, err := newTarget(built.Program)
	if err != nil {
		return err
	}
	built.Slots = make([]dispatcher.Slot, len(members))
	return load.Each(len(members), func(i int) (err error) {
		if built.Slots[i], err = slots.fill(&members[i], functions[i], built.Maps[members[i].Name]); err != nil {
			return fmt.Errorf("filling slot %d of libxdp's dispatcher: %w", i, err)
		}
		return nil
	})
}

// loadWithMaps loads the dispatcher while the members' maps are made, since a pod waits
// for both.
func loadWithMaps(built *dispatcher.Built, config *Config, members []dispatcher.Member, opts dispatcher.Options) error {
	maps := make(chan error)
	// Extension programs, which use the maps, are loaded without the flag for frags.
	go func() { maps <- load.Maps(built, members, load.Redirects{InNetNS: opts.InNetNS}) }()
	var err error
	built.Program, err = loadDispatcher(config)
	return cmp.Or(err, <-maps)
}

// configMap is the key of the map, in the dispatcher's object, whose only content is
// the config.
const configMap = ".rodata"

// dispatcherSpec reads the dispatcher of bpf/dispatcher and sets its config.
func dispatcherSpec(c *Config) (*ebpf.CollectionSpec, error) {
	object, err := bpf.Dispatchers.ReadFile(fmt.Sprintf("dispatcher/v%s.o", c.Version))
	if err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, err
	}
	config := c.encode()
	rodata := spec.Maps[configMap]
	if int(rodata.ValueSize) != len(config) {
		return nil, fmt.Errorf("its config has %d bytes, not %d", rodata.ValueSize, len(config))
	}
	rodata.Contents[0].Value = config
	// Without variables the collection does not map the section into memory.
	spec.Variables = nil
	if c.Frags {
		spec.Programs[ProgramName].Flags |= unix.BPF_F_XDP_HAS_FRAGS
	}
	return spec, nil
}

// loadDispatcher loads a dispatcher, whose slots are empty.
func loadDispatcher(c *Config) (*ebpf.Program, error) {
	spec, err := dispatcherSpec(c)
	if err != nil {
		return nil, fmt.Errorf("reading version %s of libxdp's dispatcher: %w", c.Version, err)
	}
	loaded, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("loading libxdp's dispatcher for %d members: %w", len(c.Slots), err)
	}
	defer loaded.Close()
	return loaded.DetachProgram(ProgramName), nil
}

var (
	// ErrNotDispatcher says that libxdp does not take a program for a dispatcher.
	ErrNotDispatcher = errors.New("not a libxdp dispatcher")

	// ErrVersion says that a dispatcher's version of the protocol is not one that this
	// package knows, or not one that it makes.
	ErrVersion = errors.New("unknown version of libxdp's protocol")

	// ErrNoFreplace says that the kernel does not put programs in the place of functions
	// of others (program type BPF_PROG_TYPE_EXT), or not into a second dispatcher. It
	// satisfies errors.Is(err, ebpf.ErrNotSupported).
	ErrNoFreplace = fmt.Errorf("libxdp's dispatcher needs freplace: %w", ebpf.ErrNotSupported)
)

// check finds what can be found without the kernel, before anything is made.
func (d multiprog) check(members []dispatcher.Member, opts dispatcher.Options) error {
	switch {
	case d.version != chain.LibxdpV2 && d.version != chain.LibxdpV3:
		return fmt.Errorf("%w: a dispatcher of version %s is not made; use 2 or 3", ErrVersion, d.version)
	case opts.Ifindex != 0:
		return fmt.Errorf("%w: libxdp's dispatcher in the hardware of an interface; no hardware calls one program from another", ebpf.ErrNotSupported)
	case opts.TXByRedirect:
		return fmt.Errorf("%w: libxdp's dispatcher is compiled, and hands on the verdict tx as it is", ebpf.ErrNotSupported)
	case len(members) == 0:
		return fmt.Errorf("%w: a chain needs at least one member", chain.ErrInvalid)
	case len(members) > MaxMembers:
		return fmt.Errorf("%w: libxdp's dispatcher has %d slots, and the chain has %d members", chain.ErrTooManyMembers, MaxMembers, len(members))
	}
	var own []chain.Member
	names := make(map[string]bool, len(members))
	for i := range members {
		m := &members[i]
		if names[m.Name] {
			return fmt.Errorf("%w: two members of the chain are named %q; names are unique on an interface", chain.ErrInvalid, m.Name)
		}
		names[m.Name] = true
		if err := checkMember(m); err != nil {
			return err
		}
		if m.Spec != nil {
			own = append(own, m.Member)
		}
	}
	// What libxdp's tools call their members is their affair.
	return chain.CheckMembers(own, MaxMembers)
}

func checkMember(m *dispatcher.Member) error {
	if m.Loaded != nil && m.Loaded.Type() != ebpf.Extension {
		return fmt.Errorf("%w: the loaded program of member %q is of type %s; a slot takes those of type %s", chain.ErrInvalid, m.Name, m.Loaded.Type(), ebpf.Extension)
	}
	if m.Spec == nil { // somebody else's
		return nil
	}
	p := m.Spec.Programs[m.Function]
	if btf.FuncMetadata(&p.Instructions[0]) == nil {
		return fmt.Errorf("member %q, function %q: %w", m.Name, m.Function, dispatcher.ErrNoBTF)
	}
	return load.CheckProgramArrays(m)
}

// plan puts members, which are in running order, into slots. It returns what the
// dispatcher says of itself, and which of its functions each member takes the place of.
func plan(version chain.LibxdpVersion, members []dispatcher.Member, frags bool) (config *Config, functions []string) {
	config = &Config{Version: version, Frags: frags}
	for i := range members {
		m := &members[i]
		config.Slots = append(config.Slots, SlotConfig{Priority: m.Priority, ProceedOn: actions(m), Frags: load.MemberFrags(m)})
		functions = append(functions, fmt.Sprint("prog", i))
	}
	if len(members) == 1 && verdictStands(&members[0]) {
		functions[0] = ProgramName
	}
	return config, functions
}

// actions returns the mask of a member's slot. libxdp sets the bit of
// dispatcher_return in every one, so that an empty slot lets packets through; its
// tools read masks without it alike. By the meaning of a chain the bit belongs to
// the member, so where the member might return that value and does not name it in its
// proceedOn, it is left out. No slot is ever empty on an interface.
func actions(m *dispatcher.Member) chain.ActionSet {
	const bit = 1 << chain.DispatcherReturn
	if m.Spec != nil && returnsOf(m).any(bit) {
		return m.ProceedOn
	}
	return m.ProceedOn | bit
}

// verdictStands reports whether the only member of a chain may take the place of the
// dispatcher itself, as libxdp has it: then its verdict is the chain's, whatever its
// proceedOn. By the meaning of a chain a verdict in proceedOn leads past its end, that
// is to XDP_PASS. So a member that may return another one of those goes into the
// first of one slots. To libxdp's tools both look the same.
func verdictStands(m *dispatcher.Member) bool {
	return m.Spec == nil || !returnsOf(m).any(m.ProceedOn&^(1<<chain.Pass))
}

func returnsOf(m *dispatcher.Member) returns {
	return returnsFrom(m.Spec.Programs[m.Function].Instructions)
}

// order sorts members as they run: by chain.Compare, or as libxdp does as soon as a
// member of libxdp's tools is among them. Those tools sort the whole chain anew with
// each change of theirs, by names that are not the members' but their functions'; so
// it stays as it is whoever changes it.
func order(members []dispatcher.Member) error {
	if !slices.ContainsFunc(members, func(m dispatcher.Member) bool { return m.Spec == nil }) {
		slices.SortFunc(members, func(a, b dispatcher.Member) int { return chain.Compare(a.Member, b.Member) })
		return nil
	}
	ranks := make(map[string]rank, len(members))
	for i := range members {
		r, err := rankOf(&members[i])
		if err != nil {
			return fmt.Errorf("reading what member %q is ordered by: %w", members[i].Name, err)
		}
		ranks[members[i].Name] = r
	}
	slices.SortStableFunc(members, func(a, b dispatcher.Member) int { return compare(ranks[a.Name], ranks[b.Name]) })
	return nil
}

// rank is what libxdp orders programs by (cmp_xdp_programs).
type rank struct {
	priority     int
	function     string
	loaded       bool
	instructions int // of those that are not loaded
	tag          string
	loadTime     time.Duration
}

func rankOf(m *dispatcher.Member) (rank, error) {
	if m.Loaded == nil {
		p := m.Spec.Programs[m.Function]
		return rank{priority: m.Priority, function: p.Name, instructions: len(p.Instructions)}, nil
	}
	info, err := m.Loaded.Info()
	if err != nil {
		return rank{}, err
	}
	loadTime, _ := info.LoadTime()
	return rank{priority: m.Priority, function: info.Name, loaded: true, tag: info.Tag, loadTime: loadTime}, nil
}

func compare(a, b rank) int {
	return cmp.Or(
		cmp.Compare(a.priority, b.priority),
		strings.Compare(a.function, b.function),
		cmp.Compare(flag(b.loaded), flag(a.loaded)), // those that are loaded come first
		cmp.Compare(a.instructions, b.instructions),
		strings.Compare(a.tag, b.tag),
		cmp.Compare(a.loadTime, b.loadTime),
	)
}
