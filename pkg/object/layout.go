// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const (
	// ArtifactType is the artifactType of a stored object's manifest.
	ArtifactType = "application/vnd.xdp-chain.object.v1"
	// LayerMediaType is the media type of the manifest's one layer, which is the
	// ELF file.
	LayerMediaType = "application/vnd.xdp-chain.object.layer.v1"
)

// blob is a content and the descriptor that points at it.
type blob struct {
	descriptor
	content []byte
}

// artifact is all that an OCI image layout holds for one object. It follows from
// the object's content alone.
type artifact struct {
	layer, config, manifest blob
}

func artifactOf(o *Object) (*artifact, error) {
	a := &artifact{
		layer:  blob{descriptor{MediaType: LayerMediaType, Digest: digest(o.Digest), Size: int64(len(o.content))}, o.content},
		config: blob{emptyConfig, emptyConfig.Data},
	}
	content, err := json.Marshal(manifest{
		SchemaVersion: 2,
		MediaType:     mediaTypeManifest,
		ArtifactType:  ArtifactType,
		Config:        a.config.descriptor,
		Layers:        []descriptor{a.layer.descriptor},
	})
	if err != nil {
		return nil, err
	}
	a.manifest = blob{descriptor{
		MediaType:    mediaTypeManifest,
		ArtifactType: ArtifactType,
		Digest:       digestOf(content),
		Size:         int64(len(content)),
		// Which object it is, without reading the manifest; also the name by which
		// OCI tools address it in the layout.
		Annotations: map[string]string{annotationRefName: o.Digest},
	}, content}
	return a, nil
}

// blobs in the order in which they are written: what is pointed at first.
func (a *artifact) blobs() []blob { return []blob{a.layer, a.config, a.manifest} }

// objectOf returns the digest of the object that an entry of index.json is about;
// ok is false for entries that are not ours.
func objectOf(entry descriptor) (object string, ok bool) {
	if entry.ArtifactType != ArtifactType {
		return "", false
	}
	object = entry.Annotations[annotationRefName]
	return object, digest(object).check() == nil
}

func (s Store) path(names ...string) string {
	return filepath.Join(append([]string{s.Dir}, names...)...)
}

// blobPath is for valid digests only.
func (s Store) blobPath(d digest) string {
	return s.path(blobsDir, "sha256", d.encoded())
}

func emptyIndex() *index {
	return &index{
		SchemaVersion: 2,
		MediaType:     mediaTypeIndex,
		Manifests:     []descriptor{},
	}
}

func (s Store) readIndex() (*index, error) {
	content, err := os.ReadFile(s.path(indexFile))
	if err != nil {
		return nil, err
	}
	found := new(index)
	if err := json.Unmarshal(content, found); err != nil {
		return nil, fmt.Errorf("%s: %w", s.path(indexFile), err)
	}
	return found, nil
}

func (s Store) writeIndex(i *index) error {
	content, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return s.write(s.path(indexFile), content)
}

func indexed(i *index, d digest) bool {
	return slices.ContainsFunc(i.Manifests, func(entry descriptor) bool { return entry.Digest == d })
}
