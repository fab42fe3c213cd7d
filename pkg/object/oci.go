// SPDX-License-Identifier: Apache-2.0

package object

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
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

func digestOf(content []byte) digest {
	sum := sha256.Sum256(content)
	return digest(digestPrefix + hex.EncodeToString(sum[:]))
}

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
var emptyConfig = descriptor{MediaType: mediaTypeEmpty, Digest: digestOf([]byte("{}")), Size: 2, Data: []byte("{}")}

// manifest is an image manifest (manifest.md).
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// index is an image index (image-index.md).
type index struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}
