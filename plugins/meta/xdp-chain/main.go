// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/ns"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/version"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func main() {
	raiseMemlock()
	skel.PluginMainFuncs(skel.CNIFuncs{
		Add:    verb{"ADD", verbTimeout, add}.run,
		Del:    verb{"DEL", verbTimeout, del}.run,
		Check:  verb{"CHECK", verbTimeout, check}.run,
		GC:     verb{"GC", gcTimeout, gc}.run,
		Status: verb{"STATUS", verbTimeout, status}.run,
	}, supported, "CNI plugin xdp-chain "+version.String())
}

// raiseMemlock lets this process make maps and programs of any size. Kernels before
// 5.11 count them against RLIMIT_MEMLOCK, and runtimes start plugins with the 64 KiB
// that is usual; later ones count them against the cgroup. Where the limit cannot
// be raised, the kernel's refusal will say more than this call's.
func raiseMemlock() {
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
}

// supported are the versions of CNI whose results list interfaces with their
// sandboxes, without which the pod's interface could not be told.
var supported = cniversion.VersionsStartingFrom("0.3.0")

// How long a verb may wait for what other processes hold. Runtimes kill plugins
// after minutes (the kubelet gives a CRI call two), and a pod that is told to try
// again is better off than one whose plugin was killed.
const (
	verbTimeout = 10 * time.Second
	// gcTimeout is for all chains of a network, each of which may take tens of
	// milliseconds to come off its interface.
	gcTimeout = 100 * time.Second
	// sweepTimeout and staleLimit bound what one pod does for the stale chains.
	sweepTimeout = time.Second
	staleLimit   = 16
	// findTimeout is for what of the looking is left when the pod's chain runs.
	// Others' attachments can keep it waiting for long; a later pod looks again.
	findTimeout = 20 * time.Millisecond
)

// verb is one of CNI's verbs, bounded in time and logged.
type verb struct {
	name    string
	timeout time.Duration
	do      func(context.Context, *node.Node, *skel.CmdArgs, *slog.Logger) error
}

// run does the verb, logs one line about it, and returns nil or a [types.Error].
func (v verb) run(args *skel.CmdArgs) error {
	start := time.Now()
	log, done := openLog(args.StdinData, os.Stderr)
	defer done()
	log = log.With("verb", v.name, "network", networkName(args.StdinData), "containerID", args.ContainerID, "ifname", args.IfName)
	slog.SetDefault(log) // what the packages below have to say goes there too

	ctx, cancel := context.WithTimeout(context.Background(), v.timeout)
	defer cancel()
	err := v.do(ctx, node.Default(), args, log)
	if err == nil {
		log.Info("done", "outcome", "ok", "duration", time.Since(start).String())
		return nil
	}
	answer := cniError(err)
	log.Error(answer.Msg, "outcome", "error", "code", answer.Code, "details", answer.Details, "duration", time.Since(start).String())
	return answer
}

func add(ctx context.Context, n *node.Node, args *skel.CmdArgs, log *slog.Logger) error {
	r, err := parsePodRequest(args)
	if err != nil {
		return err
	}
	if r.excluded {
		log.Debug("the pod's namespace is excluded", "namespace", r.attachment.PodNamespace)
		_, err := os.Stdout.Write(r.answer)
		return err
	}
	if err := checkNetNS(args); err != nil {
		return err
	}
	stale := findStale(n, log) // beside Apply, which waits for the kernel anyway
	if err := n.Apply(ctx, r.attachment); err != nil {
		return err
	}
	removeStale(n, stale, log)
	if _, err := os.Stdout.Write(r.answer); err != nil {
		return errors.Join(err, n.Remove(ctx, r.attachment.Network, args.ContainerID, args.IfName))
	}
	return nil
}

// findStale begins to look for a few chains whose interfaces are gone: containerd
// never calls GC. Whatever goes wrong with them is not this pod's business. It changes
// nothing, and the process may end before it has found any.
func findStale(n *node.Node, log *slog.Logger) <-chan []chain.Key {
	found := make(chan []chain.Key, 1)
	go func() {
		keys, err := n.FindStale(staleLimit)
		if err != nil {
			log.Warn("looking for chains whose interfaces are gone", "error", err)
		}
		found <- keys
	}()
	return found
}

// removeStale takes away the chains that were found.
func removeStale(n *node.Node, found <-chan []chain.Key, log *slog.Logger) {
	select {
	case keys := <-found:
		ctx, cancel := context.WithTimeout(context.Background(), sweepTimeout)
		defer cancel()
		if err := n.RemoveStale(ctx, keys); err != nil {
			log.Warn("sweep of chains whose interfaces are gone", "error", err)
		}
	case <-time.After(findTimeout):
	}
}

func del(ctx context.Context, n *node.Node, args *skel.CmdArgs, _ *slog.Logger) error {
	return n.Remove(ctx, networkName(args.StdinData), args.ContainerID, args.IfName)
}

