// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
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

// openCatalog reads the catalog, where it is needed; else there is none.
func (p *program) openCatalog() (*catalog.Catalog, error) {
	if p.entry == "" {
		return nil, nil
	}
	c, err := catalog.Open(p.catalogDir)
	return c, failed(err)
}

// globalValues are the values as JSON.
func (p *program) globalValues() (map[string]json.RawMessage, error) {
	return assignments("--global", p.globals, func(text string) (json.RawMessage, error) {
		if json.Valid([]byte(text)) {
			return json.RawMessage(text), nil
		}
		return json.Marshal(text)
	})
}

func (p *program) mapSettings() (map[string]config.MapSettings, error) {
	return assignments("--map", p.maps, func(text string) (config.MapSettings, error) {
		var s config.MapSettings
		err := strict.JSON([]byte(text), &s, strict.Options{Document: "the settings"})
		if errors.As(err, new(*strict.SyntaxError)) {
			err = fmt.Errorf(`it is not JSON: %w; give an object such as {"maxEntries": 100, "entries": [{"key": 1, "value": 2}]}`, err)
		}
		return s, err
	})
}
