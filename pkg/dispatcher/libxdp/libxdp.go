// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
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
	if err := d.check(members, opts); err != nil {
		return nil, err
	}
	members = slices.Clone(members)
	if err := order(members); err != nil {
		return nil, err
	}
	built := &dispatcher.Built{Maps: make(map[string]map[string]*ebpf.Map, len(members)), Frags: load.TakesFrags(members)}
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
	plan := makePlan(d.version, members, built.Frags)
	if err := loadWithMaps(built, plan.config, members, opts); err != nil {
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
		if built.Slots[i], err = slots.fill(&members[i], plan.functions[i], built.Maps[members[i].Name]); err != nil {
			return fmt.Errorf("filling slot %d of libxdp's dispatcher: %w", i, err)
		}
		return nil
	})
}

// loadWithMaps loads the dispatcher while the members' maps are made, since a pod waits
// for both.
func loadWithMaps(built *dispatcher.Built, config *Config, members []dispatcher.Member, opts dispatcher.Options) (err error) {
	maps := make(chan error)
	// Extension programs, which use the maps, are loaded without the flag for frags.
	go func() { maps <- load.Maps(built, members, load.Redirects{InNetNS: opts.InNetNS}) }()
	built.Program, err = loadDispatcher(config)
	if mapsErr := <-maps; err == nil {
		err = mapsErr
	}
	return err
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
