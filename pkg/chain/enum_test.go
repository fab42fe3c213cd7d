// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/enum/enumtest"
)

func TestEnumerationsPrintAndParse(t *testing.T) {
	enumtest.PrintAndParse(t, map[Action]string{Aborted: "aborted", Redirect: "redirect", DispatcherReturn: "dispatcher_return"})
	enumtest.PrintAndParse(t, map[Verdict]string{VerdictDispatcherReturn: "dispatcher_return", VerdictInvalid: "invalid"})
	enumtest.PrintAndParse(t, map[Mode]string{ModeAuto: "auto", ModeOffload: "offload"})
	enumtest.PrintAndParse(t, map[Attach]string{AttachNetlink: "netlink"})
	enumtest.PrintAndParse(t, map[Dispatcher]string{DispatcherLinked: "linked", DispatcherLibxdp: "libxdp"})
	enumtest.PrintAndParse(t, map[Key]string{{Cookie: 18446744073709551615, Ifindex: 2}: "18446744073709551615-2"})
}

func TestEnumerationsRefuseWhatTheyDoNotHold(t *testing.T) {
	enumtest.Refuse(t, ErrInvalid, []string{"PASS", "", "2"}, Action(5))
	enumtest.Refuse(t, ErrInvalid, []string{"ok"}, Verdict(7))
	enumtest.Refuse(t, ErrInvalid, []string{"skb"}, Mode(4))
	enumtest.Refuse(t, ErrInvalid, []string{"tc"}, Attach(3))
	enumtest.Refuse(t, ErrInvalid, []string{"bpfman"}, Dispatcher(3))
	enumtest.Refuse[Key](t, ErrInvalid, []string{"1", "1-0", "01-2", "1-2-3", "-1-2", "1-4294967298", "../x"})
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
