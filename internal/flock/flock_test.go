// SPDX-License-Identifier: Apache-2.0

package flock

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// open opens a folder as another process would: the lock goes with the open file.
func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestTry(t *testing.T) {
	path := t.TempDir()
	for _, tt := range []struct {
		first, second Kind
		free          bool
	}{
		{Shared, Shared, true},
		{Shared, Exclusive, false},
		{Exclusive, Shared, false},
		{Exclusive, Exclusive, false},
	} {
		first, second := open(t, path), open(t, path)
		if err := Try(first, tt.first); err != nil {
			t.Fatal(err)
		}
		err := Try(second, tt.second)
		var taken *TakenError
		if tt.free && err != nil || !tt.free && (!errors.As(err, &taken) || taken.Cause != nil) {
			t.Errorf("a lock of kind %d beside one of kind %d: %v", tt.second, tt.first, err)
		}
		first.Close()
		second.Close()
	}
}

func TestWaitEndsWithTheHolder(t *testing.T) {
	path := t.TempDir()
	holder, waiter := open(t, path), open(t, path)
	if err := Try(holder, Exclusive); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(3*longestPause, func() { holder.Close() })
	start := time.Now()
	if err := Wait(t.Context(), waiter, Exclusive); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(start); waited < 3*longestPause {
		t.Errorf("it was locked after %v, while its holder had it", waited)
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	path := t.TempDir()
	holder, waiter := open(t, path), open(t, path)
	if err := Try(holder, Exclusive); err != nil {
		t.Fatal(err)
	}
	why := errors.New("nobody wants it any more")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*longestPause, why)
	defer cancel()
	err := Wait(ctx, waiter, Shared)
	var taken *TakenError
	if !errors.As(err, &taken) || !errors.Is(err, why) {
		t.Errorf("got %v, want a TakenError of %v", err, why)
	}
}

func TestWhatCannotBeLocked(t *testing.T) {
	f := open(t, t.TempDir())
	f.Close()
	if err := Wait(t.Context(), f, Exclusive); err == nil || errors.As(err, new(*TakenError)) {
		t.Errorf("a closed file: %v", err)
	}
}
