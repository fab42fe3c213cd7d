// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

// How long a verb may wait for what other processes hold. Runtimes kill plugins
// after minutes (the kubelet gives a CRI call two), and a pod that is told to try
// again is better off than one whose plugin was killed.
const (
	patience = 10 * time.Second
	// gcPatience is for all chains of a network, each of which may take tens of
	// milliseconds to come off its interface.
	gcPatience = 100 * time.Second
	// sweepPatience and sweepLimit bound what one pod does for the dead ones.
	sweepPatience = time.Second
	sweepLimit    = 16
	// lookPatience is for what of the looking is left when the pod's chain runs.
	// Others' attachments can keep it waiting for long; a later pod looks again.
	lookPatience = 20 * time.Millisecond
)

// verb is one of CNI's verbs, bounded in time and logged.
type verb struct {
	name     string
	patience time.Duration
	do       func(context.Context, *node.Node, *skel.CmdArgs, *slog.Logger) error
}

// run does the verb, logs one line about it, and returns nil or a [types.Error].
func (v verb) run(args *skel.CmdArgs) error {
	start := time.Now()
	log, done := openLog(args.StdinData, os.Stderr)
	defer done()
	log = log.With("verb", v.name, "network", networkName(args.StdinData), "containerID", args.ContainerID, "ifname", args.IfName)
	slog.SetDefault(log) // what the packages below have to say goes there too

	ctx, cancel := context.WithTimeout(context.Background(), v.patience)
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
