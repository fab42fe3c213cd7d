// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/record"
)

// annotationTarget is what three members from an annotation may take in an ADD
// beyond the same three from the conflist, in ms.
const annotationTarget = 2

// measureAnnotation compares chains with three members from the pod's annotation
// with the same chains from the conflist alone. What it looks for is less than a grace
// period of the kernel, so it leaves the kernel's XDP dispatcher no room to wait for
// one.
func measureAnnotation(ctx context.Context, z sizes) (_ *report.Section, err error) {
	slots, err := fillSlots("more-slots")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, slots.remove()) }()
	s := &report.Section{Name: "annotation", Title: fmt.Sprintf("Three members from an annotation, medians of %d", z.annotationRounds)}
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
	var all contestants
	for _, p := range pairs {
		all = append(all, p.conflist, p.annotation)
	}
	if err := all.compete(ctx, z.annotationRounds); err != nil {
		return nil, err
	}
	for _, p := range pairs {
		p.report(s)
	}
	return s, nil
}

// annotation names three members, as a pod does that has something to set.
const annotation = `
- name: ratelimit
  globals: {pps: 5000, burst: 100}
- flow-stats
- {name: count, priority: 130}
`

// configured are the same three as a conflist names them.
func configured() []config.Program {
	last := 130
	return []config.Program{
		{Name: "ratelimit", Globals: map[string]json.RawMessage{"pps": []byte("5000"), "burst": []byte("100")}},
		{Name: "flow-stats"},
		{Name: "count", Priority: &last},
	}
}

// catalogFiles are what an administrator may have: changes to what is built in, and
// programs that this pod does not ask for.
var catalogFiles = map[string]string{
	"ratelimit.yaml":  "# What pods may have.\nname: ratelimit\nglobals: {pps: 1000}\nsettable:\n  pps: {min: 1, max: 100000}\n  burst: {min: 1, max: 1000}\n",
	"flow-stats.yaml": "name: flow-stats\npriority: 125\n",
	"mine-a.yaml":     "name: mine-a\nobject: " + workload.ObjectPath + "\nfunction: member\npriority: 150\nproceedOn: [pass]\n",
	"mine-b.yaml":     "name: mine-b\nobject: " + workload.DropPath + "\nglobals: {}\n",
	"mine-c.yaml":     `{"name": "mine-c", "object": "` + workload.ObjectPath + `", "function": "together2", "settable": {"limit": {"values": [1, 2]}}}`,
}

// pair is two ways to the same chain, each with a pod of its own: three members come
// from the conflist or from the pod's annotation.
type pair struct {
	files                int // in the catalog
	where                string
	conflist, annotation *contestant
	pods                 []*workload.Pod
}

// newPair makes a pair for a catalog of these files, of which there may be none.
func newPair(bin string, files map[string]string) (_ *pair, err error) {
	p := &pair{files: len(files), where: fmt.Sprintf("%d catalog files", len(files))}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.remove())
		}
	}()
	dir := fmt.Sprintf("/run/bench/programs%d.d", len(files))
	if err := installCatalog(dir, files); err != nil {
		return nil, err
	}
	always := workload.Programs(2)
	if p.conflist, err = p.join(bin, "conflist", fields{
		"catalogDir": dir, "programs": slices.Concat(always, configured()),
	}); err != nil {
		return nil, err
	}
	p.annotation, err = p.join(bin, "annotation", fields{
		"catalogDir": dir, "programs": always,
		"annotations":   fields{"allow": []string{"ratelimit", "flow-stats", "count"}},
		"runtimeConfig": fields{"io.kubernetes.cri.pod-annotations": fields{catalog.Annotation: annotation}},
	})
	return p, err
}

func installCatalog(dir string, files map[string]string) error {
	if len(files) == 0 {
		return nil // no folder either
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// join makes a contestant, which keeps its pod.
func (p *pair) join(bin, way string, conf fields) (*contestant, error) {
	pod, err := workload.NewPod(fmt.Sprintf("%s%d", way, p.files))
	if err != nil {
		return nil, err
	}
	p.pods = append(p.pods, pod)
	it, err := newPlugin(filepath.Join(bin, "xdp-chain"), pod, conf)
	return &contestant{name: way + ", " + p.where, it: it}, err
}

// check makes sure that both ways lead to the same chain.
func (p *pair) check() error {
	var both [2]string
	for i, c := range []*contestant{p.conflist, p.annotation} {
		if _, err := c.it.add(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		var err error
		if both[i], err = onlyChain(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if _, err := c.it.del(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if both[0] != both[1] {
		return fmt.Errorf("%s: the chain is %s from the conflist, and %s from the annotation", p.where, both[0], both[1])
	}
	return nil
}

// onlyChain is the members of the one chain there is, but for whose they are, when and by whom
// they were asked for, and their ids, in JSON.
func onlyChain() (string, error) {
	records := node.Default().Records
	keys, err := records.Keys()
	if err != nil {
		return "", err
	}
	if len(keys) != 1 {
		return "", fmt.Errorf("there are %d chains, want 1", len(keys))
	}
	rec, err := records.Load(keys[0])
	if err != nil {
		return "", err
	}
	if rec.State == nil || len(rec.State.Members) != 5 {
		return "", fmt.Errorf("chain %s has not five members", rec.Key)
	}
	for i := range rec.State.Members {
		m := &rec.State.Members[i]
		m.ID, m.Owner, m.Created, m.FromAnnotation = 0, record.Owner{}, time.Time{}, false
	}
	text, err := json.Marshal(rec.State.Members)
	return string(text), err
}

// report adds the pair's medians and what is between them.
func (p *pair) report(s *report.Section) {
	conflist := s.Add("ADD "+p.conflist.name, report.Milliseconds(p.conflist.adds.Median()), "ms")
	annotation := s.Add("ADD "+p.annotation.name, report.Milliseconds(p.annotation.adds.Median()), "ms")
	annotation.Against(conflist)
	s.Add("what the annotation adds, "+p.where, annotation.Value-conflist.Value, "ms").Target(annotationTarget)
}

// remove ends the pods.
func (p *pair) remove() error { return workload.RemoveAll(p.pods) }
