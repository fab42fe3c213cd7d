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
