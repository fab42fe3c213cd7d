// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"
	"testing"

	ocidigest "github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/xdp-chain/xdp-chain/pkg/object"
)

func TestNamesAreTheSpecifications(t *testing.T) {
	for ours, theirs := range map[string]string{
		mediaTypeManifest: v1.MediaTypeImageManifest,
		mediaTypeIndex:    v1.MediaTypeImageIndex,
		mediaTypeEmpty:    v1.MediaTypeEmptyJSON,
		annotationRefName: v1.AnnotationRefName,
		indexFile:         v1.ImageIndexFile,
		layoutFile:        v1.ImageLayoutFile,
		blobsDir:          v1.ImageBlobsDir,
	} {
		if ours != theirs {
			t.Errorf("%q, in the specification %q", ours, theirs)
		}
	}
	if got, want := string(emptyConfig.Digest), v1.DescriptorEmptyJSON.Digest.String(); got != want {
		t.Errorf("the empty config has digest %s, want %s", got, want)
	}
}

func TestDigestCheck(t *testing.T) {
	good := digest(object.DigestOf([]byte("content")))
	for _, d := range []digest{
		good, "", "sha256:", good + "0", good[:len(good)-1],
		digest(strings.ToUpper(string(good))), digest(good.encoded()), "sha512:" + digest(good.encoded()),
		"sha256:" + digest(strings.Repeat("../", 21)) + "a",
	} {
		theirs := ocidigest.Digest(d).Validate()
		if ours := d.check(); (ours == nil) != (theirs == nil) {
			t.Errorf("%q: %v, in the specification's package %v", d, ours, theirs)
		}
	}
}
