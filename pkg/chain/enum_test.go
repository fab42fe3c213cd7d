// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"encoding"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		{Aborted, func() encoding.TextUnmarshaler { return new(Action) }, "aborted"},
		{Redirect, func() encoding.TextUnmarshaler { return new(Action) }, "redirect"},
		{DispatcherReturn, func() encoding.TextUnmarshaler { return new(Action) }, "dispatcher_return"},
		{VerdictDispatcherReturn, func() encoding.TextUnmarshaler { return new(Verdict) }, "dispatcher_return"},
		{VerdictInvalid, func() encoding.TextUnmarshaler { return new(Verdict) }, "invalid"},
		{ModeAuto, func() encoding.TextUnmarshaler { return new(Mode) }, "auto"},
		{ModeOffload, func() encoding.TextUnmarshaler { return new(Mode) }, "offload"},
		{AttachNetlink, func() encoding.TextUnmarshaler { return new(Attach) }, "netlink"},
		{DispatcherLinked, func() encoding.TextUnmarshaler { return new(Dispatcher) }, "linked"},
		{DispatcherLibxdp, func() encoding.TextUnmarshaler { return new(Dispatcher) }, "libxdp"},
		{Key{Cookie: 18446744073709551615, Ifindex: 2}, func() encoding.TextUnmarshaler { return new(Key) }, "18446744073709551615-2"},
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
		{new(Action), "PASS"},
		{new(Action), ""},
		{new(Action), "2"},
		{new(Verdict), "ok"},
		{new(Mode), "skb"},
		{new(Attach), "tc"},
		{new(Dispatcher), "bpfman"},
		{new(Key), "1"},
		{new(Key), "1-0"},
		{new(Key), "01-2"},
		{new(Key), "1-2-3"},
		{new(Key), "-1-2"},
		{new(Key), "1-4294967298"},
		{new(Key), "../x"},
	} {
		if err := tt.into.UnmarshalText([]byte(tt.text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%T takes %q: %v", tt.into, tt.text, err)
		}
	}
	for _, wrong := range []text{Action(5), Verdict(7), Mode(4), Attach(3), Dispatcher(3)} {
		if got, err := wrong.MarshalText(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%#v prints as %q, %v", wrong, got, err)
		}
	}
}

func TestActionSetJSON(t *testing.T) {
	for _, tt := range []struct {
		json  string
		want  ActionSet
		print string
	}{
		{`["pass","dispatcher_return"]`, DefaultProceedOn, "pass,dispatcher_return"},
		{`["aborted","drop","pass","tx","redirect","dispatcher_return"]`, allActions, "aborted,drop,pass,tx,redirect,dispatcher_return"},
		{`[]`, 0, "none"},
	} {
		var got ActionSet
		if err := json.Unmarshal([]byte(tt.json), &got); err != nil {
			t.Fatal(err)
		}
		if got != tt.want || got.String() != tt.print {
			t.Errorf("%s is %#x %q, want %#x %q", tt.json, uint32(got), got, uint32(tt.want), tt.print)
		}
		back, err := json.Marshal(got)
		if err != nil || string(back) != tt.json {
			t.Errorf("%s comes back as %s, %v", tt.json, back, err)
		}
	}
	for _, wrong := range []string{`["pass","pass"]`, `["Pass"]`, `null`, `"pass"`, `[2]`, `{}`} {
		var got ActionSet
		if err := got.UnmarshalJSON([]byte(wrong)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s is taken as %s, %v", wrong, got, err)
		}
	}
	if _, err := json.Marshal(ActionSet(1 << 5)); err == nil {
		t.Error("a set with a bit that is no action is printed")
	}
}

func TestActionSetHoldsItsActionsOnly(t *testing.T) {
	set := ActionSetOf(Pass, Redirect)
	if diff := cmp.Diff([]Action{Pass, Redirect}, set.Actions()); diff != "" {
		t.Error(diff)
	}
	for v := range uint32(1 << 16) {
		want := v == uint32(Pass) || v == uint32(Redirect)
		if set.HasVerdict(v) != want {
			t.Fatalf("HasVerdict(%d) is %t", v, !want)
		}
	}
	if set.HasVerdict(1<<32 - 1) {
		t.Error("a negative value is in the set")
	}
	if DefaultProceedOn.Has(Action(200)) {
		t.Error("an action that is none is in the set")
	}
}

func TestLibxdpVersionJSON(t *testing.T) {
	for text, want := range map[string]LibxdpVersion{"0": LibxdpVersionAuto, "1": LibxdpV1, "2": LibxdpV2, "3": LibxdpV3} {
		var got LibxdpVersion
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != text {
			t.Errorf("%v is written as %s, %v", got, back, err)
		}
	}
	for _, wrong := range []string{"4", "-1", "258", "2.5", `"2"`, "true", "{}"} {
		var got LibxdpVersion
		if err := got.UnmarshalJSON([]byte(wrong)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s is taken as %v, %v", wrong, got, err)
		}
	}
	if _, err := json.Marshal(LibxdpVersion(4)); err == nil {
		t.Error("a value that is no version is written")
	}
}
