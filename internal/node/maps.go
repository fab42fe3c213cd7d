// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
)

// keptMaps opens the maps that a member brings along from the running
// generation: all of them where nothing about it but its place in the chain has
// changed, all but its global variables where those were set anew, and none where
// the object or the maps' settings are others. A member that keeps what is alike has
// those of its maps that fit its new program.
func (t *tenure) keptMaps(w *wanted) (map[string]*ebpf.Map, error) {
	m := w.Member
	old := t.member(m.Name, m.Owner)
	if old == nil || !w.keepsShape && (old.Object != m.Object || old.Function != m.Function || !sameJSON(old.Maps, m.Maps)) {
		return make(map[string]*ebpf.Map), nil
	}
	opened, err := t.lock.OpenMaps(m.Name)
	if errors.Is(err, fs.ErrNotExist) { // somebody unpinned them
		return make(map[string]*ebpf.Map), nil
	}
	if err != nil {
		return nil, err
	}
	if !w.keepsShape && sameJSON(old.Globals, m.Globals) {
		return opened, nil
	}
	for name, m := range opened {
		isGlobals := strings.HasPrefix(name, ".") // .rodata, .data, .bss
		setAnew := !sameJSON(old.Maps[name], w.Maps[name])
		if isGlobals || setAnew || w.keepsShape && !fits(m, w.program.Spec.Maps[name]) {
			m.Close()
			delete(opened, name)
		}
	}
	return opened, nil
}

// fits tells whether a map can stand for one that a program declares.
func fits(m *ebpf.Map, spec *ebpf.MapSpec) bool { return spec != nil && spec.Compatible(m) == nil }

// member finds a member of the running generation.
func (t *tenure) member(name string, owner record.Owner) *record.Member {
	if t.rec == nil || t.rec.State == nil {
		return nil
	}
	for i, m := range t.rec.State.Members {
		if m.Name == name && m.Owner.Same(owner) {
			return &t.rec.State.Members[i]
		}
	}
	return nil
}

// sameJSON compares what the record would say: white space in raw JSON and the
// difference between nil and empty do not count.
func sameJSON[T any](a, b T) bool {
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}

func closeMaps(opened map[string]*ebpf.Map) {
	for _, m := range opened {
		m.Close()
	}
}
