// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"testing"
)

// image is the one image there is: a static busybox, which also serves as the
// pods' sandbox container.
const image = "localhost/xdp-chain/busybox:test"

// firstLook is what the sandbox container, the first of a pod, writes with its first
// instructions: what its network has seen until then. Its root is read-only.
const firstLook = "/dev/first-look"

// imageArchive makes the image in the format of docker save, of one layer.
func imageArchive(t *testing.T) []byte {
	t.Helper()
	busybox, err := os.ReadFile(tool(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	layer := archive(t,
		entry{name: "bin/", mode: 0o755},
		entry{name: "bin/busybox", mode: 0o755, content: busybox},
		entry{name: "bin/sh", link: "busybox"},
	)
	sum := sha256.Sum256(layer)
	config := encode(t, fields{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": fields{
			"Env":        []string{"PATH=/bin"},
			"Entrypoint": []string{"sh", "-c", fmt.Sprintf("{ %[1]s; } >%[2]s.new; busybox mv %[2]s.new %[2]s; exec busybox sleep 1d", look, firstLook)},
		},
		"rootfs": fields{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	return archive(t,
		entry{name: "layer.tar", mode: 0o644, content: layer},
		entry{name: "config.json", mode: 0o644, content: config},
		entry{name: "manifest.json", mode: 0o644, content: encode(t, []fields{
			{"Config": "config.json", "RepoTags": []string{image}, "Layers": []string{"layer.tar"}},
		})},
	)
}

// entry is a file of an archive, a folder where the name ends in a slash, or a
// symbolic link.
type entry struct {
	name    string
	mode    int64
	content []byte
	link    string
}

func archive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Linkname: e.link}
		if e.link != "" {
			header.Typeflag = tar.TypeSymlink
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
