// SPDX-License-Identifier: Apache-2.0

package strict

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/xdp-chain/xdp-chain/internal/jsonint"
)

// maxDepth is how deep values may lie in each other.
const maxDepth = 16

// YAML makes JSON of one YAML document, and tells on which lines its values stand. An
// empty text is null. What is more than JSON can say is a fault: aliases, anchors, tags,
// merge keys, keys that are no strings or are there twice, several documents, numbers
// that JSON does not know (0x digits are taken), and so are more than 16 values in each
// other. JSON is YAML, but for the escape \/ and pairs of surrogates. Errors are [Faults]
// with lines.
//
// Nothing is expanded, so the work is linear in the text.
func YAML(text []byte) (document []byte, lines Lines, err error) {
	if !utf8.Valid(text) {
		return nil, nil, Faults{{Line: 1, Text: "the text is not UTF-8"}}
	}
	if json.Valid(text) {
		// All of its tabs are between the values; YAML takes none there.
		text = bytes.ReplaceAll(text, []byte("\t"), []byte(" "))
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root, more yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		return []byte("null"), Lines{"": 1}, nil
	case err != nil:
		return nil, nil, Faults{syntaxFault(text, err)}
	}
	switch err := decoder.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, nil, Faults{syntaxFault(text, err)}
	default:
		return nil, nil, Faults{{Line: more.Line, Text: "a second document begins; there must be one alone"}}
	}
	c := converter{lines: make(Lines)}
	c.value(root.Content[0], "", 1)
	if len(c.faults) > 0 {
		return nil, nil, c.faults
	}
	return c.out.Bytes(), c.lines, nil
}

// grammar begins the messages of go.yaml.in/yaml/v3 3.0.6 whose lines count from 0: it
// corrects those of its scanner alone (parser.fail in decode.go).
var grammar = []string{
	"did not find expected <document start>", "did not find expected node content", "did not find expected key",
	"did not find expected '-' indicator", "did not find expected ',' or",
}

// syntaxFault takes the line out of the parser's message, "yaml: line 3: …", which
// has no other form for it. The first line is not said, and the end of the text may
// count as a line.
func syntaxFault(text []byte, err error) Fault {
	message, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if number, rest, ok := strings.Cut(strings.TrimPrefix(message, "line "), ": "); ok {
		if n, err := strconv.Atoi(number); err == nil {
			message, line = rest, n
			if slices.ContainsFunc(grammar, func(begin string) bool { return strings.HasPrefix(rest, begin) }) {
				line++
			}
		}
	}
	if strings.HasPrefix(message, "unknown anchor ") {
		// The parser quotes the whole of it.
		return Fault{Line: line, Text: "an alias of no anchor, and aliases are not taken; write the value out"}
	}
	last := bytes.Count(bytes.TrimRight(text, "\n"), []byte("\n")) + 1
	return Fault{Line: min(line, last), Text: "not YAML: " + message}
}

// converter writes a tree of YAML nodes as JSON.
type converter struct {
	out    bytes.Buffer
	lines  Lines
	faults Faults
}

func (c *converter) fault(n *yaml.Node, path, format string, args ...any) {
	c.faults = append(c.faults, Fault{Path: path, Line: n.Line, Text: fmt.Sprintf(format, args...)})
}

func (c *converter) value(n *yaml.Node, path string, depth int) {
	c.lines[path] = n.Line
	switch {
	case depth > maxDepth:
		c.fault(n, path, "more than %d values lie in each other", maxDepth)
	case n.Kind == yaml.AliasNode:
		c.fault(n, path, "aliases (*%s) are not taken; write the value out", Shown([]byte(n.Value)))
	case n.Anchor != "":
		c.fault(n, path, "anchors (&%s) are not taken; leave it out", Shown([]byte(n.Anchor)))
	case n.Style&yaml.TaggedStyle != 0:
		c.fault(n, path, "tags (%s) are not taken; quote what is to be a string", Shown([]byte(n.Tag)))
	case n.Kind == yaml.MappingNode:
		c.mapping(n, path, depth)
	case n.Kind == yaml.SequenceNode:
		c.sequence(n, path, depth)
	default:
		c.scalar(n, path)
	}
}

func (c *converter) mapping(n *yaml.Node, path string, depth int) {
	first := make(map[string]int, len(n.Content)/2)
	c.out.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !c.key(key, path) {
			continue
		}
		below := join(path, key.Value)
		if line, taken := first[key.Value]; taken {
			c.fault(key, below, "the field is there twice, first on line %d; which one counts would be a guess", line)
			continue
		}
		if len(first) > 0 {
			c.out.WriteByte(',')
		}
		first[key.Value] = key.Line
		c.text(key.Value)
		c.out.WriteByte(':')
		c.value(value, below, depth+1)
	}
	c.out.WriteByte('}')
}

// key reports whether a node can be the name of a field.
func (c *converter) key(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode, n.Anchor != "", n.Style&yaml.TaggedStyle != 0:
		c.fault(n, path, "a field's name has an alias, an anchor or a tag; write it plainly")
	case n.Kind != yaml.ScalarNode:
		c.fault(n, path, "a field's name is a list or an object; want a string")
	case n.ShortTag() == "!!merge":
		c.fault(n, path, `merge keys (<<) are not taken; write the fields out`)
	case n.ShortTag() != "!!str":
		c.fault(n, path, "a field's name is %s, which is no string; quote it", Shown([]byte(n.Value)))
	default:
		return true
	}
	return false
}

func (c *converter) sequence(n *yaml.Node, path string, depth int) {
	c.out.WriteByte('[')
	for i, item := range n.Content {
		if i > 0 {
			c.out.WriteByte(',')
		}
		c.value(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
	}
	c.out.WriteByte(']')
}

func (c *converter) scalar(n *yaml.Node, path string) {
	switch n.ShortTag() {
	case "!!null":
		c.out.WriteString("null")
	case "!!bool":
		c.out.WriteString(strings.ToLower(n.Value))
	case "!!int", "!!float":
		c.number(n, path)
	default: // strings, and dates, which are nothing else here
		c.text(n.Value)
	}
}

func (c *converter) number(n *yaml.Node, path string) {
	if json.Valid([]byte(n.Value)) {
		c.out.WriteString(n.Value)
		return
	}
	if hex, ok := jsonint.Parse(json.RawMessage(`"` + n.Value + `"`)); ok {
		c.out.WriteString(hex.String())
		return
	}
	c.fault(n, path, "%s is no number of JSON; write decimal digits without leading zeros, or quote a string", Shown([]byte(n.Value)))
}

func (c *converter) text(s string) {
	encoder := json.NewEncoder(&c.out)
	encoder.SetEscapeHTML(false)
	// A string always encodes, and a buffer takes everything.
	_ = encoder.Encode(s)
	c.out.Truncate(c.out.Len() - 1) // the encoder's line feed
}

// Lines says on which line of a text, from 1 on, the value of each path begins.
type Lines map[string]int

// Of returns the line of a path, or of the nearest one above it that is there.
func (l Lines) Of(path string) int {
	for {
		if line, ok := l[path]; ok || path == "" {
			return line
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// Locate returns an error with the lines of its faults, in their order. Other errors
// stay as they are.
func (l Lines) Locate(err error) error {
	found, ok := errors.AsType[Faults](err)
	if !ok {
		return err
	}
	located := make(Faults, len(found))
	for i, f := range found {
		f.Line = l.Of(f.Path)
		located[i] = f
	}
	slices.SortStableFunc(located, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return located
}
