// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// OwnerKind is the sort of owner that a member has.
type OwnerKind uint8

const (
	// OwnerAttachment is a CNI attachment.
	OwnerAttachment OwnerKind = iota
	// OwnerCLI is the operator's command.
	OwnerCLI
)

var ownerKindNames = []string{"attachment", "cli"}

// String returns the kind's name in records, or "owner kind(N)" for a value that
// is none.
func (k OwnerKind) String() string {
	if int(k) < len(ownerKindNames) {
		return ownerKindNames[k]
	}
	return fmt.Sprintf("owner kind(%d)", uint8(k))
}

// MarshalText returns the name; a value that is none is an error that satisfies
// errors.Is(err, [chain.ErrInvalid]).
func (k OwnerKind) MarshalText() ([]byte, error) {
	if int(k) >= len(ownerKindNames) {
		return nil, fmt.Errorf("%w: %d is not an owner kind", chain.ErrInvalid, uint8(k))
	}
	return []byte(k.String()), nil
}

// UnmarshalText takes a name as String prints it; anything else is an error that
// satisfies errors.Is(err, [chain.ErrInvalid]).
func (k *OwnerKind) UnmarshalText(text []byte) error {
	for i, name := range ownerKindNames {
		if name == string(text) {
			*k = OwnerKind(i)
			return nil
		}
	}
	return fmt.Errorf("%w: owner kind %q; use attachment or cli", chain.ErrInvalid, text)
}

// Owner is who put members into a chain and may take them out.
type Owner struct {
	Kind OwnerKind `json:"kind"`
	// Network, ContainerID and Ifname name a CNI attachment.
	Network     string `json:"network,omitempty"`
	ContainerID string `json:"containerID,omitempty"`
	Ifname      string `json:"ifname,omitempty"`
	// PodNamespace and PodName are for people; an owner is the same without.
	PodNamespace string `json:"podNamespace,omitempty"`
	PodName      string `json:"podName,omitempty"`
}

// Same tells whether both are the same owner.
func (o Owner) Same(other Owner) bool {
	return o.Kind == other.Kind && o.Network == other.Network &&
		o.ContainerID == other.ContainerID && o.Ifname == other.Ifname
}
