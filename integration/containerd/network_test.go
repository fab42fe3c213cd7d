// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// bridge is the pods' bridge.
const bridge = "cni0"

// network is the pods' network: the bridge plugin and host-local with so many
// addresses, from 10.88.0.2 on, and after them these plugins.
type network struct {
	addresses int
	plugins   []fields
}

// address is the n-th address of the network, from 0 on.
func address(n int) string { return fmt.Sprintf("10.88.0.%d", n+2) }

// addresses is how many pods a network has room for where that is of no matter.
const addresses = 100

// chained is a network with our plugin alone after bridge.
func chained(more fields, programs ...fields) network {
	return network{addresses: addresses, plugins: []fields{ours(more, programs...)}}
}

// ours is our plugin's entry.
func ours(more fields, programs ...fields) fields {
	e := plugintest.Entry(more, programs...)
	delete(e, "cniVersion")
	delete(e, "name")
	e["logFile"] = pluginLog
	e["capabilities"] = fields{"io.kubernetes.cri.pod-annotations": true}
	return e
}

// conflist is the network's configuration, with the versions that the documentation
// tells to write.
func (n network) conflist() fields {
	first := fields{
		"type": "bridge", "bridge": bridge, "isGateway": true,
		"ipam": fields{
			"type": "host-local", "dataDir": reserved,
			"ranges": [][]fields{{{
				"subnet": "10.88.0.0/24", "gateway": "10.88.0.1",
				"rangeStart": address(0), "rangeEnd": address(n.addresses - 1),
			}}},
			"routes": []fields{{"dst": "0.0.0.0/0"}},
		},
	}
	return fields{
		"cniVersion": "1.0.0", "cniVersions": []string{"0.4.0", "1.0.0", "1.1.0"},
		"name": plugintest.Network, "plugins": append([]fields{first}, n.plugins...),
	}
}

// removeBridge takes away the bridge, which outlives the pods.
func removeBridge(t *testing.T) {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return // no pod was made
	}
	if err := netlink.LinkDel(link); err != nil {
		t.Error(err)
	}
}
