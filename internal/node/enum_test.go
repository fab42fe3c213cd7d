// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding"
	"errors"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// enumeration is what every enumeration of the package is.
type enumeration interface {
	comparable
	encoding.TextMarshaler
	String() string
}

func TestEnumerations(t *testing.T) {
	testEnumeration(t, map[inspect.HookOwner]string{
		inspect.NoOwner: "none", inspect.ChainOwner: "chain", inspect.LibxdpOwner: "libxdp", inspect.ForeignOwner: "foreign",
	}, inspect.ForeignOwner+1)
	testEnumeration(t, map[Source]string{
		SourceConflist: "conflist", SourceAnnotation: "annotation",
	}, SourceAnnotation+1)
	testEnumeration(t, map[doctor.FindingState]string{
		doctor.StateOK: "ok", doctor.StateWarning: "warning", doctor.StateFailing: "failing",
	}, doctor.StateFailing+1)
	testEnumeration(t, map[doctor.LeftoverKind]string{
		doctor.LeftoverChain: "chain", doctor.LeftoverPins: "pins", doctor.LeftoverChange: "change", doctor.LeftoverAttachment: "attachment",
		doctor.LeftoverMaps: "maps", doctor.LeftoverLibxdp: "libxdp", doctor.LeftoverObject: "object", doctor.LeftoverTemporary: "temporary",
	}, doctor.LeftoverTemporary+1)
}

// testEnumeration holds an enumeration against the names of all its values, of which one
// is the zero value, and wrong is none.
func testEnumeration[T enumeration, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, names map[T]string, wrong T) {
	t.Helper()
	if names[*new(T)] == "" {
		t.Errorf("the zero %T has no name", wrong)
	}
	for value, name := range names {
		text, err := value.MarshalText()
		if err != nil || string(text) != name || value.String() != name {
			t.Errorf("%T %q prints as %q, %v; want %q", value, value, text, err, name)
		}
		var back T
		if err := P(&back).UnmarshalText([]byte(name)); err != nil || back != value {
			t.Errorf("%T %q reads as %q, %v", value, name, back, err)
		}
	}
	if text, err := wrong.MarshalText(); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("%T %q prints as %q, %v", wrong, wrong, text, err)
	}
	for _, text := range []string{"", "0", "Chain", "OK", wrong.String()} {
		if err := P(new(T)).UnmarshalText([]byte(text)); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%T takes %q: %v", wrong, text, err)
		}
	}
}
