// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/pkg/object"
)

const (
	// ArtifactType is the artifactType of a stored object's manifest.
	ArtifactType = "application/vnd.xdp-chain.object.v1"
	// LayerMediaType is the media type of the manifest's one layer, which is the
	// ELF file.
	LayerMediaType = "application/vnd.xdp-chain.object.layer.v1"
)

// What the store needs of the OCI image specification 1.1, in its names. The
// specification's own Go package is what the tests hold the store against; the
// plugin, which starts for every pod, does without the half millisecond that it
// takes to start.

const (
	mediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaTypeIndex    = "application/vnd.oci.image.index.v1+json"
	mediaTypeEmpty    = "application/vnd.oci.empty.v1+json"

	annotationRefName = "org.opencontainers.image.ref.name"

	indexFile  = "index.json"
	layoutFile = "oci-layout"
	blobsDir   = "blobs"
)

// layoutContent is what layoutFile holds.
const layoutContent = `{"imageLayoutVersion":"1.0.0"}`

// digest is "sha256:" and 64 lower-case hexadecimal digits. Others that the
// specification allows are not written by the store and not followed.
type digest string

const digestPrefix = "sha256:"

// encoded is the digest's hexadecimal part, and the name of its blob.
func (d digest) encoded() string { return strings.TrimPrefix(string(d), digestPrefix) }

func (d digest) check() error {
	sum, err := hex.DecodeString(d.encoded())
	if err != nil || len(sum) != sha256.Size || string(d) != digestPrefix+hex.EncodeToString(sum) {
		return fmt.Errorf("%q is not a digest such as sha256:… with 64 hexadecimal digits", string(d))
	}
	return nil
}

// descriptor points at a blob (descriptor.md). Fields that are not ours are kept as
// they were found.
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       digest            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Data         []byte            `json:"data,omitempty"`
	Platform     json.RawMessage   `json:"platform,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

// emptyConfig points at "{}", what a manifest has for a configuration that means
// nothing.
var emptyConfig = descriptor{MediaType: mediaTypeEmpty, Digest: digest(object.DigestOf([]byte("{}"))), Size: 2, Data: []byte("{}")}

// manifest is an image manifest (manifest.md).
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// imageIndex is an image index (image-index.md).
type imageIndex struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

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

func artifactOf(o *object.Object) (*artifact, error) {
	a := &artifact{
		layer:  blob{descriptor{MediaType: LayerMediaType, Digest: digest(o.Digest), Size: int64(len(o.Content()))}, o.Content()},
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
		Digest:       digest(object.DigestOf(content)),
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

func (s Store) readIndex() (*imageIndex, error) {
	content, err := os.ReadFile(s.path(indexFile))
	if err != nil {
		return nil, err
	}
	found := new(imageIndex)
	if err := json.Unmarshal(content, found); err != nil {
		return nil, fmt.Errorf("%s: %w", s.path(indexFile), err)
	}
	return found, nil
}

func (s Store) writeIndex(i *imageIndex) error {
	content, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return s.write(s.path(indexFile), content)
}

func indexed(i *imageIndex, d digest) bool {
	return slices.ContainsFunc(i.Manifests, func(entry descriptor) bool { return entry.Digest == d })
}
