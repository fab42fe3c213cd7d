// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/strict"
)

// Annotation is the key of the pods' annotation that names programs.
const Annotation = "xdp-chain.io/programs"

// maxAnnotation is the size of the longest annotation that is read, in bytes.
// Kubernetes itself lets all annotations of a pod have 256 KiB together.
const maxAnnotation = 16 << 10

// request is a program that an annotation names.
type request struct {
	Name     string                     `json:"name"`
	Priority *int                       `json:"priority"`
	Globals  map[string]json.RawMessage `json:"globals"`
	// path is where in the annotation it stands; empty in a text of names.
	path string
}

// notThePods are the fields of a program that only an administrator can give.
var notThePods = map[string]string{
	"object":    notThePodsText,
	"image":     notThePodsText,
	"function":  notThePodsText,
	"proceedOn": notThePodsText,
	"side":      notThePodsText,
	"maps":      notThePodsText,
}

const notThePodsText = "a pod cannot give this; it can give name, priority and globals of a program in the catalog"

// UnmarshalJSON reads a name, or an object with at least a name.
func (r *request) UnmarshalJSON(document []byte) error {
	switch document[0] {
	case '"':
		return json.Unmarshal(document, &r.Name)
	case '{':
		type plain request
		return strict.JSON(document, (*plain)(r), strict.Options{Refused: notThePods})
	default:
		return strict.Faults{strict.Faultf("", "want a program's name, or an object with a name, got %s", strict.Shown(document))}
	}
}

// parseAnnotation reads an annotation: names with commas between them, or a list of
// names and objects, in YAML or JSON. A blank text names nothing. The lines are those of
// the requests' paths. Errors are [strict.Faults] with lines.
func parseAnnotation(text string) ([]request, strict.Lines, error) {
	if len(text) > maxAnnotation {
		return nil, nil, strict.Faults{strict.Faultf("", "it has %d bytes; at most %d are read", len(text), maxAnnotation)}
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil, nil
	}
	raw, lines, err := strict.YAML([]byte(text))
	if err != nil {
		return nil, nil, err
	}
	var requests []request
	switch raw[0] {
	case '"':
		requests, err = parseNames(raw)
	case '[':
		err = strict.JSON(raw, &requests, strict.Options{})
		for i := range requests {
			requests[i].path = fmt.Sprintf("[%d]", i)
		}
	default:
		err = strict.Faults{strict.Faultf("", "want names with commas between them, or a list, got %s", strict.Shown(raw))}
	}
	if err != nil {
		return nil, nil, lines.Locate(err)
	}
	return requests, lines, nil
}

// parseNames reads the names in a JSON string.
func parseNames(raw []byte) ([]request, error) {
	const blanks = " \t\r\n"
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	if strings.Trim(text, blanks) == "" {
		return nil, nil
	}
	var requests []request
	for name := range strings.SplitSeq(text, ",") {
		requests = append(requests, request{Name: strings.Trim(name, blanks)})
	}
	return requests, nil
}
