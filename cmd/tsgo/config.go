package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tsgo/tsgo/pkg/config"
	"github.com/tsgo/tsgo/pkg/fault"
)

// defaultConfig is the file that is read where none is named.
const defaultConfig = "config.properties"

// configFile returns the file of settings that is named, by TorchServe's variable or by the flag, or else lies here. It
// returns nil where there is none.
func configFile(s streams, flag string) (file *config.File, named bool, err error) {
	path := cmp.Or(s.env("TS_CONFIG_FILE"), flag)
	if path == "" {
		if _, err := os.Stat(defaultConfig); errors.Is(err, os.ErrNotExist) {
			return nil, false, nil
		}
		file, err = config.Load(defaultConfig)
		return file, false, err
	}
	file, err = config.Load(path)
	return file, true, err
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
	s := o.streams
	if path != "" { // the variable names another one
		s.env = func(name string) string {
			if name == "TS_CONFIG_FILE" {
				return ""
			}
			return o.env(name)
		}
	}
	c, err := readSettings(s, config.Sources{Env: o.env}, path)
	if c.Config == nil {
		return err
	} // else what is wrong is in the values
	told := checked{Notes: slices.Concat(c.damaged, c.Notes, config.Unknown(o.environ(), append(clientVariables(), "TSGO_ONNXRUNTIME")...))}
	if c.file != nil {
		told.File = c.file.Name
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
	return told.wrong()
}

// wrong returns what is wrong or unknown, by name; nil where nothing is.
func (c checked) wrong() error {
	var keys []string
	for _, s := range c.Settings {
		if s.State == config.Wrong || s.State == config.Strange {
			keys = append(keys, s.Key)
		}
	}
	switch len(keys) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%w: a setting is wrong or unknown: %s", fault.Invalid, keys[0])
	}
	return fmt.Errorf("%w: %d settings are wrong or unknown: %s", fault.Invalid, len(keys), strings.Join(keys, ", "))
}

func (c checked) write(o *configOptions, format string) error {
	if format == outputJSON {
		return writeJSON(o.out, c)
	}
	if err := c.settings(o.streams); err != nil {
		return err
	}
	for _, note := range c.Notes {
		if _, err := fmt.Fprintln(o.out, note); err != nil {
			return fmt.Errorf("write a table: %w", err)
		}
	}
	return nil
}

// settings writes a row for each setting.
func (c checked) settings(s streams) error {
	rows := make([][]string, len(c.Settings))
	for i, setting := range c.Settings {
		what := oneLine(errors.New(setting.What))
		if setting.State != config.Used {
			what = string(setting.State) + ": " + what
		}
		rows[i] = []string{setting.Key, cmp.Or(short(setting.Value), "-"), setting.From, what}
	}
	return s.table([]string{"key", "value", "from", "what"}, rows)
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
