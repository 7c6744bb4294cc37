package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/server"
)

// Config is what the sources of settings say together.
type Config struct {
	Server server.Options
	Store  Place // of the models; zero: nobody says
	// Snapshots says that what is served is kept, and that what was served before is restored where no file is named.
	Snapshots bool
	Values    []Value  // each setting with where it comes from, and then what is in the file and no setting
	Notes     []string // what was said and does not count, a line each

	base string // the file that the settings were first read from; "": there is none
}

// Place is a directory, and where it was said.
type Place struct{ Path, Origin string }

// Sources are where settings come from. All may be nil.
type Sources struct {
	Flag func(name string) (value string, given bool)
	Env  func(name string) string // empty: not set
	File *File
	// Base is the file that a snapshot, which File is, was made from; nil: none is known. What is secret is read there.
	Base *File
	// TorchServe says that the command line is TorchServe's. Then, as with a file, no model is served that is not named.
	TorchServe bool
}

// State is what becomes of a setting.
type State string

// The states of a setting.
const (
	Used    State = "used"
	Nothing State = "no meaning here"
	Strange State = "unknown"
	Wrong   State = "wrong"
)

// Value is a setting and what it has.
type Value struct {
	Key, Value string
	Origin     string // FILE:LINE, --FLAG, a variable's name, or "default"
	State      State
	What       string // it does, or why it does nothing, or what is wrong with it

	err    error
	inFile bool   // it is from Sources.File
	raw    string // as that has it, its variables not resolved
	secret bool
}

// Given tells whether anyone said it.
func (v Value) Given() bool { return v.Origin != byDefault }

const byDefault = "default"

// hidden is shown in the place of a value that is secret, or may be.
const hidden = "(hidden)"

// Read returns what the sources say. A flag counts more than a variable TSGO_, that more than the file, that more than the
// default. Where the file says enable_envvars_config=true, TorchServe's variables TS_ count more than all of them, as they do
// there. The error is [fault.Invalid] and names each setting that cannot be used and where its value comes from; the other
// settings are read nevertheless.
func Read(s Sources) (*Config, error) {
	if s.Flag == nil {
		s.Flag = func(string) (string, bool) { return "", false }
	}
	if s.Env == nil {
		s.Env = func(string) string { return "" }
	}
	c := &Config{Snapshots: s.File != nil || s.TorchServe, base: s.File.origin()}
	lines, keys := s.File.index()
	from := sources{s, lines}
	var failed []error
	for _, setting := range settings() {
		v := c.read(setting, from)
		c.Values = append(c.Values, v)
		if v.err != nil {
			failed = append(failed, fmt.Errorf("%s (from %s): %w", v.Key, v.Origin, v.err))
		}
	}
	c.Values = append(c.Values, from.strange(keys)...)
	c.tellUnloaded()
	return c, errors.Join(failed...)
}

// tellUnloaded notes that a snapshot stands in the place of models that somebody named.
func (c *Config) tellUnloaded() {
	var named, from Value
	for _, v := range c.Values {
		switch v.Key {
		case "load_models":
			named = v
		case kept:
			from = v
		}
	}
	if c.Server.Restore != nil && named.Given() && !named.inFile {
		c.Notes = append(c.Notes, fmt.Sprintf("%s does not count: %s of %s says what is served", named.Origin, kept, from.Origin))
	}
}

// Base returns the name of the file that the settings of a snapshot were first read from; "": it says none, or this is no
// snapshot.
func (f *File) Base() string {
	lines, _ := f.index()
	p, _ := sources{lines: lines}.says(base)
	return strings.TrimSpace(p.Value)
}

// origin returns the name of the file that the settings of this one were first read from.
func (f *File) origin() string {
	if f == nil {
		return ""
	}
	if lines, _ := f.index(); f.Base() != "" || len(lines[kept]) > 0 {
		return f.Base()
	}
	return f.Name
}

// sources are Sources with the lines of the file, by key.
type sources struct {
	Sources

	lines map[string][]Property
}

