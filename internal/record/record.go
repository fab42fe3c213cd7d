// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Version is the version of the files' format that this package writes, and the
// latest one that it reads.
const Version = 1

// Record is what is known of one chain.
type Record struct {
	// Version is the format's; [Dir.Save] sets it.
	Version int `json:"version"`
	// Key names the chain.
	Key chain.Key `json:"key"`
	// Interface is the name that the interface had when the chain was made.
	Interface string `json:"interface"`
	// NetNS is a path of the interface's network namespace; the node's own is
	// /proc/self/ns/net. It may lead nowhere any more, or to another namespace:
	// compare its cookie with the key's.
	NetNS string `json:"netns"`
	// Side is the end of the veth pair that the interface is.
	Side config.Side `json:"side"`
	// Created is when the chain was first put on the interface.
	Created time.Time `json:"created"`
	// State is what runs, nil as long as nothing has.
	State *State `json:"state,omitempty"`
	// Pending is what a change is about to make run; nil when none is under
	// way. One that is found without the change going on is a dead process's:
	// which of State and Pending runs is for the interface to tell.
	Pending *State `json:"pending,omitempty"`
	// Base are the counts of the generations before State's, to be added to
	// what its counters map says. Each swap starts a new map.
	Base []chain.Count `json:"base,omitempty"`
	// PeerGRO is the other end of the veth pair where the chain needs GRO there, nil
	// where it does not. It is saved before GRO is touched.
	PeerGRO *PeerGRO `json:"peerGRO,omitempty"`
}

// PeerGRO is the other end of a veth pair, on which GRO is on for the sake of members
// that transmit.
type PeerGRO struct {
	// Key names the interface: the cookie of its network namespace, and its index.
	Key chain.Key `json:"key"`
	// Interface is the name that it had, and NetNS a path of its network namespace, as
	// in [Record].
	Interface string `json:"interface"`
	NetNS     string `json:"netns"`
	// WasOff says that GRO was off there, and is to be off again when no member
	// transmits any more.
	WasOff bool `json:"wasOff,omitempty"`
}

// State is one generation of a chain, with all that is needed to recognise it on
// the interface and to build it again.
type State struct {
	// Generation counts the chain's changes, from 1.
	Generation uint64 `json:"generation"`
	// ProgramID is the kernel's id of the dispatcher. Ids are not reused
	// before 2^31 others. Where libxdp's tools changed a libxdp chain since, the
	// interface carries another one, in which the members keep their own ids.
	ProgramID uint32 `json:"programID"`
	// Requested is what a configuration asked for.
	Requested config.Requested `json:"requested"`
	// Mode is the mode taken, auto only in a pending state; ModeWhy says why,
	// where it is not the one to be expected: generic under auto.
	Mode    chain.Mode `json:"mode"`
	ModeWhy string     `json:"modeWhy,omitempty"`
	// Attach is link or netlink, never auto.
	Attach chain.Attach `json:"attach"`
	// Dispatcher is the one chosen, never auto; DispatcherWhy says why it was.
	Dispatcher    chain.Dispatcher `json:"dispatcher"`
	DispatcherWhy string           `json:"dispatcherWhy,omitempty"`
	// LibxdpVersion is the protocol's version for the dispatcher libxdp, otherwise auto.
	LibxdpVersion chain.LibxdpVersion `json:"libxdpVersion,omitempty"`
	// Replaced is the id of the libxdp dispatcher in whose place this one came, and
	// whose pins go when this generation is final; 0 where there was none.
	Replaced uint32 `json:"replaced,omitempty"`
	// Frags tells whether every member takes packets of several buffers.
	Frags bool `json:"frags,omitempty"`
	// Counters tells whether the dispatcher counts verdicts.
	Counters bool `json:"counters"`
	// Members are the chain's programs in running order. Those that libxdp's tools
	// put into a libxdp dispatcher are not among them: the interface tells of them.
	Members []Member `json:"members"`
}

// Places returns the places of the generation's members, in running order.
func (s *State) Places() []chain.Member {
	places := make([]chain.Member, len(s.Members))
	for i, m := range s.Members {
		places[i] = m.Member
	}
	return places
}

// Member is a program in a chain, with all that is needed to build it again.
type Member struct {
	chain.Member
	// ID names it for people. It keeps it as long as it is in the chain, whatever is
	// changed about it.
	ID ID `json:"id,omitempty"`
	// Owner is who wants it in the chain.
	Owner Owner `json:"owner"`
	// Created is when it came into the chain.
	Created time.Time `json:"created,omitzero"`
	// Metadata is what its owner notes about it; nothing depends on it.
	Metadata map[string]string `json:"metadata,omitempty"`
	// Object is the digest of the object's content, "sha256:<hex>", by which
	// the store has it.
	Object string `json:"object"`
	// Origin is where the object came from, for people: a path, or the name of
	// a built-in.
	Origin string `json:"origin,omitempty"`
	// Globals are the global variables set, with nothing left to expand. JSON
	// values come back from file as they were saved, without white space.
	Globals map[string]json.RawMessage `json:"globals,omitempty"`
	// Maps are the settings of the member's maps, with nothing left to expand.
	Maps map[string]config.MapSettings `json:"maps,omitempty"`
	// Pins are the names of the maps that are pinned for it.
	Pins []string `json:"pins,omitempty"`
	// Transmits says that it sends packets back out of the interface, by XDP_TX or
	// XDP_REDIRECT, as its catalog entry tells.
	Transmits bool `json:"transmits,omitempty"`
	// FromAnnotation says that a pod's annotation asks for it, and no configuration.
	FromAnnotation bool `json:"asked,omitempty"`
	// ReplacedManually says that an operator has replaced the program of a member that is not the
	// operator's.
	ReplacedManually bool `json:"byHand,omitempty"`
	// ProgramID is the kernel's id of the member's extension program in a libxdp
	// dispatcher. It stays the same in every dispatcher that the program is attached
	// to again. A member of a linked chain is no program of its own: 0.
	ProgramID uint32 `json:"programID,omitempty"`
}

