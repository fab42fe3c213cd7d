// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

var eth0 = Attachment{"k8s.pod-network", "0123456789abcdef", "eth0", []chain.Key{key, {Cookie: 1, Ifindex: 9}}}

func load(d Dir, a Attachment) (Attachment, error) {
	return d.LoadAttachment(a.Network, a.ContainerID, a.Ifname)
}

func remove(d Dir, a Attachment) error {
	return d.RemoveAttachment(a.Network, a.ContainerID, a.Ifname)
}

func TestAttachment(t *testing.T) {
	d := Dir{Root: filepath.Join(t.TempDir(), "root")}
	checkHas(t, d, eth0.Network, false)
	if _, err := load(d, eth0); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Load before Save: %v; want fs.ErrNotExist", err)
	}
	net1 := eth0
	net1.Ifname, net1.Keys = "net1", nil
	for _, a := range []Attachment{eth0, net1, eth0} {
		if err := d.SaveAttachment(a); err != nil {
			t.Fatal(err)
		}
		if got, err := load(d, a); err != nil || !cmp.Equal(got, a) {
			t.Errorf("loaded %+v, %v; want %+v", got, err, a)
		}
	}
	if list, err := d.Attachments(eth0.Network); len(list) != 2 || err != nil {
		t.Errorf("attachments %+v, %v; want two", list, err)
	}
	if networks, err := d.Networks(); !cmp.Equal(networks, []string{eth0.Network}) {
		t.Errorf("networks %q, %v; want %q", networks, err, eth0.Network)
	}
	checkHas(t, d, eth0.Network, true)
	for range 2 {
		if err := remove(d, net1); err != nil {
			t.Fatal(err)
		}
	}
	checkHas(t, d, eth0.Network, true)
	if err := remove(d, eth0); err != nil {
		t.Fatal(err)
	}
	checkHas(t, d, eth0.Network, false)
	checkNothingLeft(t, d)
}

func checkHas(t *testing.T, d Dir, network string, want bool) {
	t.Helper()
	if has, err := d.HasAttachments(network); has != want || err != nil {
		t.Errorf("HasAttachments(%q) = %t, %v; want %t", network, has, err, want)
	}
}

func TestNetworksThatCannotBe(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	for _, network := range []string{"", ".", "..", "../chains", "a/b", "/a", "a\x00b", "a b", ".a", strings.Repeat("n", 256)} {
		a := eth0
		a.Network = network
		if err := d.SaveAttachment(a); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("Save %.20q: %v; want chain.ErrInvalid", network, err)
		}
		if _, err := load(d, a); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Load %.20q: %v; want fs.ErrNotExist", network, err)
		}
		if err := remove(d, a); err != nil {
			t.Errorf("Remove %.20q: %v", network, err)
		}
		if list, err := d.Attachments(network); len(list) != 0 || err != nil {
			t.Errorf("Attachments %.20q: %v, %v; want none", network, list, err)
		}
		checkHas(t, d, network, false)
	}
	checkNothingLeft(t, d)
	for _, network := range []string{"a", "a..b", "A_-.9", strings.Repeat("n", 255)} {
		a := eth0
		a.Network = network
		if err := d.SaveAttachment(a); err != nil {
			t.Errorf("Save %.20q: %v", network, err)
		}
	}
}

func TestBrokenAttachment(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	if err := d.SaveAttachment(eth0); err != nil {
		t.Fatal(err)
	}
	bad, foreign := eth0, eth0
	bad.Ifname, foreign.Ifname = "bad", "foreign"
	for _, tt := range []struct {
		Attachment
		content string
	}{
		{bad, "{"},
		{foreign, `{"version":1,"network":"k8s.pod-network","containerID":"x","ifname":"foreign","keys":[]}`},
	} {
		path, err := d.attachment(tt.Network, tt.ContainerID, tt.Ifname)
		if err != nil {
			t.Fatal(err)
		}
		put(t, path, []byte(tt.content))
		_, err = load(d, tt.Attachment)
		checkSetAside(t, err, tt.content)
		put(t, path, []byte(tt.content))
	}
	list, err := d.Attachments(eth0.Network)
	if !cmp.Equal(list, []Attachment{eth0}) || !errors.Is(err, ErrBroken) {
		t.Errorf("attachments %+v, %v; want the good one and ErrBroken", list, err)
	}
}

// checkSetAside fails unless err is a BrokenError whose file has the content.
func checkSetAside(t *testing.T, err error, content string) {
	t.Helper()
	var broken *BrokenError
	if !errors.As(err, &broken) {
		t.Fatalf("got %v; want a BrokenError", err)
	}
	if kept, err := os.ReadFile(broken.SetAside); err != nil || string(kept) != content {
		t.Errorf("set aside %q, %v; want %q", kept, err, content)
	}
}

func saveAttachment() error { return Dir{Root: os.Getenv("ROOT")}.SaveAttachment(eth0) }

func removeAttachment() error { return remove(Dir{Root: os.Getenv("ROOT")}, eth0) }

func TestAttachmentKilledAnywhere(t *testing.T) {
	for _, tt := range []struct {
		body    string
		prepare func(Dir) error
	}{
		{"save-attachment", func(Dir) error { return nil }},
		{"remove-attachment", func(d Dir) error { return d.SaveAttachment(eth0) }},
	} {
		t.Run(tt.body, func(t *testing.T) {
			d := Dir{Root: t.TempDir()}
			prepare := func(t *testing.T) {
				if err := tt.prepare(d); err != nil {
					t.Fatal(err)
				}
			}
			crashtest.AtSome(t, 3, tt.body, []string{"ROOT=" + d.Root}, prepare, func(t *testing.T) {
				got, err := load(d, eth0)
				if !errors.Is(err, fs.ErrNotExist) && (err != nil || !cmp.Equal(got, eth0)) {
					t.Errorf("loaded %+v, %v; want all or nothing", got, err)
				}
				if err := remove(d, eth0); err != nil {
					t.Error(err)
				}
				checkNothingLeft(t, d)
			})
		})
	}
}

// comeAndGo has pods of one network come and go, now and then all of them gone.
func comeAndGo() error {
	d := Dir{Root: os.Getenv("ROOT")}
	for i := range 200 {
		a := Attachment{"podnet", fmt.Sprintf("%s-%d", os.Getenv("WHO"), i), "eth0", []chain.Key{key}}
		if err := d.SaveAttachment(a); err != nil {
			return err
		}
		if _, err := load(d, a); err != nil {
			return err
		}
		if err := remove(d, a); err != nil {
			return err
		}
		if _, err := d.Attachments("podnet"); err != nil {
			return err
		}
	}
	return nil
}

func TestFirstInAndLastOutAtOnce(t *testing.T) {
	d := Dir{Root: t.TempDir()}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			cmd := crashtest.Command("come-and-go", "ROOT="+d.Root, fmt.Sprintf("WHO=%d", i))
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	checkNothingLeft(t, d)
}
