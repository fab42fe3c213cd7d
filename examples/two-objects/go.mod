module example.com/two-objects

go 1.26.0

require (
	github.com/cilium/ebpf v0.22.0
	github.com/xdp-chain/xdp-chain v0.0.0
)

require (
	github.com/containernetworking/plugins v1.9.1 // indirect
	github.com/vishvananda/netlink v1.3.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/xdp-chain/xdp-chain => ../..
