// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
