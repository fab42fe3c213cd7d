// SPDX-License-Identifier: Apache-2.0

// Package version tells which build of the project is running. It reads what the
// Go toolchain stamps into every binary that it builds from a checkout, so no
// linker flags are needed and none can be forgotten.
package version

import "runtime/debug"

// String returns the version, and the commit where the binary was built from a
// checkout: "v0.1.0 (commit 0123…)". Between releases the toolchain makes the
// version of the last tag, the commit's time and its hash.
func String() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return Of(build)
}

// Of returns what String says in the binary that was built so.
func Of(build *debug.BuildInfo) string {
	if commit := Setting(build, "vcs.revision"); commit != "" {
		return build.Main.Version + " (commit " + commit + ")"
	}
	return build.Main.Version
}

// Setting returns a setting of a build, such as GOARCH; empty where it has none.
func Setting(build *debug.BuildInfo, key string) string {
	for _, s := range build.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
