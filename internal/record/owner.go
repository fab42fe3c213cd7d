// SPDX-License-Identifier: Apache-2.0

package record

import (
	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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

// String returns the name used in records and output.
func (k OwnerKind) String() string { return ownerKindNames.String(k) }

// MarshalText returns the name; a value that is none is an error that satisfies
// errors.Is(err, [chain.ErrInvalid]).
func (k OwnerKind) MarshalText() ([]byte, error) { return ownerKindNames.Marshal(k) }

// UnmarshalText takes a name as String prints it; anything else is an error that
// lists the names and satisfies errors.Is(err, [chain.ErrInvalid]).
func (k *OwnerKind) UnmarshalText(text []byte) error { return ownerKindNames.Unmarshal(text, k) }

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
