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
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// home is the folder with all that a containerd writes; the rest is in it.
const (
	home      = "/run/containerd-test"
	socket    = home + "/containerd.sock"
	serverLog = home + "/log"
	podLogs   = home + "/pods"
	cniBin    = home + "/cni"
	cniConf   = home + "/net.d"
	reserved  = home + "/addresses"     // host-local's
	pluginLog = home + "/xdp-chain.log" // our plugin's logFile
)

// server is a containerd, and a kubelet's connection to it.
type server struct {
	cri.RuntimeServiceClient
	containerd string // path of the binary
	process    *exec.Cmd
	containers []string // ids of those that ran in pods
}

// ids lists the ids of all containers that there were. A pod's id is that of its
// sandbox container.
func (s *server) ids(t *testing.T) []string {
	t.Helper()
	ids := slices.Clone(s.containers)
	for _, add := range calls(t, "ADD", "") {
		ids = append(ids, add.ContainerID)
	}
	return ids
}

// serve starts a containerd whose pods are on the network, and ends it, its pods and
// their bridge at the end of the test.
func serve(t *testing.T, containerd string, n network) *server {
	t.Helper()
	mountCgroups(t)
	s := &server{containerd: containerd}
	t.Cleanup(func() {
		tellWhyFailed(t)
		if left := cgroupsOf(t, s.ids(t)); len(left) > 0 {
			t.Errorf("cgroups left behind: %v", left)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
		removeBridge(t)
	})
	for _, dir := range []string{cniConf, cniBin, podLogs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fillCNIBin(t)
	configure(t, n)
	write(t, "config.toml", []byte(config(t)))
	write(t, "image.tar", imageArchive(t))
	s.connect(t)
	t.Cleanup(func() { s.end(t) })
	s.start(t)
	s.importImage(t)
	return s
}

// config is containerd's configuration, in the version that all releases read.
//
//   - The folder is on the sandbox's tmpfs, which overlayfs takes as its upper one.
//   - disable_cgroup is for limits: with none, no controller need be available here.
//   - Scores for the OOM killer and AppArmor's profiles are the machine's affair.
func config(t *testing.T) string {
	return fmt.Sprintf(`
version = 2
root = %[1]q
state = %[2]q
[grpc]
  address = %[3]q
[plugins."io.containerd.internal.v1.opt"]
  path = %[4]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[5]q
  disable_cgroup = true
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %[6]q
    conf_dir = %[7]q
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = %[8]q
`, filepath.Join(home, "root"), filepath.Join(home, "state"), socket, filepath.Join(home, "opt"),
		image, cniBin, cniConf, tool(t, "runc"))
}

// fillCNIBin puts all plugins into one folder: containerd 1.6 takes no second.
func fillCNIBin(t *testing.T) {
	t.Helper()
	plugins := []string{plugintest.Binary(t, "xdp-chain")}
	for _, name := range []string{"bridge", "host-local", "loopback"} {
		plugins = append(plugins, file(t, filepath.Join("../../.cache/bin", name)))
	}
	for _, path := range plugins {
		if err := os.Symlink(path, filepath.Join(cniBin, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
}

// configure writes the network's configuration. containerd watches the folder, so
// the file is put there whole. It overlooks files that are new there, but not that
// one of the folder gets another name.
func configure(t *testing.T, n network) {
	t.Helper()
	fresh := write(t, "net.d/fresh", encode(t, n.conflist()))
	if err := os.Rename(fresh, filepath.Join(cniConf, "10-podnet.conflist")); err != nil {
		t.Fatal(err)
	}
}

// reconfigure gives the pods another network from now on.
func (s *server) reconfigure(t *testing.T, n network) {
	t.Helper()
	configure(t, n)
	s.awaitConfigured(t, string(encode(t, n.conflist())))
}

func write(t *testing.T, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(home, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// connect makes the connection, which outlives the processes at the other end.
func (s *server) connect(t *testing.T) {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.RuntimeServiceClient = cri.NewRuntimeServiceClient(conn)
}

// start starts containerd and waits until it is ready for pods.
func (s *server) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(serverLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.process = exec.Command(s.containerd, "--config", filepath.Join(home, "config.toml"))
	s.process.Stdout, s.process.Stderr = log, log
	// runc's library lies beside it.
	libraries := filepath.Dir(file(t, distribution+"/usr/lib/*/libseccomp.so.2"))
	s.process.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries, "PATH="+filepath.Dir(s.containerd)+":"+os.Getenv("PATH"))
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitReady(t)
}

// stop ends containerd by a signal, or by SIGKILL where that takes too long; its shims
// and their pods live on.
func (s *server) stop(t *testing.T, signal unix.Signal) {
	t.Helper()
	process := s.process
	s.process = nil
	late := time.AfterFunc(10*time.Second, func() { _ = process.Process.Kill() })
	defer late.Stop()
	if err := process.Process.Signal(signal); err != nil {
		t.Error(err)
	}
	_ = process.Wait() // by the signal: no success
}

// end removes the pods that there are and ends containerd.
func (s *server) end(t *testing.T) {
	if s.process == nil {
		s.start(t)
	}
	defer s.stop(t, unix.SIGTERM)
	for _, id := range s.pods(t) {
		if err := s.remove(id); err != nil {
			t.Errorf("removing pod %s at the end: %v", id, err)
		}
	}
}

// importImage has ctr, which every containerd understands, import the image as the
// kubelet's.
func (s *server) importImage(t *testing.T) {
	t.Helper()
	cmd := exec.Command(tool(t, "ctr"), "--address", socket, "--namespace", "k8s.io",
		"images", "import", filepath.Join(home, "image.tar"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("importing the image: %v: %s", err, out)
	}
}

// tellWhyFailed shows the end of containerd's log where the test has failed.
func tellWhyFailed(t *testing.T) {
	content, err := os.ReadFile(serverLog)
	if err != nil || !t.Failed() {
		return
	}
	lines := bytes.Split(content, []byte("\n"))
	t.Logf("containerd's log ends with\n%s", bytes.Join(lines[max(0, len(lines)-40):], []byte("\n")))
}

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
