// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// file is a catalog file that was read.
type file struct {
	path  string
	entry Entry
	// err is what is wrong with the file; then there is no entry.
	err error
	// names are those whose entries depend on the file: its entry's, or for a file with an
	// error all that it may have been meant for.
	names []string
}

// readFile reads a file's entry, or finds what is wrong with it.
func readFile(path string) *file {
	f := &file{path: path}
	text, err := files.ReadTrusted(path, maxFileSize)
	if err != nil {
		f.err = fmt.Errorf("%w: %s: %w", ErrBroken, path, err)
		text = readBeginning(path)
	} else if f.entry, err = decode(text, path); err != nil {
		f.err = brokenLines(path, err)
	}
	if f.err != nil {
		f.names = claimedNames(path, text)
	} else {
		f.names = []string{f.entry.Name}
	}
	return f
}

// brokenLines says where in a file each fault is, one a line.
func brokenLines(path string, err error) error {
	faults, ok := errors.AsType[strict.Faults](err)
	if !ok {
		return fmt.Errorf("%w: %s: %w", ErrBroken, path, err)
	}
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = fmt.Errorf("%w: %s:%d: %s", ErrBroken, path, f.Line, f)
	}
	return errors.Join(errs...)
}

// document is what a catalog file holds.
type document struct {
	Name      string                     `json:"name"`
	Object    string                     `json:"object"`
	Function  string                     `json:"function"`
	Priority  *int                       `json:"priority"`
	ProceedOn *chain.ActionSet           `json:"proceedOn"`
	Globals   map[string]json.RawMessage `json:"globals"`
	Settable  map[string]Setting         `json:"settable"`
	Transmits *bool                      `json:"transmits"`
}

// refused are the fields that somebody may expect in an entry.
var refused = map[string]string{
	"image": "programs from OCI images are not in this version of xdp-chain; use object with a file's path",
	"maps":  "an entry sets no maps; a network's configuration does, in programs[].maps",
	"side":  "an entry has no side; a network's configuration gives it",
}

// decode reads the text of a catalog file. Errors are [strict.Faults] with lines.
func decode(text []byte, path string) (Entry, error) {
	raw, lines, err := strict.YAML(text)
	if err != nil {
		return Entry{}, err
	}
	if string(raw) == "null" {
		return Entry{}, strict.Faults{{Line: 1, Text: "the file is empty; an entry has at least a name"}}
	}
	var d document
	if err := strict.JSON(raw, &d, strict.Options{Document: "the entry", Refused: refused, Lists: config.Lists}); err != nil {
		return Entry{}, lines.Locate(err)
	}
	if err := d.faults().Err(); err != nil {
		return Entry{}, lines.Locate(err)
	}
	return d.entry(path)
}

// faults returns what is wrong with the values of a document whose types are right.
func (d *document) faults() strict.Faults {
	if err := chain.CheckName(d.Name); err != nil {
		return strict.Faults{strict.Faultf("name", "%v", err)}
	}
	var faults strict.Faults
	if d.Object == "" && !slices.Contains(Builtins(), d.Name) {
		faults = append(faults, strict.Faultf("object", "it is missing, and %q is no built-in program; give the absolute path of an object", d.Name))
	}
	if d.Object != "" && !filepath.IsAbs(d.Object) {
		faults = append(faults, strict.Faultf("object", "%s is not an absolute path", strict.Quoted(d.Object)))
	}
	if d.Priority != nil && (*d.Priority < 0 || *d.Priority > chain.MaxPriority) {
		faults = append(faults, strict.Faultf("priority", "%d; it goes from 0 (first) to %d", *d.Priority, chain.MaxPriority))
	}
	return faults
}

// entry returns the entry of a document without faults. One without an object changes
// the defaults of the built-in of its name: what it does not mention stays.
func (d *document) entry(path string) (Entry, error) {
	e := Entry{Name: d.Name, Object: d.Object, Origin: d.Object}
	if d.Object == "" {
		var err error
		if e, err = Builtin(d.Name); err != nil {
			return Entry{}, err
		}
	}
	e.File = path
	d.applyTo(&e)
	return e, nil
}

