// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

//go:generate go test -count=1 -run TestReference . -update

var update = flag.Bool("update", false, "write what is generated from the commands, instead of comparing it")

// docsDir is the folder of the manuals.
const docsDir = "../../docs"

// TestReference compares the manual pages, and the same in Markdown, with the commands that
// they are generated from. They have no dates, so the same commands make the same files.
func TestReference(t *testing.T) {
	testenv.KernelIndependent(t)
	want := make(map[string]string)
	root := command()
	addReference(t, want, root)
	for _, old := range referenceFiles(t) {
		if _, ok := want[old]; ok {
			continue
		}
		if !*update {
			t.Errorf("%s is of no command; run make generate", old)
		} else if err := os.Remove(old); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range want {
		if *update {
			writeReference(t, file, text)
			continue
		}
		is, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(text, string(is)); diff != "" {
			t.Errorf("%s is not what its command says; run make generate (-want +is):\n%s", file, diff)
		}
	}
}

// addReference adds the files of a command and of those below it.
func addReference(t *testing.T, files map[string]string, cmd *cobra.Command) {
	t.Helper()
	for _, c := range subcommands(cmd) {
		addReference(t, files, c)
	}
	files[filepath.Join(docsDir, "man", pageName(cmd)+"."+manSection)] = string(manPage(cmd))

	cmd.DisableAutoGenTag = true // it has a date
	cmd.Long = literal(cmd.Long)
	var text bytes.Buffer
	if err := doc.GenMarkdown(cmd, &text); err != nil {
		t.Fatal(err)
	}
	file := strings.ReplaceAll(cmd.CommandPath(), " ", "_") + ".md" // as the links have it
	files[filepath.Join(docsDir, "cli", file)] = strings.TrimRight(text.String(), "\n") + "\n"
}

// referenceFiles are the files that there are.
func referenceFiles(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, folder := range []string{"man", "cli"} {
		found, err := filepath.Glob(filepath.Join(docsDir, folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

func writeReference(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
