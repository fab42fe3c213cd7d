// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// call is one line of our plugin's logFile: a verb and how it ended.
type call struct {
	Verb        string
	ContainerID string
	Outcome     string // ok, error
	Code        uint
	Msg         string
	Details     string
	Duration    duration
}

// text is the error in full, as the CNI library hands it on.
func (c *call) text() string {
	if c.Details == "" {
		return c.Msg
	}
	return c.Msg + "; " + c.Details
}

// duration is how long a verb took, by its own clock.
type duration time.Duration

// UnmarshalText reads what time.Duration prints.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// calls lists the calls of a verb that have ended. Those for one pod have its id;
// "" is any pod's.
func calls(t *testing.T, verb, id string) (found []call) {
	t.Helper()
	content, err := os.ReadFile(pluginLog)
	if err != nil && !os.IsNotExist(err) { // nothing was called yet
		t.Fatal(err)
	}
	lines := json.NewDecoder(bytes.NewReader(content))
	for lines.More() {
		var c call
		if err := lines.Decode(&c); err != nil {
			t.Fatalf("reading the plugin's log: %v", err)
		}
		// Other lines, such as a warning, have no outcome.
		if c.Verb == verb && c.Outcome != "" && (id == "" || c.ContainerID == id) {
			found = append(found, c)
		}
	}
	return found
}