// says returns what the file says of a key: its last line.
func (s sources) says(key string) (p Property, ok bool) {
	if all := s.lines[key]; len(all) > 0 {
		return all[len(all)-1], true
	}
	return p, false
}

// secret returns what the file says that a snapshot was made from.
func (s sources) secret(key string) (p Property, ok bool) {
	lines, _ := s.Base.index()
	return sources{lines: lines}.says(key)
}

// read takes one setting out of the sources.
func (c *Config) read(setting Setting, s sources) Value {
	v := Value{Key: setting.Key, Value: setting.Default, Origin: byDefault, State: setting.state, What: setting.Help, secret: setting.secret}
	if setting.Key == "load_models" && (s.File != nil || s.TorchServe) {
		v.Value = "none"
	}
	if p, ok := s.says(setting.Key); ok {
		v.Value, v.Origin = strings.TrimSpace(p.Value), s.File.at(p)
		for _, other := range s.lines[p.Key][:len(s.lines[p.Key])-1] {
			c.Notes = append(c.Notes, fmt.Sprintf("%s of %s does not count: it comes again on line %d", p.Key, s.File.at(other), p.Line))
		}
		v.inFile, v.raw = true, v.Value
		v.Value, v.err = expand(v.Value, s.Env)
	} else if p, ok := s.secret(setting.Key); ok && setting.secret {
		v.Origin = s.Base.at(p)
		v.Value, v.err = expand(strings.TrimSpace(p.Value), s.Env)
	}
	c.override(&v, setting, s)
	if v.err == nil && setting.set != nil && (v.Given() || v.Value != "") {
		v.err = setting.set(c, v.Value)
	}
	if setting.Key == "model_store" && v.Given() {
		c.Store.Origin = v.Origin
	}
	if v.err != nil {
		v.State, v.What = Wrong, v.err.Error()
	}
	if setting.secret && v.Given() {
		v.Value = hidden
	}
	return v
}

// override lets what counts more than the file have its say.
func (c *Config) override(v *Value, setting Setting, s sources) {
	if setting.env != "" && s.Env(setting.env) != "" {
		v.say(s.Env(setting.env), setting.env)
	}
	if setting.flag != "" {
		if value, given := s.Flag(setting.flag); given {
			v.say(value, "--"+setting.flag)
		}
	}
	if setting.torchserve == "" || s.Env(setting.torchserve) == "" {
		return
	}
	for _, key := range setting.gates() {
		if p, _ := s.says(key); !strings.EqualFold(strings.TrimSpace(p.Value), "true") {
			c.Notes = append(c.Notes, fmt.Sprintf("environment variable %s does not count: no config file says %s=true", setting.torchserve, key))
			return
		}
	}
	v.say(s.Env(setting.torchserve), setting.torchserve)
}

// say gives a value from elsewhere than a file.
func (v *Value) say(value, origin string) {
	v.Value, v.Origin, v.err, v.inFile, v.raw = value, origin, nil, false, ""
}

// gates are the keys that have to be true in the file for TorchServe's variable to count.
func (s Setting) gates() []string {
	if s.Key == "allowed_urls" {
		return []string{"enable_envvars_config", "use_env_allowed_urls"}
	}
	return []string{"enable_envvars_config"}
}

// longest is how long a key may be that was meant to be another.
const longest = 64

// strange returns what is in a file and no setting. Its value is not shown: it may be a password under a key that is misspelt.
func (s sources) strange(keys []string) []Value {
	var known []string
	for _, setting := range settings() {
		known = append(known, setting.Key)
	}
	var all []Value
	for _, key := range keys {
		if slices.Contains(known, key) {
			continue
		}
		what := "no setting of TorchServe's or tsgo's"
		if len(key) <= longest {
			what += nearest.Hint(key, known)
		}
		p, _ := s.says(key)
		all = append(all, Value{Key: key, Value: hidden, Origin: s.File.at(p), State: Strange, What: what})
	}
	return all
}
