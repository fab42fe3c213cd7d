// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// placeError is an error about a part of a value. Where is the way there as C
// writes it, such as ".ports[2]".
type placeError struct {
	where string
	err   error
}

func (e *placeError) Error() string { return e.where + ": " + e.err.Error() }

func (e *placeError) Unwrap() error { return e.err }

// at puts a step in front of the way to the part that err is about. A nil err stays
// nil.
func at(step string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*placeError](err); ok {
		return &placeError{step + inner.where, inner.err}
	}
	return &placeError{step, err}
}

// wants says what kind of value a type needs, and what was given.
func wants(what string, value json.RawMessage) error {
	const most = 40
	given := bytes.TrimSpace(value)
	if len(given) > most {
		given = append(bytes.Clone(given[:most]), "…"...)
	}
	return fmt.Errorf("want %s, not %s", what, given)
}

// isString reports whether a valid JSON value is a string.
func isString(value json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimLeft(value, " \t\r\n"), []byte{'"'})
}

func unquote(value json.RawMessage) (string, error) {
	var text string
	err := json.Unmarshal(value, &text)
	return text, err
}

// elements returns the elements of a JSON array.
func elements(value json.RawMessage) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil || list == nil {
		return nil, wants("a list", value)
	}
	return list, nil
}

// member is a name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members returns those of a JSON object in their order. A name that stands twice
// is an error.
func members(value json.RawMessage) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, wants("an object", value)
	}
	var list []member
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: token.(string)} // a JSON object's names are strings
		if err := decoder.Decode(&m.value); err != nil {
			return nil, err
		}
		if seen[m.name] {
			return nil, fmt.Errorf("member %q is given twice", m.name)
		}
		seen[m.name] = true
		list = append(list, m)
	}
	return list, nil
}