// States returns the generations that are recorded: what runs, and what a change is about
// to make run.
func (r *Record) States() []*State {
	var states []*State
	for _, s := range []*State{r.State, r.Pending} {
		if s != nil {
			states = append(states, s)
		}
	}
	return states
}

// Generation is the one of those recorded that a program runs; nil where it is none, as in a
// nil Record.
func (r *Record) Generation(programID uint32) *State {
	if r == nil {
		return nil
	}
	for _, s := range r.States() {
		if s.ProgramID == programID {
			return s
		}
	}
	return nil
}

// HasOwner tells whether an owner has members in a recorded generation of the chain.
func (r *Record) HasOwner(owner Owner) bool {
	return slices.ContainsFunc(r.States(), func(s *State) bool { return slices.ContainsFunc(s.Owners(), owner.Same) })
}

// Member finds a member by its name and owner; nil where there is none, as in a nil State.
func (s *State) Member(name string, owner Owner) *Member {
	return s.find(func(m Member) bool { return m.Name == name && m.Owner.Same(owner) })
}

// MemberByID finds a member by its id; nil where none has it, as in a nil State. None has id 0.
func (s *State) MemberByID(id ID) *Member {
	return s.find(func(m Member) bool { return m.ID == id && id != 0 })
}

func (s *State) find(is func(Member) bool) *Member {
	if s == nil {
		return nil
	}
	if i := slices.IndexFunc(s.Members, is); i >= 0 {
		return &s.Members[i]
	}
	return nil
}

// Owners returns who has members in the chain, each one once, in the order of
// their first members: nobody in a nil State.
func (s *State) Owners() []Owner {
	if s == nil {
		return nil
	}
	var owners []Owner
	for _, m := range s.Members {
		if !slices.ContainsFunc(owners, m.Owner.Same) {
			owners = append(owners, m.Owner)
		}
	}
	return owners
}

// OwnerKind says what put members into a chain. The zero value is OwnerAttachment.
type OwnerKind uint8

// The values of OwnerKind.
const (
	// OwnerAttachment is a CNI attachment; its members go with its DEL.
	OwnerAttachment OwnerKind = iota
	// OwnerCLI is the operator's command; its members stay until it is told
	// to remove them, or the interface goes.
	OwnerCLI
	// OwnerLibxdp is whoever uses libxdp, such as xdp-loader; its members are theirs
	// to remove. They are shown, and stand in no record.
	OwnerLibxdp
)

var ownerKindNames = enum.Names[OwnerKind]{
	What: "owner kind", Invalid: chain.ErrInvalid, List: []string{"attachment", "cli", "libxdp"},
}

// Owner is who wants members in a chain. Compare owners with [Owner.Same].
type Owner struct {
	// Kind says which of the other fields mean something: all of them for an
	// attachment, none for the others.
	Kind OwnerKind `json:"kind"`
	// Network, ContainerID and Ifname are the CNI attachment: the network's
	// name, CNI_CONTAINERID and CNI_IFNAME.
	Network     string `json:"network,omitempty"`
	ContainerID string `json:"containerID,omitempty"`
	Ifname      string `json:"ifname,omitempty"`
	// PodNamespace and PodName are the pod, where the runtime said
	// (K8S_POD_NAMESPACE and K8S_POD_NAME of CNI_ARGS).
	PodNamespace string `json:"podNamespace,omitempty"`
	PodName      string `json:"podName,omitempty"`
}

// Same tells whether both are the same owner. The pod's names do not count.
func (o Owner) Same(other Owner) bool {
	return o.Kind == other.Kind && o.Network == other.Network &&
		o.ContainerID == other.ContainerID && o.Ifname == other.Ifname
}

// decodeRecord reads what encodeRecord writes and nothing else.
func decodeRecord(content []byte) (*Record, error) {
	var r Record
	if err := decode(content, &r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return &r, nil
}

func encodeRecord(r Record) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	r.Version = Version
	return encode(r)
}

// check finds what a record of right types can still have wrong and what would
// mislead whoever works by it.
func (r *Record) check() error {
	if r.Key.Ifindex < 1 {
		return fmt.Errorf("%w: a record of chain %s", chain.ErrInvalid, r.Key)
	}
	if r.PeerGRO != nil && r.PeerGRO.Key.Ifindex < 1 {
		return fmt.Errorf("%w: the other end is interface %s", chain.ErrInvalid, r.PeerGRO.Key)
	}
	for _, s := range r.States() {
		if err := chain.CheckMembers(s.Places(), len(s.Members)); err != nil {
			return fmt.Errorf("generation %d: %w", s.Generation, err)
		}
	}
	return nil
}
