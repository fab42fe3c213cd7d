// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocidigest "github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// load parses one of the objects that package object is tested with.
func load(t testing.TB, name string) *object.Object {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../pkg/object/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	o, err := object.New(name, content)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// wantError fails the test unless err is about an unusable object and its message
// has all the parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, object.ErrUnusable) {
		t.Fatalf("%v does not satisfy errors.Is(err, ErrUnusable)", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// checkLayout walks a store by the rules of the OCI image specification 1.1
// (image-layout.md, image-index.md, manifest.md, descriptor.md) and returns the
// digests of the objects in it.
func checkLayout(t *testing.T, dir string) []string {
	t.Helper()
	var layout v1.ImageLayout
	parseJSON(t, filepath.Join(dir, "oci-layout"), &layout)
	if layout.Version != "1.0.0" {
		t.Errorf("imageLayoutVersion %q", layout.Version)
	}
	var index v1.Index
	parseJSON(t, filepath.Join(dir, "index.json"), &index)
	if index.SchemaVersion != 2 || index.MediaType != "application/vnd.oci.image.index.v1+json" || index.Manifests == nil {
		t.Errorf("index.json: schemaVersion %d, mediaType %q, manifests %v", index.SchemaVersion, index.MediaType, index.Manifests)
	}
	var objects []string
	for _, entry := range index.Manifests {
		var manifest v1.Manifest
		if err := json.Unmarshal(checkBlob(t, dir, entry), &manifest); err != nil {
			t.Fatal(err)
		}
		switch {
		case entry.MediaType != "application/vnd.oci.image.manifest.v1+json", manifest.MediaType != entry.MediaType:
			t.Errorf("entry of type %q leads to one of type %q", entry.MediaType, manifest.MediaType)
		case manifest.SchemaVersion != 2, manifest.ArtifactType != ArtifactType, entry.ArtifactType != ArtifactType:
			t.Errorf("manifest: schemaVersion %d, artifactType %q, in the index %q", manifest.SchemaVersion, manifest.ArtifactType, entry.ArtifactType)
		case manifest.Config.MediaType != "application/vnd.oci.empty.v1+json", len(manifest.Layers) != 1:
			t.Errorf("manifest: config %q, %d layers", manifest.Config.MediaType, len(manifest.Layers))
		}
		if got := checkBlob(t, dir, manifest.Config); string(got) != "{}" {
			t.Errorf("the empty config is %q", got)
		}
		checkBlob(t, dir, manifest.Layers[0])
		objects = append(objects, manifest.Layers[0].Digest.String())
		if entry.Annotations[v1.AnnotationRefName] != manifest.Layers[0].Digest.String() {
			t.Errorf("the entry of object %s is named %q", manifest.Layers[0].Digest, entry.Annotations[v1.AnnotationRefName])
		}
	}
	checkFiles(t, dir)
	return objects
}

func parseJSON(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func checkBlob(t *testing.T, dir string, d v1.Descriptor) []byte {
	t.Helper()
	if err := d.Digest.Validate(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "blobs", d.Digest.Algorithm().String(), d.Digest.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(content)) != d.Size || ocidigest.FromBytes(content) != d.Digest {
		t.Errorf("blob %s of %d bytes has %d and digest %s", d.Digest, d.Size, len(content), ocidigest.FromBytes(content))
	}
	if d.Data != nil && !bytes.Equal(d.Data, content) {
		t.Errorf("blob %s is not the data of its descriptor", d.Digest)
	}
	return content
}

// checkFiles sees to it that every blob is what its name says, that nothing is
// left over, and that only root reads any of it.
func checkFiles(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = fs.ModeDir | 0o700
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v; want %v", path, info.Mode(), want)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if !regexp.MustCompile(`^(\.|oci-layout|index\.json|blobs(/sha256(/[0-9a-f]{64})?)?)$`).MatchString(name) {
			t.Errorf("%s is no part of a layout", name)
		}
		if filepath.Dir(name) == "blobs/sha256" {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if ocidigest.FromBytes(content).Encoded() != entry.Name() {
				t.Errorf("%s has digest %s", name, ocidigest.FromBytes(content))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newStore returns a store in a folder that does not exist yet.
func newStore(t testing.TB) Store { return Store{filepath.Join(t.TempDir(), "lib", "store")} }

func put(t testing.TB, s Store, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := s.Put(load(t, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoreKeepsObjects(t *testing.T) {
	s := newStore(t)
	put(t, s, "plain.o", "maps.o", "plain.o")
	plain, maps := load(t, "plain.o"), load(t, "maps.o")
	if diff := cmp.Diff([]string{plain.Digest, maps.Digest}, checkLayout(t, s.Dir)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	got, err := s.Get(maps.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Content(), maps.Content()) || got.Digest != maps.Digest {
		t.Error("the object came back as another")
	}
	if _, err := got.Program("filter"); err != nil {
		t.Error(err)
	}
}

func TestStoreGetRefuses(t *testing.T) {
	s := newStore(t)
	put(t, s, "plain.o")
	for _, test := range []struct{ digest, want string }{
		{"", "is not a digest"},
		{"sha256:../../index.json", "is not a digest"},
		{"md5:d41d8cd98f00b204e9800998ecf8427e", "is not a digest"},
		{load(t, "maps.o").Digest, "does not have it"},
	} {
		_, err := s.Get(test.digest)
		wantError(t, err, s.Dir, test.want)
	}
	if _, err := s.Get(load(t, "maps.o").Digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not satisfy errors.Is(err, fs.ErrNotExist)", err)
	}
}

func TestStoreMendsDamage(t *testing.T) {
	plain := load(t, "plain.o")
	a, err := artifactOf(plain)
	if err != nil {
		t.Fatal(err)
	}
	blobs := Store{}.blobPath
	tests := []struct{ name, path string }{
		{"object", blobs(a.layer.Digest)},
		{"config", blobs(a.config.Digest)},
		{"manifest", blobs(a.manifest.Digest)},
		{"index", v1.ImageIndexFile},
		{"layout", v1.ImageLayoutFile},
	}
	for _, test := range tests {
		for damage, do := range map[string]func(path string) error{
			"other bytes": func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte{'x'}, 99), 0o600) },
			"one byte": func(path string) error {
				content, err := os.ReadFile(path)
				content[0] ^= 1
				return errors.Join(err, os.WriteFile(path, content, 0o600))
			},
			"empty": func(path string) error { return os.Truncate(path, 0) },
			"gone":  os.Remove,
		} {
			t.Run(test.name+" "+damage, func(t *testing.T) {
				s := newStore(t)
				put(t, s, "plain.o")
				if err := do(filepath.Join(s.Dir, test.path)); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Get(plain.Digest); test.name == "object" {
					wantError(t, err, map[bool]string{true: "does not have it", false: "is damaged"}[damage == "gone"])
				} else if err != nil {
					t.Errorf("Get needs %s: %v", test.path, err)
				}
				put(t, s, "plain.o")
				if diff := cmp.Diff([]string{plain.Digest}, checkLayout(t, s.Dir)); diff != "" {
					t.Errorf("objects (-want +got):\n%s", diff)
				}
				if _, err := s.Get(plain.Digest); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestStoreLeavesOtherArtifactsAlone(t *testing.T) {
	s := newStore(t)
	put(t, s, "plain.o")
	image := addForeign(t, s)
	put(t, s, "maps.o")
	unused, err := s.Unused(nil, -time.Minute)
	if err != nil || len(unused) != 4 { // each object's, and its manifest
		t.Errorf("unused are %v, %v", unused, err)
	}
	if err := s.Prune(nil, -time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, path := range unused {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("unused %s was not pruned: %v", path, err)
		}
	}
	if unused, err := s.Unused(nil, -time.Minute); len(unused) != 0 || err != nil {
		t.Errorf("after a prune unused are %v, %v", unused, err)
	}
	var index v1.Index
	parseJSON(t, filepath.Join(s.Dir, "index.json"), &index)
	if diff := cmp.Diff([]v1.Descriptor{image}, index.Manifests); diff != "" {
		t.Errorf("the index holds other than the image alone (-want +got):\n%s", diff)
	}
	checkBlob(t, s.Dir, image)
	checkBlob(t, s.Dir, v1.Descriptor{Digest: ocidigest.FromString("layer"), Size: 5})
}

// addForeign puts an image with one layer into a store and returns its entry.
func addForeign(t *testing.T, s Store) v1.Descriptor {
	t.Helper()
	content, err := json.Marshal(v1.Manifest{
		Config: v1.DescriptorEmptyJSON,
		Layers: []v1.Descriptor{{MediaType: v1.MediaTypeImageLayer, Digest: ocidigest.FromString("layer"), Size: 5}},
	})
	if err != nil {
		t.Fatal(err)
	}
	image := v1.Descriptor{
		MediaType: v1.MediaTypeImageManifest, Digest: ocidigest.FromBytes(content), Size: int64(len(content)),
		Platform: &v1.Platform{Architecture: "amd64", OS: "linux"}, Annotations: map[string]string{"a": "b"},
	}
	var index v1.Index
	parseJSON(t, filepath.Join(s.Dir, "index.json"), &index)
	index.Manifests = append(index.Manifests, image)
	whole, err := json.Marshal(index)
	err = errors.Join(err,
		s.write(s.blobPath(digest(image.Digest)), content),
		s.write(s.blobPath(digest(object.DigestOf([]byte("layer")))), []byte("layer")),
		s.write(s.path(indexFile), whole))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// putEnv makes the test binary a process that puts objects into the store it names.
const putEnv = "XDP_CHAIN_TEST_PUT"

var objectsPut = []string{"plain.o", "maps.o", "globals.o", "several.o", "runconfig.o"}

// TestPutProcess is a process of the tests below; by itself it has nothing to do.
func TestPutProcess(t *testing.T) {
	dir := os.Getenv(putEnv)
	if dir == "" {
		t.Skip("runs as a process of other tests")
	}
	put(t, Store{dir}, objectsPut...)
}

func putProcess(s Store) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestPutProcess$")
	cmd.Env = append(os.Environ(), putEnv+"="+s.Dir)
	return cmd
}

func TestStoreManyProcesses(t *testing.T) {
	s := newStore(t)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if out, err := putProcess(s).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		wait.Go(func() { put(t, s, objectsPut...) })
	}
	wait.Wait()
	if got := checkLayout(t, s.Dir); len(got) != len(objectsPut) {
		t.Errorf("the index holds %d objects; want %d", len(got), len(objectsPut))
	}
}

// TestStoreKilledProcesses kills processes that put objects at moments all over
// their way.
func TestStoreKilledProcesses(t *testing.T) {
	testenv.KernelIndependent(t)
	s := newStore(t)
	killed := 0
	for i := range 30 {
		if err := os.RemoveAll(s.Dir); err != nil {
			t.Fatal(err)
		}
		cmd := putProcess(s)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 2 * time.Millisecond)
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			killed++
		}
		checkKilled(t, s, strconv.Itoa(2*i)+" ms")
	}
	if killed == 0 {
		t.Error("no process was killed while it was at work")
	}
}

// checkKilled checks what a killed process left, and that it does not disturb.
func checkKilled(t *testing.T, s Store, when string) {
	t.Helper()
	if _, err := os.Stat(s.path(v1.ImageLayoutFile)); err == nil {
		temporary, err := filepath.Glob(s.path(".*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range temporary {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		checkLayout(t, s.Dir)
	}
	put(t, s, objectsPut...)
	if err := s.Prune(map[string]bool{load(t, "plain.o").Digest: true}, -time.Minute); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{load(t, "plain.o").Digest}, checkLayout(t, s.Dir)); diff != "" {
		t.Errorf("killed after %s: objects (-want +got):\n%s", when, diff)
	}
}

// Who holds the lock for long hangs, and must not make others hang as well.
func TestStoreLocked(t *testing.T) {
	testenv.KernelIndependent(t)
	s := Store{Dir: t.TempDir()}
	dir, err := os.Open(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err = s.Put(load(t, "plain.o"))
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), s.Dir) {
		t.Errorf("Put returns %v, want ErrLocked and the folder", err)
	}
	if waited := time.Since(start); waited > 2*lockPatience {
		t.Errorf("it waited for %v", waited)
	}
}

func BenchmarkStore(b *testing.B) {
	s, o := newStore(b), load(b, "maps.o")
	if err := s.Put(o); err != nil {
		b.Fatal(err)
	}
	b.Run("Put of what is there", func(b *testing.B) {
		for b.Loop() {
			if err := s.Put(o); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Get", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Get(o.Digest); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// age makes an object look as if it had been put an hour ago.
func age(t *testing.T, s Store, name string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(s.blobPath(digest(load(t, name).Digest)), then, then); err != nil {
		t.Fatal(err)
	}
}

func TestPrune(t *testing.T) {
	s := newStore(t)
	if err := s.Prune(nil, 0); err != nil {
		t.Errorf("a store that does not exist: %v", err)
	}
	put(t, s, "plain.o", "maps.o", "globals.o", "several.o")
	for _, name := range []string{"plain.o", "maps.o", "globals.o"} {
		age(t, s, name)
	}
	put(t, s, "globals.o") // somebody wants it again
	if err := s.Prune(map[string]bool{load(t, "plain.o").Digest: true}, time.Minute); err != nil {
		t.Fatal(err)
	}
	want := []string{load(t, "plain.o").Digest, load(t, "globals.o").Digest, load(t, "several.o").Digest}
	if diff := cmp.Diff(want, checkLayout(t, s.Dir)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	_, err := s.Get(load(t, "maps.o").Digest)
	wantError(t, err, "does not have it")
}

func TestPruneRemovesWhatWasLeftBehind(t *testing.T) {
	s := newStore(t)
	put(t, s, "plain.o")
	for _, path := range []string{s.path(".index.json123"), s.blobPath(digest(object.DigestOf([]byte("orphan"))))} {
		if err := os.WriteFile(path, []byte("orphan"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Prune(nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s went while somebody may have been writing it: %v", path, err)
		}
		then := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		if err := s.Prune(nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	if got := checkLayout(t, s.Dir); len(got) != 1 {
		t.Errorf("the index holds %d objects; want 1", len(got))
	}
}
