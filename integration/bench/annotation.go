// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// annotationTarget is what three members from an annotation may take in an ADD
// beyond the same three from the conflist, in ms.
const annotationTarget = 2

// measureAnnotation compares chains with three members from the pod's annotation
// with the same chains from the conflist alone. What it looks for is less than a grace
// period of the kernel, so it leaves the kernel's XDP dispatcher no room to wait for
// one.
func measureAnnotation(ctx context.Context, z sizes) (_ *section, err error) {
	slots, err := fillSlots("more-slots")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, slots.remove()) }()
	s := &section{Name: "annotation", Title: fmt.Sprintf("Three members from an annotation, medians of %d", z.annotationRounds)}
	var pairs []*pair
	defer func() {
		for _, p := range pairs {
			err = errors.Join(err, p.remove())
		}
	}()
	for _, files := range []map[string]string{nil, catalogFiles} {
		p, err := newPair(z.bin, files)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
		if err := p.check(); err != nil {
			return nil, err
		}
	}
	if err := competePairs(ctx, z.annotationRounds, pairs); err != nil {
		return nil, err
	}
	for _, p := range pairs {
		p.report(s)
	}
	return s, nil
}

// competePairs has everybody do ADD and DEL again and again.
func competePairs(ctx context.Context, rounds int, pairs []*pair) error {
	var all contestants
	for _, p := range pairs {
		all = append(all, p.conflist, p.annotation)
	}
	for range rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, i := range rand.Perm(len(all)) {
			if err := all[i].compete(); err != nil {
				return fmt.Errorf("%s: %w", all[i].name, err)
			}
		}
	}
	return nil
}
