// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/strict"
)

// program is what the flags say of a program to run: where it comes from, and what is
// set in it.
type program struct {
	object, entry, function string
	globals, maps           []string
	catalogDir              string
}

// addProgram gives a subcommand the flags that name a program.
func addProgram(cmd *cobra.Command) *program {
	p := &program{}
	flags := cmd.Flags()
	flags.StringVar(&p.object, "object", "", "BPF object `file` to take it from")
	flags.StringVar(&p.entry, "program", "", "`name` of a catalog entry, such as a built-in program, to take")
	flags.StringVar(&p.function, "function", "", "which `program` of an object that holds several")
	flags.StringArrayVar(&p.globals, "global", nil, "set a global variable, as `NAME=VALUE`: JSON if it is JSON, else a string; may be repeated")
	flags.StringArrayVar(&p.maps, "map", nil, `settings of a map, as `+"`NAME=JSON`"+`, such as rules={"maxEntries": 100}; may be repeated`)
	flags.StringVar(&p.catalogDir, "catalog", config.DefaultCatalogDir, "`folder` of the catalog's files")
	return p
}

// check returns nil where there is one source, and makes its path absolute.
func (p *program) check() (err error) {
	switch {
	case p.object == "" && p.entry == "":
		return errors.New("which program? Give --object with a file, or --program with a name of the catalog, such as --program count")
	case p.object != "" && p.entry != "":
		return errors.New("--object and --program exclude each other; --function takes one of several programs of an object")
	case p.object != "":
		p.object, err = filepath.Abs(p.object)
	}
	return err
}

// read reads what the flags say, as a replacement has it.
func (p *program) read() (resolve.Replacement, error) {
	if err := p.check(); err != nil {
		return resolve.Replacement{}, err
	}
	r := resolve.Replacement{Object: p.object, Entry: p.entry, Function: p.function}
	var err error
	if p.entry != "" { // else there is no need of a catalog
		if r.Catalog, err = catalog.Open(p.catalogDir); err != nil {
			return r, failed(err)
		}
	}
	if r.Globals, err = assignments("--global", p.globals, readGlobal); err != nil {
		return r, err
	}
	r.Maps, err = assignments("--map", p.maps, readMapSettings)
	return r, err
}

// assignments reads the NAME=VALUE of a flag that may be repeated; nil for none.
func assignments[V any](flag string, texts []string, read func(value string) (V, error)) (map[string]V, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	set := make(map[string]V, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s %q is no assignment; give it as NAME=VALUE", flag, text)
		}
		if _, twice := set[name]; twice {
			return nil, fmt.Errorf("%s sets %s twice; which one counts would be a guess", flag, name)
		}
		v, err := read(value)
		if err != nil {
			return nil, render.InEachLine(flag+" "+name, err)
		}
		set[name] = v
	}
	return set, nil
}

// readGlobal reads JSON if it is JSON, and else a string.
func readGlobal(text string) (json.RawMessage, error) {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text), nil
	}
	return json.Marshal(text)
}

func readMapSettings(text string) (config.MapSettings, error) {
	var s config.MapSettings
	err := strict.JSON([]byte(text), &s, strict.Options{Document: "the settings"})
	if errors.As(err, new(*strict.SyntaxError)) {
		err = fmt.Errorf(`it is not JSON: %w; give an object such as {"maxEntries": 100, "entries": [{"key": 1, "value": 2}]}`, err)
	}
	return s, err
}
