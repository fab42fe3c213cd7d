// SPDX-License-Identifier: Apache-2.0

package flowstats

import (
	"fmt"
	"strconv"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// IPProtocol is the number of an IP protocol, as IANA assigns it. It prints as its name,
// the one that the program acl takes too, or else as the number.
type IPProtocol uint8

var protocolNames = map[IPProtocol]string{
	1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp",
}

// HasPorts tells whether the protocol's packets begin with a source and a destination
// port.
func (p IPProtocol) HasPorts() bool { return p == 6 || p == 17 || p == 132 }

// String returns the protocol's name, or its number in decimal.
func (p IPProtocol) String() string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return strconv.Itoa(int(p))
}

// MarshalText returns the same as String.
func (p IPProtocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes what String prints, and the number of a protocol that has a name.
// Errors satisfy errors.Is(err, [chain.ErrInvalid]).
func (p *IPProtocol) UnmarshalText(text []byte) error {
	for number, name := range protocolNames {
		if name == string(text) {
			*p = number
			return nil
		}
	}
	number, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil {
		return fmt.Errorf("%w: IP protocol %q; give a name such as tcp or a number up to 255", chain.ErrInvalid, text)
	}
	*p = IPProtocol(number)
	return nil
}
