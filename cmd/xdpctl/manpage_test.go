// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

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
