package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/fault"
)

// defaultConfig is the file that is read where none is named.
const defaultConfig = "config.properties"

// configFile returns the file of settings that counts: TorchServe's variable names it, or the flag, or it lies here. It
// returns nil where there is none.
func configFile(s streams, flag string) (*config.File, error) {
	path := s.env("TS_CONFIG_FILE")
	if path == "" {
		path = flag
	}
	if path == "" {
		if _, err := os.Stat(defaultConfig); errors.Is(err, os.ErrNotExist) {
			return nil, nil //nolint:nilnil // a server needs no file
		}
		path = defaultConfig
	}
	return config.Load(path)
}

func newConfig(s streams, g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at the settings of a server",
		Args:  cobra.ArbitraryArgs,
		RunE:  group,
	}
	o := configOptions{globals: g, streams: s}
	cmd.AddCommand(&cobra.Command{
		Use:   "check [FILE]",
		Short: "Tell what a config.properties does here, key by key",
		Long: `Tell what a server has for each setting, where that comes from (a line of the file, a variable of the environment, the
default), and what it does, or why it does nothing. FILE is TorchServe's config.properties; without it, the file that 'tsgo
serve' would read.

The exit status is 2 where a value cannot be used, or a key is unknown.`,
		Example: `  tsgo config check
  tsgo config check /etc/torchserve/config.properties -o json`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error { return o.check(strings.Join(args, "")) },
	})
	return cmd
}

type configOptions struct {
	*globals
	streams
}

// checked is what tsgo config check tells.
type checked struct {
	File     string    `json:"file,omitempty"`
	Settings []checkup `json:"settings"`
	Notes    []string  `json:"notes,omitempty"`
	Errors   int       `json:"errors"`
}

type checkup struct {
	Key   string       `json:"key"`
	Value string       `json:"value"`
	From  string       `json:"from"`
	State config.State `json:"state"`
	What  string       `json:"what"`
}

func (o *configOptions) check(path string) error {
	format, err := o.format(o.streams)
	if err != nil {
		return err
	}
	var file *config.File
	if path != "" {
		file, err = config.Load(path)
	} else {
		file, err = configFile(o.streams, "")
	}
	if err != nil {
		return err
	}
	c, _ := config.Read(config.Sources{Env: o.env, File: file}) // what is wrong is in the values
	told := checked{Notes: append(c.Notes, config.Unknown(o.environ(), append(clientVariables(), "TSGO_ONNXRUNTIME")...)...)}
	if file != nil {
		told.File = file.Name
	}
	for _, v := range c.Values {
		if !v.Given() && v.State != config.Used {
			continue // nobody said it, and it would do nothing
		}
		told.Settings = append(told.Settings, checkup{v.Key, v.Value, v.Origin, v.State, v.What})
		if v.State == config.Wrong || v.State == config.Strange {
			told.Errors++
		}
	}
	if err := told.write(o, format); err != nil {
		return err
	}
	if told.Errors > 0 {
		return fmt.Errorf("%w: %d settings are wrong or unknown", fault.Invalid, told.Errors)
	}
	return nil
}

func (c checked) write(o *configOptions, format string) error {
	if format == outputJSON {
		return writeJSON(o.out, c)
	}
	rows := make([][]string, len(c.Settings))
	for i, s := range c.Settings {
		what := oneLine(errors.New(s.What))
		if s.State != config.Used {
			what = string(s.State) + ": " + what
		}
		rows[i] = []string{s.Key, short(s.Value), s.From, what}
	}
	if err := table(o.out, []string{"key", "value", "from", "what"}, rows); err != nil {
		return err
	}
	for _, note := range c.Notes {
		if _, err := fmt.Fprintln(o.out, note); err != nil {
			return fmt.Errorf("write a table: %w", err)
		}
	}
	return nil
}

// short returns a value as a cell of a table can have it.
func short(value string) string {
	const most = 40
	value = strings.Join(strings.Fields(value), " ")
	if runes := []rune(value); len(runes) > most {
		value = string(runes[:most-1]) + "…"
	}
	return value
}
