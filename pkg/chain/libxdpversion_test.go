// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"encoding/json"
	"errors"
	"testing"
)

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
