// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// stock is what may grow while chains are changed again and again.
type stock struct {
	programs, maps, links int // in the kernel, whoever's
	pins                  int // files and folders on bpffs
	records               int // files and folders below /run/xdp-chain
	recorded              int // their size, in bytes
	open                  int // files of this process
	resident              int // memory of this process, in KiB
}

// stockGrace is how long the kernel may take to free what nobody holds any more.
const stockGrace = time.Second

// takeStock counts when the kernel and the process have freed what they can.
func takeStock() (stock, error) {
	time.Sleep(stockGrace)
	debug.FreeOSMemory()
	var s stock
	var errs []error
	count := func(n int, err error) int {
		errs = append(errs, err)
		return n
	}
	s.programs, s.maps, s.links = count(kernelPrograms()), count(kernelMaps()), count(kernelLinks())
	s.pins = count(countTree(pin.DefaultRoot, nil))
	s.records = count(countTree(record.DefaultRoot, &s.recorded))
	files, err := os.ReadDir("/proc/self/fd")
	s.open = count(len(files), err)
	s.resident = count(residentKiB())
	return s, errors.Join(errs...)
}

func kernelPrograms() (n int, err error) {
	for id := ebpf.ProgramID(0); ; n++ {
		if id, err = ebpf.ProgramGetNextID(id); err != nil {
			return n, unlessLast(err)
		}
	}
}

func kernelMaps() (n int, err error) {
	for id := ebpf.MapID(0); ; n++ {
		if id, err = ebpf.MapGetNextID(id); err != nil {
			return n, unlessLast(err)
		}
	}
}

func kernelLinks() (n int, err error) {
	err = netdev.EachLink(func(link.Link) { n++ })
	return n, err
}

// unlessLast leaves out the error that stands behind the last id.
func unlessLast(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// countTree counts what is below a folder, and adds the sizes up if size is given.
func countTree(root string, size *int) (n int, err error) {
	err = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || size == nil || d.IsDir() {
			n++
			return err
		}
		n++
		info, err := d.Info()
		if err == nil {
			*size += int(info.Size())
		}
		return err
	})
	return n, err
}

// residentKiB is VmRSS of proc_pid_status(5).
func residentKiB() (kib int, err error) {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, err = fmt.Sscanf(value, "%d kB", &kib)
			return kib, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmRSS")
}

func (s stock) minus(o stock) stock {
	return stock{
		s.programs - o.programs, s.maps - o.maps, s.links - o.links, s.pins - o.pins,
		s.records - o.records, s.recorded - o.recorded, s.open - o.open, s.resident - o.resident,
	}
}

// residentTarget is how much a process may grow by what its runtime keeps for later, in KiB.
const residentTarget = 1024

// report adds what has grown.
func (s stock) report(to *report.Section, by string) {
	for _, part := range []struct {
		name string
		n    int
		unit string
	}{
		{"programs in the kernel", s.programs, "objects"},
		{"maps in the kernel", s.maps, "objects"},
		{"links in the kernel", s.links, "objects"},
		{"pins", s.pins, "files"},
		{"records", s.records, "files"},
		{"open files", s.open, "files"},
	} {
		to.Add("growth of "+part.name+by, float64(part.n), part.unit).Target(0)
	}
	to.Add("growth of the records' size"+by, float64(s.recorded)/1024, "KiB")
	to.Add("growth of resident memory"+by, float64(s.resident), "KiB").Target(residentTarget)
}
