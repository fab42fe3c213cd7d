// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"maps"

	"golang.org/x/sys/unix"
)

// answer is what is to come of an attempt.
type answer struct {
	errno unix.Errno // 0: it works
	then  fate
	check string // a word of what CHECK says; "": it finds nothing
	apart bool   // would be in the way of other attempts on the same pod
}

var (
	works    = answer{then: decides} // and is nothing to the chain
	onTop    = answer{then: decides, apart: true}
	gone     = answer{then: open, check: "gone"}
	replaced = answer{then: open, check: "intruder"}
	cutOff   = answer{then: cut, check: "eth0"}
	hidden   = answer{then: decides, check: "eth0"} // CHECK looks for the interface by its name
)

func refused(errno unix.Errno) answer { return answer{errno: errno, then: decides} }

// always are what nobody gets at who has no CAP_SYS_ADMIN, whatever else.
func always() map[string]answer {
	return map[string]answer{
		"open its program by id":  refused(unix.EPERM),
		"detach its link by id":   refused(unix.EPERM),
		"mount bpffs":             refused(unix.EPERM),
		"list its pins":           refused(unix.ENOENT),
		"list its records":        refused(unix.ENOENT),
		"enter another namespace": refused(unix.EPERM),
		"make a namespace":        refused(unix.EPERM),
	}
}

// byNobody are the answers to who has no capability over the pod's network namespace.
func byNobody(held) map[string]answer {
	a := always()
	for _, name := range []string{
		"take it off", "take it off, native", "take it off, generic", "replace it", "attach a link, native", "attach a link, generic",
		"down and up", "MTU", "MAC address", "promiscuous", "GRO", "another address", "classifier at tc", "bridge on top", "macvlan on top",
		"rename", "move to another namespace", "delete", "delete the host's end", "plug into the host's bridge", "macvlan on the host's uplink",
	} {
		a[name] = refused(unix.EPERM)
	}
	a["list the host's interfaces"] = refused(unix.EACCES)
	return a
}

// byStranger are the answers to root in a user namespace that does not own the pod's
// network namespace: more than nobody only in what is its own.
func byStranger(h held) map[string]answer {
	a := byNobody(h)
	delete(a, "make a namespace")
	return a
}

// byOwner are the answers to CAP_NET_ADMIN in the user namespace of the pod, as with
// hostUsers: false. CAP_BPF there is none: programs are for the host's.
func byOwner(h held) map[string]answer {
	a := toTakeOff(h)
	if !h.all {
		return a
	}
	maps.Copy(a, always())
	for _, name := range []string{"replace it", "attach a link, native", "attach a link, generic"} {
		a[name] = refused(unix.EPERM)
	}
	for _, name := range []string{"down and up", "MTU", "MAC address", "promiscuous", "GRO", "another address", "classifier at tc"} {
		a[name] = works
	}
	maps.Copy(a, map[string]answer{
		"bridge on top": onTop, "macvlan on top": onTop,
		"rename": hidden, "rename, decoy": hidden, "delete": cutOff,
		// That namespace is the host's.
		"move to another namespace":    refused(unix.EPERM),
		"list the host's interfaces":   refused(unix.EACCES),
		"delete the host's end":        refused(unix.EACCES),
		"plug into the host's bridge":  refused(unix.EPERM),
		"macvlan on the host's uplink": refused(unix.EPERM),
	})
	return a
}

// byNetAdmin are the answers to CAP_NET_ADMIN in the host's user namespace, which all
// pods share that have none of their own.
func byNetAdmin(h held) map[string]answer {
	a := byOwner(h)
	if h.all {
		a["move to another namespace"], a["list the host's interfaces"], a["delete the host's end"] = hidden, works, cutOff
	}
	delete(a, "plug into the host's bridge") // TestPodGoesRoundItsChain
	delete(a, "macvlan on the host's uplink")
	return a
}

// toTakeOff are the answers to taking the chain off by netlink, ip link set eth0 xdp off: a
// link refuses it. In the mode in which there is nothing, there is nothing to refuse.
func toTakeOff(h held) map[string]answer {
	native, generic := works, works
	switch {
	case h.generic && h.link:
		generic = refused(unix.EBUSY)
	case h.generic:
		generic = gone
	case h.link:
		native = refused(unix.EBUSY)
	default:
		native = gone
	}
	// A veth can do native XDP, and then no mode means native.
	return map[string]answer{"take it off": native, "take it off, native": native, "take it off, generic": generic}
}

// byNetAdminAndBPF are the answers to a container that can load programs, too: a link refuses
// to be replaced, a program attached by netlink does not. In no case do two programs sit
// on an interface in the two modes.
func byNetAdminAndBPF(h held) map[string]answer {
	a := map[string]answer{
		"replace it, expecting another, native": refused(unix.EEXIST), "replace it, expecting another, generic": refused(unix.EEXIST),
		"replace it, native": refused(unix.EEXIST), "replace it, generic": refused(unix.EEXIST),
		"attach a link, native": refused(unix.EEXIST), "attach a link, generic": refused(unix.EEXIST),
		"bridge with XDP on top": onTop,
	}
	mode := "native"
	if h.generic {
		mode = "generic"
	}
	a["attach a link, "+mode] = refused(unix.EBUSY)
	if h.link {
		a["replace it, "+mode], a["replace it, expecting another, "+mode] = refused(unix.EBUSY), refused(unix.EBUSY)
	} else {
		a["replace it, "+mode] = replaced
	}
	a["replace it"] = a["replace it, native"] // as above
	if h.all {
		maps.Copy(a, always())
	}
	return a
}

// byPrivileged show that the attempts can succeed.
func byPrivileged(held) map[string]answer {
	return map[string]answer{
		"open its program by id": works, "enter another namespace": works, "make a namespace": works,
		"mount bpffs":           works,
		"list its pins":         refused(unix.ENOENT), // every bpffs is one of its own
		"detach its link by id": gone,
	}
}
