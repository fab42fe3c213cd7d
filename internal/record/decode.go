// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	kjson "sigs.k8s.io/json"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// decodeRecord reads what encodeRecord writes and nothing else.
func decodeRecord(content []byte) (*Record, error) {
	var r Record
	if err := decode(content, &r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return &r, nil
}

func encodeRecord(r Record) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	r.Version = Version
	return encode(r)
}

// encode writes JSON whose raw values stay as they are but for white space, where
// json.Marshal would escape some characters in them.
func encode(v any) ([]byte, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return content.Bytes(), err
}

// check finds what a record of right types can still have wrong and what would
// mislead whoever works by it.
func (r *Record) check() error {
	if r.Key.Ifindex < 1 {
		return fmt.Errorf("%w: a record of chain %s", chain.ErrInvalid, r.Key)
	}
	if r.PeerGRO != nil && r.PeerGRO.Key.Ifindex < 1 {
		return fmt.Errorf("%w: the other end is interface %s", chain.ErrInvalid, r.PeerGRO.Key)
	}
	for _, s := range r.States() {
		members := make([]chain.Member, len(s.Members))
		for i, m := range s.Members {
			members[i] = m.Member
		}
		if err := chain.CheckMembers(members, len(members)); err != nil {
			return fmt.Errorf("generation %d: %w", s.Generation, err)
		}
	}
	return nil
}

// decode reads a JSON file strictly: no unknown field, none twice, names in their
// exact case. A later version's file is told from a broken one by its version
// alone, since everything else in it may have changed.
func decode(content []byte, into any) error {
	version, err := versionOf(content)
	if err != nil {
		return err
	}
	switch {
	case version > Version:
		return fmt.Errorf("%w: it has version %d and this program reads up to %d; use the program that wrote it, or a later one", ErrVersion, version, Version)
	case version < 1:
		return fmt.Errorf("%w: version %d", chain.ErrInvalid, version)
	}
	strict, err := kjson.UnmarshalStrict(content, into)
	return errors.Join(append(strict, err)...)
}

// versionOf reads a file's version, which is the first field that encode writes, and nothing
// of what follows: a node may have hundreds of files. In any other place it is found, too.
func versionOf(content []byte) (int, error) {
	var first struct {
		Version int `json:"version"`
	}
	head, _, more := bytes.Cut(content, []byte(","))
	if more && bytes.HasPrefix(head, []byte(`{"version":`)) && kjson.UnmarshalCaseSensitivePreserveInts(append(bytes.Clone(head), '}'), &first) == nil {
		return first.Version, nil
	}
	err := kjson.UnmarshalCaseSensitivePreserveInts(content, &first)
	return first.Version, err
}
