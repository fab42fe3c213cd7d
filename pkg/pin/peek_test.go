// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestPeekSeesLocksAndStages(t *testing.T) {
	ensure(t)
	look := func(wantBusy, wantUnsettled bool) {
		t.Helper()
		if got, err := tree.Busy(key); got != wantBusy || err != nil {
			t.Errorf("busy is %v, %v; want %v", got, err, wantBusy)
		}
		if got, err := tree.Unsettled(key); got != wantUnsettled || err != nil {
			t.Errorf("unsettled is %v, %v; want %v", got, err, wantUnsettled)
		}
	}
	look(false, false) // no folder
	folder := filepath.Join(tree.Root, "xdp-chain/chains", key.String())
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	look(false, false)
	if _, err := os.Stat(folder); err != nil {
		t.Errorf("a look has removed the empty folder: %v", err)
	}
	l := lockForTest(t, key)
	look(true, false)
	if err := l.Stage(1, newMap(t, "counters"), nil, nil); err != nil {
		t.Fatal(err)
	}
	look(true, true)
	if err := l.Settle(1); err != nil {
		t.Fatal(err)
	}
	look(true, false)
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	look(false, false)
}

func TestPeekAtNode(t *testing.T) {
	ensure(t)
	l, err := tree.LockNode(t.Context(), "pod.net")
	if err != nil {
		t.Fatal(err)
	}
	for network, want := range map[string]bool{"pod.net": true, "other": false, "": false} {
		if got, err := tree.NodeBusy(network); got != want || err != nil {
			t.Errorf("network %q is busy: %v, %v; want %v", network, got, err, want)
		}
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	x, err := tree.Libxdp(4097).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.LibxdpCookies(); !cmp.Equal(got, []uint64{4097}) || err != nil {
		t.Errorf("namespaces with a tree are %v, %v", got, err)
	}
	if err := x.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestMountableMountsNothing(t *testing.T) {
	testenv.NoLeaks(t)
	at := atRoot(t)
	if on, err := at.Mounted(); on || err != nil {
		t.Errorf("mounted: %v, %v", on, err)
	}
	if err := at.Mountable(); err != nil {
		t.Errorf("it can be mounted, as root: %v", err)
	}
	if got := mounts(t, at.Root); got != 0 {
		t.Errorf("%d file systems are mounted there", got)
	}
	nowhere := pin.Tree{Root: filepath.Join(at.Root, "nowhere")}
	if err := nowhere.Mountable(); !errors.Is(err, pin.ErrNoBPFFS) {
		t.Errorf("without a folder to mount on: %v", err)
	}
}