// applyTo puts what the document mentions over an entry.
func (d *document) applyTo(e *Entry) {
	e.Function = cmp.Or(d.Function, e.Function)
	e.Priority = cmp.Or(d.Priority, e.Priority)
	e.ProceedOn = cmp.Or(d.ProceedOn, e.ProceedOn)
	if e.Globals == nil {
		e.Globals = d.Globals
	} else {
		maps.Copy(e.Globals, d.Globals)
	}
	// Settable is a policy: a file that has one says all of it.
	if d.Settable != nil {
		e.Settable = d.Settable
	}
	if d.Transmits != nil {
		e.Transmits = *d.Transmits
	}
}

// claimedNames returns the names that a file that is at fault may have been meant for: those
// that can still be read in it, and the file's own, with and without leading figures
// ("10-acl.yaml" is about acl).
func claimedNames(path string, text []byte) []string {
	stem := strings.TrimSuffix(filepath.Base(path), suffix)
	names := []string{stem}
	if number, rest, ok := strings.Cut(stem, "-"); ok && strings.Trim(number, "0123456789") == "" {
		names = append(names, rest)
	}
	for _, word := range append(namesInNodes(text), namesInText(text)...) {
		if name := respelt(word); chain.CheckName(name) == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readBeginning returns the beginning of a file that may not be used, to look for names in it,
// and nothing where there is no regular one. Whoever could write such a file can make
// programs unusable by it, as with any other fault; no word of it is run.
func readBeginning(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	// Half a text may hold a name, too.
	text, _ := io.ReadAll(io.LimitReader(f, maxFileSize))
	return text
}

// namesInNodes returns the values of the fields "name" of a text, wherever they stand:
// a second document, a list or a wrong indentation is a fault, and no reason for a
// built-in to stand in.
func namesInNodes(text []byte) []string {
	var names []string
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		// What stands behind an error is for namesInText.
		if decoder.Decode(&document) != nil {
			return names
		}
		names = appendNames(names, &document)
	}
}

// appendNames adds the values of the fields "name" in and below a node. What an alias
// stands for is visited where it is written, so the work is linear in the text.
func appendNames(names []string, n *yaml.Node) []string {
	for i, child := range n.Content {
		names = appendNames(names, child)
		if n.Kind != yaml.MappingNode || i%2 == 0 || !strings.EqualFold(n.Content[i-1].Value, "name") {
			continue
		}
		if child.Kind == yaml.AliasNode {
			child = child.Alias
		}
		names = append(names, child.Value)
	}
	return names
}

// nameField matches the word "name" with the colon behind it, and quotes between them
// or not. It is made when a file is at fault: no other start of the plugin pays for it.
var nameField = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[^a-z0-9_-])name["'\s]*:`)
})

// namesInText returns the words behind "name:" in a text that need not be YAML.
func namesInText(text []byte) []string {
	// A name, an anchor and a tag have room in it. Without a limit the work would be
	// quadratic in a text of "name: &".
	const reach = 256
	var names []string
	for _, at := range nameField().FindAllIndex(text, -1) {
		names = append(names, firstWord(string(text[at[1]:min(at[1]+reach, len(text))])))
	}
	return names
}

// firstWord returns the first word of a text that is no anchor, tag, dash of a list or
// sign of a block.
func firstWord(text string) string {
	const between = " \t\r\n,\"'{}[]#"
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(between, r) }) {
		if !strings.ContainsAny(word[:1], "&!|>-") {
			return word
		}
	}
	return ""
}

// respelt returns the name that a word most likely stands for: names are of lower-case
// letters, digits and hyphens, and "Flow_Stats " is none.
func respelt(word string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(word)), "_", "-")
}