func check(ctx context.Context, n *node.Node, args *skel.CmdArgs, _ *slog.Logger) error {
	r, err := parsePodRequest(args)
	if err != nil || r.excluded {
		return err
	}
	return n.Check(ctx, r.attachment)
}

func gc(ctx context.Context, n *node.Node, args *skel.CmdArgs, _ *slog.Logger) error {
	valid, known, err := validAttachments(args.StdinData)
	if err != nil {
		return err
	}
	return n.GC(ctx, networkName(args.StdinData), valid, known)
}

// status returns code 50 whatever is wrong: the runtime asks whether an ADD with
// this configuration could work, and that code is CNI's no.
func status(ctx context.Context, n *node.Node, args *skel.CmdArgs, _ *slog.Logger) error {
	if err := tryADD(ctx, n, args.StdinData); err != nil {
		code := cniError(err)
		return types.NewError(types.ErrPluginNotAvailable, code.Msg, code.Details)
	}
	return nil
}

// tryADD finds out what would keep an ADD with this configuration from working, for any
// pod.
func tryADD(ctx context.Context, n *node.Node, stdin []byte) error {
	c, err := config.Parse(stdin)
	if err != nil {
		return err
	}
	a := resolve.AttachmentOf(c)
	if a.Catalog, err = catalog.Open(c.CatalogDir); err != nil {
		return err
	}
	var allowed []string
	if c.Annotations != nil {
		allowed = c.Annotations.Allow
	}
	return n.Status(ctx, a, allowed...)
}

// checkNetNS returns code 8 where the pod's network namespace is the plugin's
// own. The skeleton checks the same, but only when ADD is over.
func checkNetNS(args *skel.CmdArgs) error {
	if strings.EqualFold(args.NetnsOverride, "true") || args.NetnsOverride == "1" {
		return nil
	}
	own, err := ns.CheckNetNS(args.Netns)
	if err != nil {
		return err
	}
	if own {
		return types.NewError(types.ErrInvalidNetNS,
			fmt.Sprintf("CNI_NETNS %s is the plugin's own network namespace; no chain is put on the host", args.Netns), "")
	}
	return nil
}

// networkName reads the one field that DEL and GC need. The skeleton has read it
// the same way and refuses a configuration without it.
func networkName(stdin []byte) string {
	var c struct {
		Name string `json:"name"`
	}
	// Fields of wrong types do not keep the name from being read.
	_ = json.Unmarshal(stdin, &c)
	return c.Name
}

// validAttachments returns the attachments of the network that the runtime holds
// valid; known is false where it does not say. A list that cannot be read is code
// 7: to guess would take chains from pods that run.
func validAttachments(stdin []byte) (valid []node.Ref, known bool, err error) {
	var c struct {
		Valid []types.GCAttachment `json:"cni.dev/valid-attachments"`
	}
	if err := json.Unmarshal(stdin, &c); err != nil {
		return nil, false, types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("cni.dev/valid-attachments: %v", err), "")
	}
	for _, a := range c.Valid {
		valid = append(valid, node.Ref{ContainerID: a.ContainerID, Ifname: a.IfName})
	}
	return valid, c.Valid != nil, nil
}

// openLog returns the log that a configuration asks for, and what to call when
// the verb is over. With a logFile, each verb is one JSON line in it; without,
// only warnings and errors are told, on stderr, which runtimes put into their own
// log. The configuration is read leniently, for a broken one is to be logged too.
//
// The file is opened for every verb, so that it can be rotated by renaming, and
// for appending, so that lines of concurrent verbs do not mix. One that cannot
// be opened, or is no regular file, is said on stderr and replaced by it.
func openLog(stdin []byte, stderr io.Writer) (log *slog.Logger, done func()) {
	var wanted struct {
		LogFile  string `json:"logFile"`
		LogLevel string `json:"logLevel"`
	}
	// An error leaves what could be read; ADD and STATUS report it.
	_ = json.Unmarshal(stdin, &wanted)
	var level config.Level
	_ = level.UnmarshalText([]byte(wanted.LogLevel))
	toStderr := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: max(level.Level(), slog.LevelWarn)}))
	// What a relative path is relative to is the runtime's secret; ADD refuses it.
	if !filepath.IsAbs(wanted.LogFile) {
		return toStderr, func() {}
	}
	file, err := openLogFile(wanted.LogFile)
	if err != nil {
		toStderr.Warn("logging to stderr, since logFile cannot be opened", "error", err)
		return toStderr, func() {}
	}
	handler := slog.NewJSONHandler(file, &slog.HandlerOptions{Level: level.Level()})
	return slog.New(handler), func() { _ = file.Close() }
}

// openLogFile opens a regular file for appending, and makes it where it is
// missing. Anything else could keep the verb waiting, DEL included: a FIFO until
// somebody reads from it, already as it is opened but for O_NONBLOCK.
func openLogFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}
