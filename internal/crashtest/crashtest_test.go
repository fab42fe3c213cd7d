// SPDX-License-Identifier: Apache-2.0

package crashtest_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
)

const folders = 3

func TestMain(m *testing.M) {
	crashtest.Child(map[string]func() error{"folders": func() error {
		for i := range folders {
			if err := os.Mkdir(filepath.Join(os.Getenv("WHERE"), strconv.Itoa(i)), 0o700); err != nil {
				return err
			}
		}
		return nil
	}})
	m.Run()
}

func TestAtEachKillsBeforeEachChange(t *testing.T) {
	var where string
	link := filepath.Join(t.TempDir(), "where")
	var left []int
	crashtest.AtEach(t, "folders", []string{"WHERE=" + link}, func(t *testing.T) {
		where = t.TempDir()
		_ = os.Remove(link) // of the subtest before
		if err := os.Symlink(where, link); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T) {
		entries, err := os.ReadDir(where)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, len(entries))
	})
	if len(left) != folders+1 {
		t.Fatalf("%d runs leave %v folders; want %d runs", len(left), left, folders+1)
	}
	for i, n := range left {
		if n != i {
			t.Errorf("run %d left %d folders, want %d", i, n, i)
		}
	}
}
