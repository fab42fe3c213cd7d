// SPDX-License-Identifier: Apache-2.0

// Package jsonint reads and writes whole numbers as JSON holds them: as numbers, and as
// strings of decimal or 0x digits, which CNI runtimes leave alone where they round
// JSON numbers past 2^53.
//
// It is one package so that what a policy has checked and what is then written into a
// program are the same number.
package jsonint

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
)

// longest is the length of the longest text that is looked at, in bytes: a sign and
// more digits than 128 bits have.
const longest = 41

// Parse reads a JSON integer, or a JSON string that holds one in decimal or 0x digits.
// There are no leading zeros, which C would read as octal, no fraction and no
// exponent. It reports whether the value is such a number.
func Parse(value json.RawMessage) (*big.Int, bool) {
	text := string(bytes.TrimSpace(value))
	if strings.HasPrefix(text, `"`) {
		var unquoted string
		if err := json.Unmarshal(value, &unquoted); err != nil {
			return nil, false
		}
		text = unquoted
	}
	if len(text) > longest || !isWhole(text) {
		return nil, false
	}
	return new(big.Int).SetString(text, 0)
}

func isWhole(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	set := "0123456789"
	if hex, ok := strings.CutPrefix(digits, "0x"); ok {
		digits, set = hex, "0123456789abcdefABCDEF"
	} else if strings.HasPrefix(digits, "0") {
		return digits == "0"
	}
	return digits != "" && strings.Trim(digits, set) == ""
}

// JSON writes a number in decimal digits: as a JSON number, past 2^53 as a string.
func JSON(n *big.Int) json.RawMessage {
	const exact = 53 // bits of a float64's mantissa
	if n.BitLen() > exact {
		return json.RawMessage(`"` + n.String() + `"`)
	}
	return json.RawMessage(n.String())
}
