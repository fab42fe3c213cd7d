// SPDX-License-Identifier: Apache-2.0

package object

import "testing"

func BenchmarkNew(b *testing.B) {
	for _, name := range []string{"plain.o", "maps.o", "globals.o"} {
		b.Run(name, func(b *testing.B) {
			bytes := content(b, name)
			for b.Loop() {
				if _, err := New(name, bytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkProgram(b *testing.B) {
	for name, function := range map[string]string{"plain.o": "plain", "maps.o": "filter", "globals.o": "globals"} {
		b.Run(name, func(b *testing.B) {
			o := load(b, name)
			for b.Loop() {
				if _, err := o.Program(function); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStore(b *testing.B) {
	s, o := newStore(b), load(b, "maps.o")
	if err := s.Put(o); err != nil {
		b.Fatal(err)
	}
	b.Run("Put of what is there", func(b *testing.B) {
		for b.Loop() {
			if err := s.Put(o); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Get", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Get(o.Digest); err != nil {
				b.Fatal(err)
			}
		}
	})
}
