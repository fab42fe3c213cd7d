// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
)

// HaveFreplace returns nil where this kernel can run libxdp's dispatcher, and otherwise
// an error that satisfies errors.Is(err, [libxdp.ErrNoFreplace]). The kernel is asked
// once a boot: the probe loads and attaches several programs.
func (n *Node) HaveFreplace() error {
	known, err := n.Records.LoadKernel()
	switch {
	case err == nil && known.NoFreplace == "":
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s (found earlier; to have it looked at again, remove %s)", libxdp.ErrNoFreplace, known.NoFreplace, n.Records.KernelPath())
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, record.ErrBroken):
		return err
	}
	probed := libxdp.Probe()
	if probed == nil || errors.Is(probed, libxdp.ErrNoFreplace) {
		if probed != nil {
			known.NoFreplace = strings.TrimPrefix(probed.Error(), libxdp.ErrNoFreplace.Error()+": ")
		}
		return errors.Join(probed, n.Records.SaveKernel(known))
	}
	return fmt.Errorf("find out whether the kernel can run libxdp's dispatcher: %w", probed)
}
