// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// TellingLines is how much of a verifier's log is kept: the instructions that led
// to the refusal and the refusal itself.
const TellingLines = 12

// Try loads a program for the sake of the answer.
func Try(spec *ebpf.ProgramSpec) error {
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return err
	}
	return p.Close()
}

// Blame words the error of a member that does not load: a
// [dispatcher.RefusedError] if it comes from the verifier.
func Blame(member string, err error) error {
	var refused *ebpf.VerifierError
	if !errors.As(err, &refused) {
		return fmt.Errorf("loading member %q: %w", member, err)
	}
	return &dispatcher.RefusedError{Member: member, Log: telling(refused.Log), Err: refused.Cause}
}

// Permission puts [dispatcher.ErrNotPermitted] around EPERM that is not the
// verifier's. The verifier's comes with a log.
func Permission(err error) error {
	var refused *ebpf.VerifierError
	if !errors.Is(err, unix.EPERM) || errors.As(err, &refused) && len(refused.Log) > 0 {
		return err
	}
	return fmt.Errorf("%w: %w", dispatcher.ErrNotPermitted, err)
}

// Reason returns the last line of a verifier's log that is about the program.
func Reason(refused *ebpf.VerifierError) string {
	lines := telling(refused.Log)
	if len(lines) == 0 {
		return "its log is empty"
	}
	return lines[len(lines)-1]
}

// telling returns the last lines of a verifier's log that are about the program.
func telling(log []string) []string {
	var lines []string
	for _, line := range log {
		line = strings.TrimSpace(line)
		if line == "" || isStatistics(line) {
			continue
		}
		lines = append(lines, line)
	}
	return lines[max(0, len(lines)-TellingLines):]
}

// isStatistics reports whether a line is one of those that the verifier ends its
// log with whatever the outcome (print_verification_stats).
func isStatistics(line string) bool {
	for _, prefix := range []string{"processed ", "verification time ", "stack depth "} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
