// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/record"
)

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
	"mine-a.yaml":     "name: mine-a\nobject: " + objectPath + "\nfunction: member\npriority: 150\nproceedOn: [pass]\n",
	"mine-b.yaml":     "name: mine-b\nobject: " + dropPath + "\nglobals: {}\n",
	"mine-c.yaml":     `{"name": "mine-c", "object": "` + objectPath + `", "function": "together2", "settable": {"limit": {"values": [1, 2]}}}`,
}

// pair is two ways to the same chain, each with a pod of its own: three members come
// from the conflist or from the pod's annotation.
type pair struct {
	files                int // in the catalog
	where                string
	conflist, annotation *contestant
	pods                 []*pod
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
	always := programs(2)
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
	pod, err := newPod(fmt.Sprintf("%s%d", way, p.files))
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
		m.ID, m.Owner, m.Created, m.Asked = 0, record.Owner{}, time.Time{}, false
	}
	text, err := json.Marshal(rec.State.Members)
	return string(text), err
}

// report adds the pair's medians and what is between them.
func (p *pair) report(s *section) {
	conflist := s.add("ADD "+p.conflist.name, ms(p.conflist.adds.median()), "ms")
	annotation := s.add("ADD "+p.annotation.name, ms(p.annotation.adds.median()), "ms")
	annotation.against(conflist)
	s.add("what the annotation adds, "+p.where, annotation.Value-conflist.Value, "ms").atMost(annotationTarget)
}

// remove ends the pods.
func (p *pair) remove() error {
	var errs []error
	for _, pod := range p.pods {
		errs = append(errs, pod.remove())
	}
	return errors.Join(errs...)
}
