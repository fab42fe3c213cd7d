// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a machine's sources say about the archive that it takes a suite from.
func TestMachineSources(t *testing.T) {
	for _, tt := range []struct {
		name, file, content string
		want                []source
	}{
		{
			"stanza", "sources.list.d/debian.sources",
			"Types: deb deb-src\n# a comment\nURIs: http://mirror.example/debian\nSuites: stable-updates bookworm\n" +
				"Components: main contrib\nSigned-By: /usr/share/keyrings/a.gpg\n",
			[]source{{URIs: "http://mirror.example/debian", SignedBy: "/usr/share/keyrings/a.gpg"}},
		},
		{
			"second stanza, key inside", "sources.list.d/debian.sources",
			"Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\nComponents: main\n\n" +
				"types: deb\nuris: http://mirror.example/debian\nsuites: bookworm\ncomponents: main\nsigned-by:\n -----BEGIN\n .\n x\n",
			[]source{{URIs: "http://mirror.example/debian", SignedBy: "\n -----BEGIN\n .\n x"}},
		},
		{
			"disabled, sources only, other component", "sources.list.d/debian.sources",
			"Enabled: no\nTypes: deb\nURIs: http://a.example\nSuites: bookworm\nComponents: main\n\n" +
				"Types: deb-src\nURIs: http://b.example\nSuites: bookworm\nComponents: main\n\n" +
				"Types: deb\nURIs: http://c.example\nSuites: bookworm\nComponents: stable\n",
			nil,
		},
		{
			"lines", "sources.list",
			"# deb http://no.example/debian bookworm main\ndeb-src http://no.example/debian bookworm main\n" +
				"deb http://mirror.example/debian bookworm main non-free # mine\ndeb http://mirror.example/debian trixie main\n",
			[]source{{URIs: "http://mirror.example/debian"}},
		},
		{
			"line with options", "sources.list.d/debian.list",
			"deb [arch=amd64 signed-by=/a.gpg trusted=yes] http://mirror.example/debian bookworm main\n",
			[]source{{URIs: "http://mirror.example/debian", SignedBy: "/a.gpg", Trusted: "yes"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			etc := t.TempDir()
			file := filepath.Join(etc, tt.file)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(tt.content), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := machineSources(etc, "bookworm")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
			if (err != nil) != (tt.want == nil) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// What is written for apt is what was read, but for the suite.
func TestStanza(t *testing.T) {
	s := source{URIs: "http://mirror.example/debian", SignedBy: "\n -----BEGIN\n .\n x", Trusted: "yes"}
	if diff := cmp.Diff([]source{s}, fromStanzas(s.stanza("trixie"), "trixie")); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestDebianCodename(t *testing.T) {
	for content, want := range map[string]string{
		"ID=debian\nVERSION_CODENAME=bookworm\n":     "bookworm",
		"ID=\"debian\"\nVERSION_CODENAME='trixie'\n": "trixie",
		"ID=ubuntu\nVERSION_CODENAME=noble\n":        "",
		"ID=debian\n":                                "", // unstable
	} {
		file := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := debianCodename(file)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v", content, got, err)
		}
	}
}
