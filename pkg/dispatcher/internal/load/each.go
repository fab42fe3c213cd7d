// SPDX-License-Identifier: Apache-2.0

package load

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls do with 0 to n-1, several at a time, and returns the error of the
// lowest: members take a few system calls each, and a pod waits for them.
func Each(n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int32
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				errs[i] = do(i)
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
