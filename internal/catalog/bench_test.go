// SPDX-License-Identifier: Apache-2.0

package catalog

import "testing"

// What an annotation costs the start of a pod.

func BenchmarkPrograms(b *testing.B) {
	c, p := shelf(b), policy(b, rules)
	for name, annotation := range map[string]string{
		"Names": "rate, log, plain",
		"List":  `[{"name": "rate", "priority": 120, "globals": {"pps": 5000}}, {"name": "log"}, {"name": "plain"}]`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Programs(p, annotation, always); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := folder(b, map[string]string{"rate.yaml": full, "b.yaml": "name: b\nobject: /o\n", "c.yaml": "name: c\nobject: /o\n", "d.yaml": "name: acl\n", "e.yaml": "name: count\n"})
	for b.Loop() {
		if _, err := Open(dir); err != nil {
			b.Fatal(err)
		}
	}
}
