// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// home is the folder with all that a containerd writes, and pluginLog our plugin's
// logFile.
const (
	home      = "/run/containerd-test"
	pluginLog = home + "/xdp-chain.log"
)

// server is a containerd with all that it writes in one folder, and a kubelet's
// connection to it.
type server struct {
	cri.RuntimeServiceClient
	release release
	dir     string
	process *exec.Cmd
}

// serve starts a containerd whose pods are on the network, and ends it, its pods and
// their bridge at the end of the test.
func serve(t *testing.T, r release, n network) *server {
	t.Helper()
	mountCgroups(t)
	s := &server{release: r, dir: home}
	t.Cleanup(func() {
		s.tellWhyFailed(t)
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
		removeBridge(t)
	})
	for _, dir := range []string{s.cniConf(), s.cniBin(), s.podLogs()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.fillCNIBin(t)
	s.configure(t, n)
	s.write(t, "config.toml", []byte(s.config(t)))
	s.write(t, "image.tar", imageArchive(t))
	s.connect(t)
	t.Cleanup(func() { s.end(t) })
	s.start(t)
	s.importImage(t)
	return s
}

func (s *server) socket() string   { return filepath.Join(s.dir, "containerd.sock") }
func (s *server) cniConf() string  { return filepath.Join(s.dir, "net.d") }
func (s *server) cniBin() string   { return filepath.Join(s.dir, "cni") }
func (s *server) podLogs() string  { return filepath.Join(s.dir, "pods") }
func (s *server) reserved() string { return filepath.Join(s.dir, "addresses") }
func (s *server) log() string      { return filepath.Join(s.dir, "log") }
func (s *server) conflist() string { return filepath.Join(s.cniConf(), "10-podnet.conflist") }

// config is containerd's configuration, in the version that all releases read.
//
//   - The folder is on the sandbox's tmpfs, which overlayfs takes as its upper one.
//   - disable_cgroup is for limits: with none, no controller need be available here.
//   - Scores for the OOM killer and AppArmor's profiles are the machine's affair.
func (s *server) config(t *testing.T) string {
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
`, filepath.Join(s.dir, "root"), filepath.Join(s.dir, "state"), s.socket(), filepath.Join(s.dir, "opt"),
		image, s.cniBin(), s.cniConf(), file(t, inDistribution("usr/sbin/runc")))
}

// fillCNIBin puts all plugins into one folder: containerd 1.6 takes no second.
func (s *server) fillCNIBin(t *testing.T) {
	t.Helper()
	plugins := []string{plugintest.Binary(t, "xdp-chain")}
	for _, name := range []string{"bridge", "host-local", "loopback"} {
		plugins = append(plugins, file(t, filepath.Join("../../.cache/bin", name)))
	}
	for _, path := range plugins {
		if err := os.Symlink(path, filepath.Join(s.cniBin(), filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
}

// configure writes the network's configuration. containerd watches the folder, so
// the file is put there whole. It overlooks files that are new there, but not that
// one of the folder gets another name.
func (s *server) configure(t *testing.T, n network) {
	t.Helper()
	fresh := s.write(t, "net.d/fresh", encode(t, n.conflist(s.reserved())))
	if err := os.Rename(fresh, s.conflist()); err != nil {
		t.Fatal(err)
	}
}

// reconfigure gives the pods another network from now on.
func (s *server) reconfigure(t *testing.T, n network) {
	t.Helper()
	s.configure(t, n)
	s.awaitConfigured(t, string(encode(t, n.conflist(s.reserved()))))
}

func (s *server) write(t *testing.T, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(s.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// connect makes the connection, which outlives the processes at the other end.
func (s *server) connect(t *testing.T) {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+s.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.RuntimeServiceClient = cri.NewRuntimeServiceClient(conn)
}

// start starts containerd and waits until it is ready for pods.
func (s *server) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(s.log(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.process = exec.Command(s.release.containerd, "--config", filepath.Join(s.dir, "config.toml"))
	s.process.Stdout, s.process.Stderr = log, log
	// runc's library lies beside it.
	libraries := filepath.Dir(file(t, inDistribution("usr/lib/*/libseccomp.so.2")))
	s.process.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries, "PATH="+filepath.Dir(s.release.containerd)+":"+os.Getenv("PATH"))
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitReady(t)
}

// stop ends containerd by a signal; its shims and their pods live on.
func (s *server) stop(t *testing.T, signal unix.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = s.process.Wait() // by the signal: no success
	s.process = nil
}

// end removes the pods that there are and ends containerd.
func (s *server) end(t *testing.T) {
	if s.process == nil {
		s.start(t)
	}
	for _, id := range s.pods(t) {
		if err := s.remove(id); err != nil {
			t.Errorf("removing pod %s at the end: %v", id, err)
		}
	}
	s.stop(t, unix.SIGTERM)
}

// importImage has ctr, which every containerd understands, import the image as the
// kubelet's.
func (s *server) importImage(t *testing.T) {
	t.Helper()
	cmd := exec.Command(file(t, inDistribution("usr/bin/ctr")), "--address", s.socket(), "--namespace", "k8s.io",
		"images", "import", filepath.Join(s.dir, "image.tar"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("importing the image: %v: %s", err, out)
	}
}

// tellWhyFailed shows the end of containerd's log where the test has failed.
func (s *server) tellWhyFailed(t *testing.T) {
	content, err := os.ReadFile(s.log())
	if err != nil || !t.Failed() {
		return
	}
	lines := bytes.Split(content, []byte("\n"))
	t.Logf("containerd's log ends with\n%s", bytes.Join(lines[max(0, len(lines)-40):], []byte("\n")))
}
