// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
)

func (j *judgement) capabilities(c *config.Conf, at string) {
	switch asks := c.HasAnnotationsCapability(); {
	case c.Annotations != nil && !asks:
		j.warn("%s: runtimes will hand over no annotations: it lacks \"capabilities\": {%q: true}", at, config.AnnotationsCapability)
	case c.Annotations == nil && asks:
		j.warn("%s: it asks runtimes for annotations and ignores them: it lacks the field \"annotations\"", at)
	}
}

// programs opens the objects and settles each program, of the network and of those that
// pods may ask for, alone first: one that is at fault hides no other.
func (j *judgement) programs(c *config.Conf, at string) {
	programs, err := catalog.Open(c.CatalogDir)
	if err != nil {
		j.faultLines(err)
		return
	}
	j.faultLines(programs.Check())
	sound := true
	alone := func(path string, p config.Program) {
		a := node.AttachmentOf(c)
		a.Catalog, a.Programs = programs, []config.Program{p}
		if _, err := node.Preview(a); err != nil {
			j.fault("%s: %v", path, err)
			sound = false
		}
	}
	for i, p := range c.Programs {
		alone(fmt.Sprintf("%s.programs[%d]", at, i), p)
	}
	if !sound {
		return
	}
	whole := node.AttachmentOf(c)
	whole.Catalog = programs
	if _, err := node.Preview(whole); err != nil {
		j.fault("%s.programs: %v", at, err)
		return
	}
	j.allowed(c, at, alone)
}

// allowed tries what pods may ask for, each program at the end of the band: first whether
// it can be used, and then whether anything keeps a pod from having it.
func (j *judgement) allowed(c *config.Conf, at string, alone func(string, config.Program)) {
	if c.Annotations == nil {
		return
	}
	for i, name := range c.Annotations.Allow {
		path := fmt.Sprintf("%s.annotations.allow[%d]", at, i)
		last := c.Annotations.Priorities.Max
		faults := len(j.Faults)
		alone(path, config.Program{Name: name, Priority: &last, Band: &c.Annotations.Priorities})
		if len(j.Faults) > faults {
			continue
		}
		if err := tryAnnotation(c, name, last); errors.Is(err, config.ErrPolicy) {
			j.warn("%s: a pod that asks for it is refused: %s", path, strings.TrimPrefix(err.Error(), config.ErrPolicy.Error()+": "))
		} else if err != nil {
			j.fault("%s: %v", path, err)
		}
	}
}

// tryAnnotation goes the way of a pod that asks for a program.
func tryAnnotation(c *config.Conf, name string, priority int) error {
	annotation, err := json.Marshal([]map[string]any{{"name": name, "priority": priority}})
	if err != nil {
		return err
	}
	a, err := node.AttachmentFor(c, map[string]string{catalog.Annotation: string(annotation)})
	if err == nil {
		_, err = node.Preview(a)
	}
	return err
}
