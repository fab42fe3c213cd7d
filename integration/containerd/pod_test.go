// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// look is a shell command that prints what a container's network has seen.
const look = "busybox cat /proc/net/snmp /proc/net/dev"

// callPatience is how long a call may take that no test makes slow.
const callPatience = 60 * time.Second

// podConfig is what the kubelet hands over for a pod.
func podConfig(namespace, name string, annotations map[string]string) *cri.PodSandboxConfig {
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Namespace: namespace, Name: name, Uid: namespace + "-" + name},
		Annotations:  annotations,
		LogDirectory: filepath.Join(podLogs, namespace+"-"+name),
		Linux:        &cri.LinuxPodSandboxConfig{},
	}
}

// run starts a pod and returns its id.
func (s *server) run(c *cri.PodSandboxConfig) (id string, err error) {
	return s.runWithin(callPatience, c)
}

// runWithin is run with a kubelet that waits only so long.
func (s *server) runWithin(timeout time.Duration, c *cri.PodSandboxConfig) (id string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	answer, err := s.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: c})
	return answer.GetPodSandboxId(), err
}

// mustRun starts a pod of namespace shop.
func (s *server) mustRun(t *testing.T, name string, annotations map[string]string) *pod {
	t.Helper()
	c := podConfig("shop", name, annotations)
	id, err := s.run(c)
	if err != nil {
		t.Fatalf("running pod %s: %v", name, err)
	}
	return s.pod(t, id, c)
}

// stopPod ends a pod's containers and takes its network away.
func (s *server) stopPod(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	_, err := s.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
	return err
}

func (s *server) mustStop(t *testing.T, p *pod) {
	t.Helper()
	if err := s.stopPod(p.ID); err != nil {
		t.Fatalf("stopping pod %s: %v", p.ID, err)
	}
}

// remove stops a pod and removes it, as the kubelet does.
func (s *server) remove(id string) error {
	if err := s.stopPod(id); err != nil {
		return err
	}
	return s.removeStopped(id)
}

func (s *server) removeStopped(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	_, err := s.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
	return err
}

func (s *server) mustRemove(t *testing.T, id string) {
	t.Helper()
	if err := s.remove(id); err != nil {
		t.Fatalf("removing pod %s: %v", id, err)
	}
}

// removeAll removes the pods that containerd knows, as a kubelet does with those that
// nobody wants any more or that did not start.
func (s *server) removeAll(t *testing.T) {
	t.Helper()
	for _, id := range s.pods(t) {
		s.mustRemove(t, id)
	}
}

// pods lists the pods that containerd knows, whatever their state.
func (s *server) pods(t *testing.T) (ids []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	list, err := s.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Items {
		ids = append(ids, p.Id)
	}
	return ids
}

// pod is one that runs: its network, and the rest.
type pod struct {
	*plugintest.Pod
	config *cri.PodSandboxConfig
	ip     string
	pid    int // of the sandbox container
}

// pod asks containerd for what it says about a pod to whoever wants to know all.
func (s *server) pod(t *testing.T, id string, c *cri.PodSandboxConfig) *pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	status, err := s.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	var verbose struct {
		PID         int `json:"pid"`
		RuntimeSpec struct {
			Linux struct {
				Namespaces []struct{ Type, Path string }
			}
		} `json:"runtimeSpec"`
	}
	if err := json.Unmarshal([]byte(status.Info["info"]), &verbose); err != nil {
		t.Fatal(err)
	}
	p := &pod{Pod: &plugintest.Pod{ID: id, Ifname: "eth0"}, config: c, ip: status.Status.Network.GetIp(), pid: verbose.PID}
	for _, ns := range verbose.RuntimeSpec.Linux.Namespaces {
		if ns.Type == "network" {
			p.NetNS = ns.Path
		}
	}
	return p
}

// output runs a shell command in a new container of the pod and returns what it
// printed.
func (s *server) output(t *testing.T, p *pod, container, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callPatience)
	defer cancel()
	created, err := s.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: p.ID, SandboxConfig: p.config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: container}, Image: &cri.ImageSpec{Image: image},
			Command: []string{"sh", "-c", command}, LogPath: container + ".log", Linux: &cri.LinuxContainerConfig{},
		},
	})
	if err != nil {
		t.Fatalf("creating a container: %v", err)
	}
	s.containers = append(s.containers, created.ContainerId)
	if _, err := s.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: created.ContainerId}); err != nil {
		t.Fatalf("starting a container: %v", err)
	}
	s.await(t, callPatience, "the container ends", func(ctx context.Context) (bool, string) {
		status, err := s.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: created.ContainerId})
		if err != nil {
			return false, err.Error()
		}
		return status.Status.State == cri.ContainerState_CONTAINER_EXITED, status.Status.State.String()
	})
	content, err := os.ReadFile(filepath.Join(p.config.LogDirectory, container+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// bridge is the pods' bridge.
const bridge = "cni0"

// network is the pods' network: the bridge plugin and host-local with so many
// addresses, from 10.88.0.2 on, and after them these plugins.
type network struct {
	addresses int
	plugins   []fields
}

// address is the n-th address of the network, from 0 on.
func address(n int) string { return fmt.Sprintf("10.88.0.%d", n+2) }

// addresses is how many pods a network has room for where that is of no matter.
const addresses = 100

// chained is a network with our plugin alone after bridge.
func chained(more fields, programs ...fields) network {
	return network{addresses: addresses, plugins: []fields{ours(more, programs...)}}
}

// ours is our plugin's entry.
func ours(more fields, programs ...fields) fields {
	e := plugintest.Entry(more, programs...)
	delete(e, "cniVersion")
	delete(e, "name")
	e["logFile"] = pluginLog
	e["capabilities"] = fields{"io.kubernetes.cri.pod-annotations": true}
	return e
}

// conflist is the network's configuration, with the versions that the documentation
// tells to write.
func (n network) conflist() fields {
	first := fields{
		"type": "bridge", "bridge": bridge, "isGateway": true,
		"ipam": fields{
			"type": "host-local", "dataDir": reserved,
			"ranges": [][]fields{{{
				"subnet": "10.88.0.0/24", "gateway": "10.88.0.1",
				"rangeStart": address(0), "rangeEnd": address(n.addresses - 1),
			}}},
			"routes": []fields{{"dst": "0.0.0.0/0"}},
		},
	}
	return fields{
		"cniVersion": "1.0.0", "cniVersions": []string{"0.4.0", "1.0.0", "1.1.0"},
		"name": plugintest.Network, "plugins": append([]fields{first}, n.plugins...),
	}
}

// removeBridge takes away the bridge, which outlives the pods.
func removeBridge(t *testing.T) {
	link, err := netlink.LinkByName(bridge)
	if err != nil {
		return // no pod was made
	}
	if err := netlink.LinkDel(link); err != nil {
		t.Error(err)
	}
}
