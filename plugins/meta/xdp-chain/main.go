// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/containernetworking/cni/pkg/ns"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/version"
)

func main() {
	raiseMemlock()
	skel.PluginMainFuncs(skel.CNIFuncs{
		Add:    verb{"ADD", patience, add}.run,
		Del:    verb{"DEL", patience, del}.run,
		Check:  verb{"CHECK", patience, check}.run,
		GC:     verb{"GC", gcPatience, gc}.run,
		Status: verb{"STATUS", patience, status}.run,
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

func add(ctx context.Context, n *node.Node, args *skel.CmdArgs, log *slog.Logger) error {
	w, err := parseWish(args)
	if err != nil {
		return err
	}
	if w.excluded {
		log.Debug("the pod's namespace is excluded", "namespace", w.attachment.PodNamespace)
		return w.answer(os.Stdout)
	}
	if err := checkNetNS(args); err != nil {
		return err
	}
	dead := lookForDead(n, log) // beside Apply, which waits for the kernel anyway
	if err := n.Apply(ctx, w.attachment); err != nil {
		return err
	}
	bury(n, dead, log)
	if err := w.answer(os.Stdout); err != nil {
		return errors.Join(err, n.Remove(ctx, w.attachment.Network, args.ContainerID, args.IfName))
	}
	return nil
}

func del(ctx context.Context, n *node.Node, args *skel.CmdArgs, _ *slog.Logger) error {
	return n.Remove(ctx, networkName(args.StdinData), args.ContainerID, args.IfName)
}

func check(ctx context.Context, n *node.Node, args *skel.CmdArgs, _ *slog.Logger) error {
	w, err := parseWish(args)
	if err != nil || w.excluded {
		return err
	}
	return n.Check(ctx, w.attachment)
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
	a := node.AttachmentOf(c)
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
