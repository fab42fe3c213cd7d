// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
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
	v1.Descriptor
	content []byte
}

// artifact is all that an OCI image layout holds for one object. It follows from
// the object's content alone.
type artifact struct {
	layer, config, manifest blob
}

func artifactOf(o *Object) (*artifact, error) {
	a := &artifact{
		layer:  blob{v1.Descriptor{MediaType: LayerMediaType, Digest: digest.Digest(o.Digest), Size: int64(len(o.content))}, o.content},
		config: blob{v1.DescriptorEmptyJSON, v1.DescriptorEmptyJSON.Data},
	}
	content, err := json.Marshal(v1.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    v1.MediaTypeImageManifest,
		ArtifactType: ArtifactType,
		Config:       a.config.Descriptor,
		Layers:       []v1.Descriptor{a.layer.Descriptor},
	})
	if err != nil {
		return nil, err
	}
	a.manifest = blob{v1.Descriptor{
		MediaType:    v1.MediaTypeImageManifest,
		ArtifactType: ArtifactType,
		Digest:       digest.FromBytes(content),
		Size:         int64(len(content)),
		// Which object it is, without reading the manifest; also the name by which
		// OCI tools address it in the layout.
		Annotations: map[string]string{v1.AnnotationRefName: o.Digest},
	}, content}
	return a, nil
}

// blobs in the order in which they are written: what is pointed at first.
func (a *artifact) blobs() []blob { return []blob{a.layer, a.config, a.manifest} }

// objectOf returns the digest of the object that an entry of index.json is about;
// ok is false for entries that are not ours.
func objectOf(entry v1.Descriptor) (object string, ok bool) {
	if entry.ArtifactType != ArtifactType {
		return "", false
	}
	object = entry.Annotations[v1.AnnotationRefName]
	return object, digest.Digest(object).Validate() == nil
}

func (s Store) path(names ...string) string {
	return filepath.Join(append([]string{s.Dir}, names...)...)
}

// blobPath is for valid digests only.
func (s Store) blobPath(d digest.Digest) string {
	return s.path(v1.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

func emptyIndex() *v1.Index {
	return &v1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: v1.MediaTypeImageIndex,
		Manifests: []v1.Descriptor{},
	}
}

func (s Store) readIndex() (*v1.Index, error) {
	content, err := os.ReadFile(s.path(v1.ImageIndexFile))
	if err != nil {
		return nil, err
	}
	index := new(v1.Index)
	if err := json.Unmarshal(content, index); err != nil {
		return nil, fmt.Errorf("%s: %w", s.path(v1.ImageIndexFile), err)
	}
	return index, nil
}

func (s Store) writeIndex(index *v1.Index) error {
	content, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return s.write(s.path(v1.ImageIndexFile), content)
}

func indexed(index *v1.Index, d digest.Digest) bool {
	return slices.ContainsFunc(index.Manifests, func(entry v1.Descriptor) bool { return entry.Digest == d })
}
