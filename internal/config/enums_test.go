// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding"
	"errors"
	"testing"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// text is what every enumeration of the package is.
type text interface {
	encoding.TextMarshaler
	String() string
}

func TestEnumerationsPrintAndParse(t *testing.T) {
	for _, tt := range []struct {
		value text
		into  func() encoding.TextUnmarshaler
		want  string
	}{
		{PodSide, func() encoding.TextUnmarshaler { return new(Side) }, "pod"},
		{HostSide, func() encoding.TextUnmarshaler { return new(Side) }, "host"},
		{PeerNapiAuto, func() encoding.TextUnmarshaler { return new(PeerNapi) }, "auto"},
		{PeerNapiOff, func() encoding.TextUnmarshaler { return new(PeerNapi) }, "off"},
		{ScopeDefault, func() encoding.TextUnmarshaler { return new(Scope) }, ""},
		{ScopeNode, func() encoding.TextUnmarshaler { return new(Scope) }, "node"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			got, err := tt.value.MarshalText()
			if err != nil || string(got) != tt.want || tt.value.String() != tt.want {
				t.Fatalf("%#v prints as %q and %q, %v; want %q", tt.value, got, tt.value, err, tt.want)
			}
			back := tt.into()
			if err := back.UnmarshalText(got); err != nil {
				t.Fatal(err)
			}
			if again, _ := back.(text).MarshalText(); string(again) != tt.want {
				t.Errorf("parsed and printed again: %q, want %q", again, tt.want)
			}
		})
	}
}

func TestEnumerationsRefuseWhatTheyDoNotHold(t *testing.T) {
	for _, tt := range []struct {
		into encoding.TextUnmarshaler
		text string
	}{
		{new(Side), "Pod"},
		{new(Scope), "cluster"},
		{new(PeerNapi), "on"},
	} {
		if err := tt.into.UnmarshalText([]byte(tt.text)); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%T takes %q: %v", tt.into, tt.text, err)
		}
	}
	for _, wrong := range []text{Side(2), Scope(3), PeerNapi(2)} {
		if got, err := wrong.MarshalText(); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%#v prints as %q, %v", wrong, got, err)
		}
	}
}
