// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"net"
	"net/netip"
	"testing"
)

var pod = Pod{
	IP:        netip.MustParseAddr("10.1.2.3"),
	IP6:       netip.MustParseAddr("2001:db8::3"),
	MAC:       net.HardwareAddr{2, 0, 0, 0, 0, 3},
	Ifindex:   7,
	Name:      "web-0",
	Namespace: "shop",
}

func TestExpand(t *testing.T) {
	tests := []struct{ value, want string }{
		{`5`, `5`},
		{`"plain"`, `"plain"`},
		{`"${pod.ip}"`, `"10.1.2.3"`},
		{`"${pod.ip}/32"`, `"10.1.2.3/32"`},
		{`"${pod.ip6}"`, `"2001:db8::3"`},
		{`"${pod.mac}"`, `"02:00:00:00:00:03"`},
		{`"${pod.ifindex}"`, `7`},
		{`"if${pod.ifindex}"`, `"if7"`},
		{`"${pod.namespace}/${pod.name}"`, `"shop/web-0"`},
		{`"\u0024{pod.name}"`, `"web-0"`},
		{`"$${pod.name}"`, `"${pod.name}"`},
		{`"$${${pod.name}"`, `"${web-0"`},
		{`["${pod.ip}", 1, true, null]`, `["10.1.2.3",1,true,null]`},
		{`{"a": {"b": ["${pod.ifindex}"]}, "${pod.ip}": 18446744073709551615}`, `{"a":{"b":[7]},"${pod.ip}":18446744073709551615}`},
		{`{"a": "${pod.ip}", "b": {}, "c": []}`, `{"a":"10.1.2.3","b":{},"c":[]}`},
	}
	for _, test := range tests {
		t.Run(test.value, func(t *testing.T) {
			got, err := pod.Expand(json.RawMessage(test.value))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got %s; want %s", got, test.want)
			}
		})
	}
}

func TestExpandRefuses(t *testing.T) {
	tests := []struct {
		pod   Pod
		value string
		want  []string
	}{
		{pod, `"${pod.uid}"`, []string{"unknown placeholder ${pod.uid}", "${pod.namespace}"}},
		{pod, `"${HOME}"`, []string{"unknown placeholder ${HOME}"}},
		{pod, `"${}"`, []string{"unknown placeholder ${}"}},
		{pod, `"${pod.ip"`, []string{"without a }"}},
		{pod, `{"a": "${pod.ip}", "a": 1}`, []string{`"a" is given twice`}},
		{pod, `"${pod.ip}`, []string{"is not JSON"}},
		{Pod{}, `"${pod.ip}"`, []string{"${pod.ip}: this pod has no IPv4 address"}},
		{Pod{}, `"${pod.ip6}"`, []string{"no IPv6 address"}},
		{Pod{}, `["${pod.mac}"]`, []string{"no hardware address"}},
		{Pod{}, `"${pod.ifindex}"`, []string{"no interface index"}},
		{Pod{}, `"${pod.name}"`, []string{"K8S_POD_NAME"}},
		{Pod{}, `"${pod.namespace}"`, []string{"K8S_POD_NAMESPACE"}},
	}
	for _, test := range tests {
		t.Run(test.value, func(t *testing.T) {
			_, err := test.pod.Expand(json.RawMessage(test.value))
			wantError(t, err, test.want...)
		})
	}
}
