// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLogToStderr(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct{ conf, want string }{
		{`{}`, "W E "},
		{`{"logLevel": "debug"}`, "W E "},
		{`{"logLevel": "error"}`, "E "},
		{`{"logFile": "/nonexistent/log"}`, "logFile W E "},
		{`{"logFile": "relative.log"}`, "W E "},
		{`{"logFile": 1, "logLevel": "error"}`, "E "},
		{`broken`, "W E "},
	} {
		var stderr bytes.Buffer
		log, done := openLog([]byte(tt.conf), &stderr)
		log.Debug("D")
		log.Info("I")
		log.Warn("W")
		log.Error("E")
		done()
		var got strings.Builder
		for line := range strings.Lines(stderr.String()) {
			for _, word := range []string{"logFile", "msg=D", "msg=I", "msg=W", "msg=E"} {
				if strings.Contains(line, word) {
					fmt.Fprint(&got, strings.TrimPrefix(word, "msg="), " ")
					break
				}
			}
		}
		if got.String() != tt.want {
			t.Errorf("%s: stderr has %q, want %q:\n%s", tt.conf, got.String(), tt.want, stderr.String())
		}
	}
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
		t.Errorf("files in the working directory: %v, %v", files, err)
	}
}

// Verbs of many pods append to one file at once; no line is lost or torn.
func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xdp-chain.log")
	const verbs = 50
	var wg sync.WaitGroup
	for range verbs {
		wg.Go(func() {
			log, done := openLog([]byte(`{"logFile": "`+path+`"}`), os.Stderr)
			defer done()
			log.Debug("not at this level")
			log.Info("done", "filler", strings.Repeat("x", 5000))
		})
	}
	wg.Wait()
	lines := bytes.Split(bytes.TrimSpace(readFile(t, path)), []byte("\n"))
	if len(lines) != verbs {
		t.Errorf("%d lines, want %d", len(lines), verbs)
	}
	for _, line := range lines {
		var record struct{ Msg string }
		if err := json.Unmarshal(line, &record); err != nil || record.Msg != "done" {
			t.Errorf("line %.100s…: %v", line, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("log file: %v, %v; want mode 0600", info.Mode(), err)
	}
}

// A log that nobody reads must not keep a verb waiting, least of all DEL.
func TestLogFileThatIsNone(t *testing.T) {
	unread, read := filepath.Join(t.TempDir(), "unread"), filepath.Join(t.TempDir(), "read")
	for _, fifo := range []string{unread, read} {
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := os.OpenFile(read, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, path := range []string{unread, read, "/dev/full", t.TempDir()} {
		told := make(chan string, 1)
		go func() {
			var stderr bytes.Buffer
			log, done := openLog([]byte(`{"logFile": "`+path+`"}`), &stderr)
			defer done()
			for range 1000 {
				log.Error("filler", "filler", strings.Repeat("x", 100))
			}
			told <- stderr.String()
		}()
		select {
		case stderr := <-told:
			if lines := strings.Count(stderr, "\n"); lines != 1001 || !strings.Contains(stderr, path) {
				t.Errorf("%s: %d lines on stderr, want 1000 and one that names it", path, lines)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: still waiting", path)
		}
	}
}
