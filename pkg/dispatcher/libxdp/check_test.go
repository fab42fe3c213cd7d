// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// What is refused before the kernel is asked.
func TestCheck(t *testing.T) {
	good := chaintest.Returning("a", 0, 2)
	plain := good
	plain.Loaded = using(t, "plain", true)
	filled := chaintest.Object(t, "calls.o", "tail", "a", 0)
	filled.Spec.Maps["jumps"].Contents = []ebpf.MapKV{{Key: uint32(0), Value: "loop"}}
	for _, tt := range []struct {
		name    string
		version chain.LibxdpVersion
		opts    dispatcher.Options
		member  dispatcher.Member
		want    error
		says    string
	}{
		{"a version that is read alone", chain.LibxdpV1, dispatcher.Options{}, good, ErrVersion, "version 1"},
		{"a version to come", 4, dispatcher.Options{}, good, ErrVersion, "version 4"},
		{"tx by redirect", chain.LibxdpV2, dispatcher.Options{TXByRedirect: true}, good, ebpf.ErrNotSupported, "tx"},
		{"in hardware", chain.LibxdpV2, dispatcher.Options{Ifindex: 1}, good, ebpf.ErrNotSupported, "hardware"},
		{"no BTF", chain.LibxdpV2, dispatcher.Options{}, chaintest.Strip(chaintest.Returning("bare", 0, 2)), dispatcher.ErrNoBTF, `"bare"`},
		{"loaded as a program by itself", chain.LibxdpV2, dispatcher.Options{}, plain, chain.ErrInvalid, "XDP"},
		{"tail calls within the object", chain.LibxdpV2, dispatcher.Options{}, filled, dispatcher.ErrProgramArray, `"loop"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := chaintest.BuildError(t, New(tt.version), tt.opts, tt.member)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("want %v that says %q", tt.want, tt.says)
			}
		})
	}
}

func TestDispatcher(t *testing.T) {
	d := New(chain.LibxdpVersionAuto)
	if d.Kind() != chain.DispatcherLibxdp || d.MaxMembers() != 10 {
		t.Errorf("kind %s, %d members", d.Kind(), d.MaxMembers())
	}
}
