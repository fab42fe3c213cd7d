// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// tracee is a child: its process, which is also its first thread and the only one
// of its process group to begin with. By the group its threads can be waited for
// without taking away the ends of other children.
type tracee int

// stop is what wait4(2) tells of one thread.
type stop struct {
	thread int
	unix.WaitStatus
}

// wait returns the next thing that happens to any of the child's threads.
func (p tracee) wait() (s stop, err error) {
	for {
		// The calling thread is the tracer of them all.
		s.thread, err = unix.Wait4(-int(p), &s.WaitStatus, unix.WALL|unix.WNOTHREAD, nil)
		if !errors.Is(err, unix.EINTR) {
			return s, err
		}
	}
}

// over tells whether the child has come to its end. The kernel reports the end of
// the first thread after those of all others.
func (p tracee) over(s stop) bool { return s.thread == int(p) && (s.Exited() || s.Signaled()) }

func (p tracee) kill() error {
	if err := unix.Kill(int(p), unix.SIGKILL); err != nil {
		return err
	}
	for {
		if s, err := p.wait(); err != nil || p.over(s) {
			return err
		}
	}
}

// follow lets the child's threads go from change to change, where its filter stops
// them, until the nth, and kills the child there, or until it ends. A change on any
// thread waits for the tracer at its beginning, so no other one is begun meanwhile.
func (p tracee) follow(n int) (before string, ended bool, err error) {
	s, err := p.wait() // its exec
	if err != nil {
		return "", false, err
	}
	if err := unix.PtraceSetOptions(int(p), unix.PTRACE_O_TRACESECCOMP|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return "", false, err
	}
	known := make(map[int]bool)
	for {
		if err := resume(s, known); err != nil {
			return "", false, err
		}
		if s, err = p.wait(); err != nil {
			return "", false, err
		}
		if p.over(s) {
			if s.Exited() && s.ExitStatus() == 0 {
				return "", true, nil
			}
			return "", false, fmt.Errorf("child ended: exit status %d, %v", s.ExitStatus(), s.Signal())
		}
		what, err := s.change(int(p))
		if err != nil {
			return "", false, err
		}
		if what == "" {
			continue
		}
		if n == 0 {
			return what, false, p.kill()
		}
		n--
	}
}

// change returns the name of the change of the given process before which a thread
// has stopped, or nothing where it has stopped for something else.
func (s stop) change(pid int) (string, error) {
	if !s.Stopped() || s.TrapCause() != unix.PTRACE_EVENT_SECCOMP {
		return "", nil
	}
	call, ok, err := called(s.thread)
	if err != nil || !ok {
		return "", err
	}
	return changing[call.nr](pid, call), nil
}

// resume lets a thread that has stopped go on, with the signal that it has stopped
// for, if that is the child's own.
func resume(s stop, known map[int]bool) error {
	signal := 0
	switch {
	case s.Exited(), s.Signaled():
		delete(known, s.thread)
		return nil
	case !known[s.thread]:
		known[s.thread] = true // stopped by the kernel where it begins
	case s.Stopped() && s.TrapCause() <= 0: // no event of ptrace's own
		signal = int(s.StopSignal())
	}
	err := unix.PtraceCont(s.thread, signal)
	if errors.Is(err, unix.ESRCH) { // another thread has ended the process
		return nil
	}
	return err
}
