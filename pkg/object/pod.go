// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Pod is what placeholders in globals and map entries stand for: what a pod got
// from the plugins before.
type Pod struct {
	// IP and IP6 are its first addresses; invalid where it has none.
	IP, IP6 netip.Addr
	// MAC is the hardware address of its interface, nil where it is not known.
	MAC net.HardwareAddr
	// Ifindex is the index of its interface in its network namespace; 0 where it is
	// not known.
	Ifindex int
	// Name and Namespace are Kubernetes' (K8S_POD_NAME and K8S_POD_NAMESPACE of
	// CNI_ARGS), empty elsewhere.
	Name, Namespace string
}

const placeholders = "${pod.ip}, ${pod.ip6}, ${pod.mac}, ${pod.ifindex}, ${pod.name}, ${pod.namespace}"

// Expand replaces the placeholders in the strings of a JSON value, in lists and in
// objects too, but not in the names of an object's members. A string that is
// "${pod.ifindex}" and nothing else becomes a number. "$${" stands for "${". A
// placeholder that is unknown or that this pod has no value for is an error that
// satisfies errors.Is(err, [ErrUnusable]).
func (p Pod) Expand(value json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(value, []byte("${")) && !bytes.Contains(value, []byte(`\u`)) {
		return value, nil
	}
	if !json.Valid(value) {
		return nil, unusable{fmt.Errorf("%q is not JSON", value)}
	}
	expanded, err := p.expand(value)
	if err != nil {
		return nil, unusable{err}
	}
	return expanded, nil
}

func (p Pod) expand(value json.RawMessage) (json.RawMessage, error) {
	switch bytes.TrimLeft(value, " \t\r\n")[0] {
	case '"':
		return p.expandString(value)
	case '[':
		list, err := elements(value)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if list[i], err = p.expand(list[i]); err != nil {
				return nil, err
			}
		}
		return json.Marshal(list)
	case '{':
		return p.expandObject(value)
	default:
		return value, nil
	}
}

func (p Pod) expandObject(value json.RawMessage) (json.RawMessage, error) {
	list, err := members(value)
	if err != nil {
		return nil, err
	}
	expanded := make([]string, len(list))
	for i, m := range list {
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := p.expand(m.value)
		if err != nil {
			return nil, err
		}
		expanded[i] = string(name) + ":" + string(value)
	}
	return json.RawMessage("{" + strings.Join(expanded, ",") + "}"), nil
}

func (p Pod) expandString(value json.RawMessage) (json.RawMessage, error) {
	text, err := unquote(value)
	if err != nil {
		return nil, err
	}
	if text == "${pod.ifindex}" {
		index, err := p.lookup("pod.ifindex")
		return json.RawMessage(index), err
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "${")
		if !found {
			out.WriteString(text)
			return json.Marshal(out.String())
		}
		if escaped, ok := strings.CutSuffix(before, "$"); ok {
			out.WriteString(escaped + "${")
			text = after
			continue
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("%q has a ${ without a }; write $${ for the characters themselves", text)
		}
		replacement, err := p.lookup(name)
		if err != nil {
			return nil, err
		}
		out.WriteString(before + replacement)
		text = rest
	}
}

// lookup returns what a placeholder stands for.
func (p Pod) lookup(name string) (string, error) {
	ifindex := ""
	if p.Ifindex != 0 {
		ifindex = strconv.Itoa(p.Ifindex)
	}
	// The text of an address that is not valid is empty.
	found, known := map[string]struct{ value, missing string }{
		"pod.ip":        {string(p.IP.AppendTo(nil)), "no IPv4 address"},
		"pod.ip6":       {string(p.IP6.AppendTo(nil)), "no IPv6 address"},
		"pod.mac":       {p.MAC.String(), "no hardware address that we know of"},
		"pod.ifindex":   {ifindex, "no interface index that we know of"},
		"pod.name":      {p.Name, "no name: the runtime gave no K8S_POD_NAME"},
		"pod.namespace": {p.Namespace, "no namespace: the runtime gave no K8S_POD_NAMESPACE"},
	}[name]
	if !known {
		return "", fmt.Errorf("unknown placeholder ${%s}; there are %s", name, placeholders)
	}
	if found.value == "" {
		return "", errors.New("${" + name + "}: this pod has " + found.missing)
	}
	return found.value, nil
}
