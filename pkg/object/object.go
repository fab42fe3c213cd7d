// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// MaxSize is the largest object there may be, in bytes. It also bounds the sum of
// the sections that have no content in the file, such as .bss.
const MaxSize = 16 << 20

// Object is a parsed BPF object. It does not change: several goroutines may take
// programs from it.
type Object struct {
	// Origin says where the object came from, for messages: a path, or the name
	// of a built-in program.
	Origin string
	// Digest is the object's content as "sha256:" and 64 hexadecimal digits, the
	// form that OCI descriptors use.
	Digest string

	content []byte
	spec    *ebpf.CollectionSpec
	// What the two virtual sections declare; nil where there is none. They are
	// looked up once, since looking up a section changes the BTF.
	kconfig, runConfig *btf.Datasec
}

// New parses content, which must not change afterwards. Origin is for messages.
// Errors name the origin and say what the content is, where it is not a BPF
// object of this machine's byte order.
func New(origin string, content []byte) (*Object, error) {
	spec, err := parse(content)
	if err != nil {
		return nil, unusable{fmt.Errorf("object %s: %w", origin, err)}
	}
	o := &Object{
		Origin:  origin,
		Digest:  DigestOf(content),
		content: content,
		spec:    spec,
	}
	for name, section := range map[string]**btf.Datasec{".kconfig": &o.kconfig, ".xdp_run_config": &o.runConfig} {
		if spec.Types == nil {
			break
		}
		if err := spec.Types.TypeByName(name, section); err != nil && !errors.Is(err, btf.ErrNotFound) {
			return nil, unusable{fmt.Errorf("object %s: section %s: %w", origin, name, err)}
		}
	}
	return o, nil
}

// DigestOf returns the digest of an object's content: "sha256:" and 64 lower-case
// hexadecimal digits.
func DigestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func parse(content []byte) (*ebpf.CollectionSpec, error) {
	if err := checkELF(content); err != nil {
		return nil, err
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("not a BPF object that can be read: %w", err)
	}
	if len(spec.Programs) == 0 {
		return nil, errors.New("there is no program in it")
	}
	return spec, nil
}

// Content returns the bytes that were parsed. They must not be changed.
func (o *Object) Content() []byte { return o.content }

// Open reads and parses the object file at path, following symbolic links. What
// the path resolves to must be a regular file of at most [MaxSize] bytes that
// nobody but root can have written or put there: it and every folder above it
// belong to root and are writable by no group and no others (a folder may be, if
// it is sticky, as /tmp is). Errors satisfy errors.Is(err, [ErrUnusable]), and
// fs.ErrNotExist where there is no such file.
func Open(path string) (*Object, error) {
	content, err := files.ReadTrusted(path, MaxSize)
	if err != nil {
		return nil, unusable{fmt.Errorf("object %s: %w", path, err)}
	}
	return New(path, content)
}

// ErrUnusable says that an object is unusable or that values do not fit it. Every error
// about an object wraps it.
var ErrUnusable = errors.New("object unusable")

// unusable marks err with ErrUnusable and leaves its message alone, which already
// says what is wrong with which object.
type unusable struct{ error }

func (e unusable) Is(target error) bool { return target == ErrUnusable }

func (e unusable) Unwrap() error { return e.error }

// Unusable returns err, which names the object, such that it satisfies
// errors.Is(err, [ErrUnusable]): for those who find an object unusable before there is
// an [Object].
func Unusable(err error) error { return unusable{err} }

// runConfigActions are the members that a run config can have besides priority.
var runConfigActions = map[string]chain.Action{
	"XDP_ABORTED":  chain.Aborted,
	"XDP_DROP":     chain.Drop,
	"XDP_PASS":     chain.Pass,
	"XDP_TX":       chain.TX,
	"XDP_REDIRECT": chain.Redirect,
}

// readRunConfig reads what XDP_RUN_CONFIG of libxdp's xdp/xdp_helpers.h declares
// for a function: in section .xdp_run_config, a struct variable _<function> whose
// members are pointers to arrays, each array's length being the value. Member
// priority is the run priority; a member named like an action says whether the
// chain goes on after it. Actions that are not named keep what
// [chain.DefaultProceedOn] says, as in xdp_program__parse_btf of libxdp.c.
func readRunConfig(section *btf.Datasec, function string) (chain.RunConfig, error) {
	var config chain.RunConfig
	members, err := runConfigMembers(section, function)
	if err != nil {
		return config, err
	}
	for _, m := range members {
		value, err := arrayLength(m.Type)
		if err != nil {
			return config, fmt.Errorf("member %q: %w", m.Name, err)
		}
		action, isAction := runConfigActions[m.Name]
		switch {
		case m.Name == "priority" && value > chain.MaxPriority:
			return config, fmt.Errorf("priority %d; it goes from 0 (first) to %d", value, chain.MaxPriority)
		case m.Name == "priority":
			priority := int(value)
			config.Priority = &priority
		case isAction:
			if config.ProceedOn == nil {
				set := chain.DefaultProceedOn
				config.ProceedOn = &set
			}
			*config.ProceedOn &^= 1 << action
			if value != 0 {
				*config.ProceedOn |= 1 << action
			}
		default:
			return config, fmt.Errorf("unknown member %q; there are priority and XDP_ABORTED to XDP_REDIRECT", m.Name)
		}
	}
	return config, nil
}

// runConfigMembers returns nothing where the object has no run config for the
// function.
func runConfigMembers(section *btf.Datasec, function string) ([]btf.Member, error) {
	if section == nil {
		return nil, nil
	}
	for _, info := range section.Vars {
		v, ok := info.Type.(*btf.Var)
		if !ok || v.Name != "_"+function {
			continue
		}
		config, ok := btf.UnderlyingType(v.Type).(*btf.Struct)
		if !ok {
			return nil, fmt.Errorf("%s is %s, not a struct", v.Name, typeName(v.Type))
		}
		return config.Members, nil
	}
	return nil, nil
}

// arrayLength returns the value of a member that was declared with __uint.
func arrayLength(t btf.Type) (uint32, error) {
	if pointer, ok := btf.UnderlyingType(t).(*btf.Pointer); ok {
		if array, ok := btf.UnderlyingType(pointer.Target).(*btf.Array); ok {
			return array.Nelems, nil
		}
	}
	return 0, fmt.Errorf("it is %s; declare it with __uint", typeName(t))
}
