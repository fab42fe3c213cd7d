// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	type parsed struct {
		Kernels  string
		Packages []string
		Args     []string
		CPUs     int
	}
	all := seriesOf(kernels)
	for _, tt := range []struct {
		args []string
		want parsed
	}{
		{nil, parsed{all, suites, nil, 2}},
		{[]string{"-kernel", "6.12,5.10", "-cpus", "4"}, parsed{"6.12,5.10", suites, []string{}, 4}},
		{[]string{"-packages", "./a  ./b", "--", "-test.v"}, parsed{all, []string{"./a", "./b"}, []string{"-test.v"}, 2}},
		{[]string{"-icount", "true", "-x"}, parsed{all, nil, []string{"true", "-x"}, 1}},
	} {
		o, err := parse(tt.args)
		if err != nil {
			t.Errorf("%q: %v", tt.args, err)
		}
		if diff := cmp.Diff(tt.want, parsed{seriesOf(o.kernels), o.packages, o.args, o.cpus}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.args, diff)
		}
	}
	for _, args := range [][]string{{"-kernel", "6.2"}, {"-file", "a"}, {"-file", "=a"}, {"-file", "a="}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestFilesOfAGuest(t *testing.T) {
	o, err := parse([]string{"-file", "here/a=bin/a", "-file", "/b=/c/../b", "true"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{guestRoot + "/bin/a": "here/a", "/b": "/b"}, o.files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
