// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

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

const manSection = "1"

// manPage is a command's page of section 1. It is written from the command as its help
// is, and not by package cobra/doc, whose pages have dates, quote defaults as if they were
// values, and know neither exit statuses nor the names of values.
func manPage(cmd *cobra.Command) []byte {
	var page strings.Builder
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&page, "# %s\n%s\n\n", title, strings.TrimSpace(text))
		}
	}
	name := pageName(cmd)
	fmt.Fprintf(&page, "%% %q %q \"\" \"xdp-chain\" \"xdp-chain\"\n", strings.ToUpper(name), manSection)
	long, _, _ := strings.Cut(cmd.Long, exitHelp)
	if long == "" {
		long = cmd.Short + "."
	}
	section("NAME", name+` \- `+cmd.Short)
	usage := strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath())
	if !cmd.Runnable() {
		usage = " COMMAND" + usage
	}
	section("SYNOPSIS", "**"+cmd.CommandPath()+"**"+usage)
	section("DESCRIPTION", literal(long))
	section("COMMANDS", manCommands(cmd))
	section("OPTIONS", manFlags(cmd.NonInheritedFlags())+manFlags(cmd.InheritedFlags()))
	if cmd.Example != "" {
		section("EXAMPLES", "```\n"+unindent(cmd.Example)+"\n```")
	}
	section("EXIT STATUS", manStatuses())
	section("SEE ALSO", manSeeAlso(cmd))
	return append([]byte(".\\\" SPDX-License-Identifier: Apache-2.0\n"), md2man.Render([]byte(page.String()))...)
}

// pageName is what man(1) is asked for.
func pageName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}

func manCommands(cmd *cobra.Command) string {
	var text strings.Builder
	for _, c := range subcommands(cmd) {
		fmt.Fprintf(&text, "**%s**\n: %s. See **%s**(%s).\n\n", c.Name(), c.Short, pageName(c), manSection)
	}
	return text.String()
}

func manFlags(flags *pflag.FlagSet) string {
	var text strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		if f.Shorthand != "" {
			fmt.Fprintf(&text, "**-%s**, ", f.Shorthand)
		}
		fmt.Fprintf(&text, "**--%s**", f.Name)
		if value != "" {
			fmt.Fprintf(&text, " *%s*", value)
		}
		// Of the others the usage says what goes without saying.
		if !slices.Contains([]string{"", "false", "0", "[]"}, f.DefValue) {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(&text, "\n: %s\n\n", usage)
	})
	return text.String()
}

// exitStatus is a line of [exitHelp].
var exitStatus = regexp.MustCompile(`(?m)^  (\d)  (.*)$`)

func manStatuses() string {
	return exitStatus.ReplaceAllString(exitHelp[strings.Index(exitHelp, "\n"):], "**$1**\n: $2\n")
}

func manSeeAlso(cmd *cobra.Command) string {
	related := subcommands(cmd)
	if cmd.HasParent() {
		related = append([]*cobra.Command{cmd.Parent()}, related...)
	}
	pages := make([]string, len(related))
	for i, c := range related {
		pages[i] = fmt.Sprintf("**%s**(%s)", pageName(c), manSection)
	}
	return strings.Join(pages, ", ")
}

// subcommands are those that help shows.
func subcommands(cmd *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(c *cobra.Command) bool { return !c.IsAvailableCommand() })
}

// literal makes code blocks, in Markdown, of lines that a help text indents.
func literal(text string) string {
	var out strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		if indented := strings.HasPrefix(line, "  "); indented != inside {
			out.WriteString("\n")
			inside = indented
		}
		if inside {
			out.WriteString("  ")
		}
		out.WriteString(line)
	}
	return out.String()
}

// unindent takes the indentation that help texts have off the lines of an example.
func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}
