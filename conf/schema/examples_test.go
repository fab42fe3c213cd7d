// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/schematest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// files returns the files of patterns, at least one of each.
func files(t *testing.T, patterns ...string) []string {
	t.Helper()
	testenv.KernelIndependent(t) // and the lab has not got them
	var all []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		all = append(all, found...)
	}
	return all
}

// fenced matches a fenced code block of Markdown in a language.
func fenced(language string) *regexp.Regexp {
	return regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
}

// examples returns the texts of files, and of the blocks of a language in the manuals.
func examples(t *testing.T, language string, patterns ...string) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	for _, file := range append(files(t, patterns...), files(t, "../../README.md", "../../docs/*.md")...) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, ".md") {
			texts[file] = string(content)
			continue
		}
		for _, block := range fenced(language).FindAllStringSubmatch(string(content), -1) {
			texts[file+": "+block[1]] = block[1]
		}
	}
	return texts
}

// entries returns our entries of a conflist, or the one that the text is; fragments of one
// have none.
func entries(text string) []json.RawMessage {
	var list struct {
		Type    string
		Plugins []json.RawMessage
	}
	if json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	if list.Type == "xdp-chain" {
		return []json.RawMessage{json.RawMessage(text)}
	}
	var ours []json.RawMessage
	for _, plugin := range list.Plugins {
		ours = append(ours, entries(string(plugin))...)
	}
	return ours
}

func TestConflistsOfTheManuals(t *testing.T) {
	s := schematest.Open(t, "netconf")
	found := 0
	for place, text := range examples(t, "json", "../*.conflist") {
		for _, entry := range entries(text) {
			found++
			if err := s.Check(entry); err != nil {
				t.Errorf("schema: %s: %v", place, err)
			}
			if _, err := config.Parse(entry); err != nil {
				t.Errorf("parser: %s: %v", place, err)
			}
		}
	}
	if found < 6 {
		t.Errorf("%d entries found", found)
	}
}

func TestCatalogEntriesOfTheManuals(t *testing.T) {
	s := schematest.Open(t, "catalog-entry")
	named := regexp.MustCompile(`(?m)^name:`) // what Kubernetes reads has its names deeper
	found := 0
	for place, text := range examples(t, "yaml", "../programs.d/*.yaml") {
		if !named.MatchString(text) {
			continue
		}
		found++
		if err := s.Check(asJSON(t, text)); err != nil {
			t.Errorf("schema: %s: %v", place, err)
		}
		if err := catalogFile(t, text); err != nil {
			t.Errorf("parser: %s: %v", place, err)
		}
	}
	if found < 4 {
		t.Errorf("%d entries found", found)
	}
}
