#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two pods on one bridge, each behind a chain of three programs, and packets that
# pass and packets that do not. Runs in namespaces of its own (hack/sandbox), so that
# the machine is left as it was. `make demo` builds what it needs.
# shellcheck disable=SC2016 # awk and the inner shell expand what stands in single quotes
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin
if [[ -z ${XDP_CHAIN_SANDBOX:-} ]]; then
	exec go run ./hack/sandbox "$0"
fi

export PATH=$PWD/bin:$PWD/.cache/bin:$PATH
export NETCONFPATH=$PWD/conf CNI_PATH=$PWD/bin:$PWD/.cache/bin
network=own-program
pods=(web db)
db=10.88.0.3 # host-local gives addresses in turn

if [[ -t 1 ]]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
say() { sed 's/^/  /'; }

# cni VERB POD: what a container runtime does, by cnitool.
cni() {
	CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=$2" cnitool "$1" $network "/run/netns/$2"
}

# in_pod POD COMMAND...: not "ip netns exec", which would hide bpffs.
in_pod() { nsenter --net="/run/netns/$1" "${@:2}"; }

# datagrams COUNT BYTES ADDRESS PORT: UDP out of pod web.
datagrams() {
	in_pod web bash -c 'for ((i = 0; i < $1; i++)); do printf "%*s" "$2" x >"/dev/udp/$3/$4"; done' - "$@"
}

# arrived POD: how many UDP datagrams the pod's kernel has had to deal with.
arrived() { in_pod "$1" awk '/^Udp: [0-9]/ { print $2 + $3 }' /proc/net/snmp; }

# A folder for the user's own object, as the conflist names it; /opt of the
# machine is not touched.
mount -t tmpfs tmpfs /opt
mkdir -p /opt/xdp
install -m 0644 conf/examples/udp-limit/udp_limit.o /opt/xdp/udp_limit.o

step "1. Two pods, by the bridge plugin and xdp-chain (conf/20-own-program.conflist)"
for pod in "${pods[@]}"; do
	ip netns add "$pod"
	cni add "$pod" >/dev/null
	echo "pod $pod: $(ip -n "$pod" -4 -o addr show eth0 | awk '{ print $4 }'), chain in place before any container starts"
done | say

step "2. The chain that each pod got, in running order (xdpctl list)"
xdpctl list | say

step "3. Packets from pod web to pod db"
kind() { # kind WHAT BYTES PORT: ten datagrams, and how many of them arrived
	local before
	before=$(arrived db)
	datagrams 10 "$2" $db "$3"
	sleep 0.1
	echo "$1: $(($(arrived db) - before)) of 10 arrived"
}
{
	in_pod web ping -q -n -c 10 -i 0.05 $db | awk '/transmitted/ { print "ping: " $4 " of " $1 " answered" }'
	kind "UDP to port 5000, 100 bytes" 100 5000
	kind "UDP to port 9000, which acl closes" 100 9000
	kind "UDP to port 5000, 900 bytes, which is more than udp-limit lets through" 900 5000
} | say

step "4. Who decided (xdpctl stats)"
xdpctl stats | say

step "5. The runtime asks whether all is as it was made (CHECK), and root in a pod tries to take its chain off"
for pod in "${pods[@]}"; do
	cni check "$pod"
	echo "CHECK $pod: ok"
done | say
echo "db# ip link set dev eth0 xdp off: $(in_pod db ip link set dev eth0 xdp off 2>&1 || true)" | say
cni check db
echo "CHECK db: ok, the chain is still there" | say

step "6. The pods go (DEL), and nothing is left"
for pod in "${pods[@]}"; do
	cni del "$pod"
	ip netns del "$pod"
done
{
	echo "xdpctl list: $(xdpctl list)"
	echo "pins: $(find /sys/fs/bpf/xdp-chain/chains /sys/fs/bpf/xdp-chain/node /sys/fs/bpf/xdp-chain/netns -mindepth 1 | wc -l)"
	echo "records: $(find /run/xdp-chain/chains /run/xdp-chain/attachments -type f 2>/dev/null | wc -l)"
	echo "interfaces with an XDP program: $(ip -o link | grep -c xdp || true)"
} | say
