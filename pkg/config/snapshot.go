package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/server"
)

// kept is the setting that holds the models of a snapshot, and base the one that names the file which the settings of a
// snapshot were first read from: what is secret in it is not copied, but read there again.
const (
	kept = "model_snapshot"
	base = "tsConfigFile"
)

// document is the value of model_snapshot.
type document struct {
	Name       string                      `json:"name"`
	ModelCount int                         `json:"modelCount"`
	Created    int64                       `json:"created"` // milliseconds since 1970
	Models     map[string]map[string]entry `json:"models"`
}

// entry is one version in it. What comes after the runtime's type is tsgo's own, and TorchServe reads over it.
type entry struct {
	Default         bool   `json:"defaultVersion"`
	File            string `json:"marName"`
	MinWorkers      *int   `json:"minWorkers,omitempty"` // nil: not known
	MaxWorkers      *int   `json:"maxWorkers,omitempty"`
	BatchSize       int    `json:"batchSize"`
	MaxBatchDelay   int64  `json:"maxBatchDelay"`   // milliseconds
	ResponseTimeout int64  `json:"responseTimeout"` // seconds
	StartupTimeout  int64  `json:"startupTimeout"`  // seconds
	RuntimeType     string `json:"runtimeType"`

	DeviceType string `json:"deviceType"`
	AtStartup  bool   `json:"loadedAtStartup"`
	Archive    string `json:"archive,omitempty"` // where marName alone does not say it
	URL        string `json:"modelUrl,omitempty"`
	Handler    string `json:"handler,omitempty"`
	Runtime    string `json:"runtime,omitempty"`
}

// Snapshot returns what makes the content of a snapshot, for [server.Snapshots]: the settings that somebody said, and what is
// served, so that [Read] makes the same of it. What is secret is not in it: a variable of the environment is named and not
// resolved, and a password is left where it was said. Nor are settings that mean nothing here, and load_models, in whose
// place model_snapshot stands. The version is the program's.
func (c *Config) Snapshot(version string) func(name string, at time.Time, served []server.Kept) ([]byte, error) {
	var head bytes.Buffer
	property(&head, "version", version)
	if path, err := filepath.Abs(c.base); err == nil && c.base != "" {
		property(&head, base, path)
	}
	for _, v := range c.Values {
		if text, ok := v.keep(); ok {
			property(&head, v.Key, text)
		}
	}
	return func(name string, at time.Time, served []server.Kept) ([]byte, error) {
		text, err := encode(name, at, served)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		fmt.Fprintf(&out, "#%s\n", at.Format(time.UnixDate))
		out.Write(head.Bytes())
		property(&out, kept, text) // the last one: a file that was cut off has none that can be read
		if out.Len() > maxFile/2 { // some room for the first line
			return nil, fmt.Errorf("%w: snapshot of %d versions: it has more than %d bytes", fault.TooLarge, len(served), maxFile/2)
		}
		return out.Bytes(), nil
	}
}

// keep returns a setting's value as a snapshot has it, and whether it has it.
func (v Value) keep() (text string, ok bool) {
	switch {
	case !v.Given(), v.State == Nothing, v.State == Strange, v.State == Wrong, v.secret:
		return "", false
	case slices.Contains([]string{"load_models", kept, base}, v.Key):
		return "", false
	case v.raw == "" && variable.MatchString(v.Value): // it would be taken for a variable's name
		return "", false
	case v.Key == "allowed_urls":
		return withoutCredentials(cmp.Or(v.raw, v.Value)), true
	case v.Key == "model_store" && !variable.MatchString(v.raw): // the next server may be started elsewhere
		if path, err := filepath.Abs(v.Value); err == nil {
			return path, true
		}
	}
	return cmp.Or(v.raw, v.Value), true
}

// withoutCredentials returns a list of patterns of URLs without those that name a user or a query, which may be secret: a
// URL with a user is not fetched, and one with a query is written out where it is known.
func withoutCredentials(patterns string) string {
	parts := slices.DeleteFunc(strings.Split(patterns, ","), func(p string) bool {
		_, rest, ok := strings.Cut(p, "://")
		if !ok {
			rest = p
		}
		authority, _, _ := strings.Cut(rest, "/")
		return strings.Contains(authority, "@") || strings.Contains(rest, "=")
	})
	return strings.Join(parts, ",")
}

func encode(name string, at time.Time, served []server.Kept) (string, error) {
	d := document{Name: name, Created: at.UnixMilli(), Models: map[string]map[string]entry{}}
	for _, k := range served {
		if d.Models[k.Ref.Name] == nil {
			d.Models[k.Ref.Name] = map[string]entry{}
		}
		d.Models[k.Ref.Name][k.Ref.Version] = entryOf(k)
	}
	d.ModelCount = len(d.Models)
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	to.SetIndent("", "  ")
	if err := to.Encode(d); err != nil {
		return "", fmt.Errorf("encode the models: %w", err)
	}
	return strings.TrimSpace(text.String()), nil
}

func entryOf(k server.Kept) entry {
	e := entry{
		Default: k.Default, File: k.Archive, BatchSize: k.BatchSize, RuntimeType: cmp.Or(k.Runtime, "python"), DeviceType: "cpu",
		MaxBatchDelay: units(k.MaxBatchDelay, time.Millisecond), ResponseTimeout: units(k.ResponseTimeout, time.Second),
		StartupTimeout: units(k.StartupTimeout, time.Second),
		AtStartup:      k.AtStartup, URL: k.URL, Handler: k.Handler, Runtime: k.Runtime,
	}
	if k.Workers != nil {
		e.MinWorkers, e.MaxWorkers = &k.Workers.Min, &k.Workers.Max
	}
	if filepath.IsAbs(k.Archive) {
		e.File, e.Archive = filepath.Base(k.Archive), k.Archive
	}
	return e
}

// units returns a time in whole units: what is begun counts, so that no time that is set becomes none.
func units(d, unit time.Duration) int64 { return int64((d + unit - 1) / unit) }

// restored reads the setting model_snapshot: what was served, and from which files.
func restored(c *Config, value string) error {
	if value == "" {
		return nil
	}
	var all struct{ Models table }
	if err := json.Unmarshal([]byte(value), &all); err != nil {
		return fmt.Errorf(`%w: %w: want {"models": {"NAME": {"VERSION": {"marName": "FILE"}}}}`, fault.Invalid, err)
	}
	c.Server.All, c.Server.Models, c.Server.Restore = false, nil, []server.Kept{}
	var failed []error
	unknown := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(all.Models)) {
		for _, version := range slices.Sorted(maps.Keys(all.Models[name])) {
			ref := model.Ref{Name: name, Version: version}
			k, err := keptOf(ref, all.Models[name][version], unknown)
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", ref, err))
			}
			c.Server.Restore = append(c.Server.Restore, k)
		}
	}
	if len(c.Server.Restore) == 0 {
		c.Notes = append(c.Notes, kept+" has no models: none are served")
	}
	if keys := slices.Sorted(maps.Keys(unknown)); len(keys) > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("%.200s of models in %s does not count", strings.Join(keys, ", "), kept))
	}
	return errors.Join(failed...)
}

// keptOf reads one version of a snapshot. A key that is unknown does not count: another release wrote it.
func keptOf(ref model.Ref, said map[string]json.RawMessage, unknown map[string]bool) (server.Kept, error) {
	k := server.Kept{Ref: ref, AtStartup: true} // TorchServe does not say
	var least, most int
	var file string
	read := map[string]func(json.RawMessage) error{
		"defaultVersion":  truth(&k.Default),
		"loadedAtStartup": truth(&k.AtStartup),
		"marName":         words(&file),
		"archive":         words(&k.Archive),
		"modelUrl":        words(&k.URL),
		"handler":         words(&k.Handler),
		"runtime":         words(&k.Runtime),
		"minWorkers":      count(&least),
		"maxWorkers":      count(&most),
		"batchSize":       count(&k.BatchSize),
		"maxBatchDelay":   span(&k.MaxBatchDelay, time.Millisecond),
		"responseTimeout": span(&k.ResponseTimeout, time.Second),
		"startupTimeout":  span(&k.StartupTimeout, time.Second),
		"runtimeType":     words(new(string)), // there is one
		"deviceType":      words(new(string)), // there is one
	}
	var failed []error
	for _, key := range slices.Sorted(maps.Keys(said)) {
		take, known := read[key]
		if !known {
			unknown[key] = true
			continue
		}
		if err := take(said[key]); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", key, err))
		}
	}
	if _, ok := said["minWorkers"]; ok {
		k.Workers = &model.Scale{Min: least, Max: max(least, most)}
	}
	if k.Archive = cmp.Or(k.Archive, file); k.Archive == "" && len(failed) == 0 {
		failed = append(failed, fmt.Errorf("%w: it has no marName, the file in the model store", fault.Invalid))
	}
	return k, errors.Join(failed...)
}

func truth(to *bool) func(json.RawMessage) error {
	return func(text json.RawMessage) error {
		switch strings.ToLower(strings.Trim(string(text), `"`)) {
		case "true":
			*to = true
		case "false":
			*to = false
		default:
			return fmt.Errorf("%w: %s: want true or false", fault.Invalid, text)
		}
		return nil
	}
}

func words(to *string) func(json.RawMessage) error {
	return func(text json.RawMessage) error {
		if err := json.Unmarshal(text, to); err != nil {
			return fmt.Errorf("%w: %s: want a text", fault.Invalid, text)
		}
		return nil
	}
}

func count(to *int) func(json.RawMessage) error {
	return func(text json.RawMessage) (err error) {
		*to, err = number(strings.Trim(string(text), `"`))
		return err
	}
}

func span(to *time.Duration, unit time.Duration) func(json.RawMessage) error {
	return func(text json.RawMessage) (err error) {
		*to, err = times(strings.Trim(string(text), `"`), unit)
		return err
	}
}

// Damaged returns why the file that the settings are from is no snapshot that a server can go on with; nil: it is one. What
// is wrong elsewhere is not its fault.
func (c *Config) Damaged() error {
	found := false
	for _, v := range c.Values {
		switch {
		case v.inFile && v.err != nil:
			return fmt.Errorf("%s (from %s): %w", v.Key, v.Origin, v.err)
		case v.inFile && v.Key == kept && v.Value != "":
			found = true
		}
	}
	if !found {
		return fmt.Errorf("%w: it has no %s: it was cut off, or it is no snapshot", fault.Invalid, kept)
	}
	return nil
}

// property writes a line as java.util.Properties does.
func property(out *bytes.Buffer, key, value string) {
	escape(out, key, true)
	out.WriteByte('=')
	escape(out, value, false)
	out.WriteByte('\n')
}

func escape(out *bytes.Buffer, text string, key bool) {
	for i, r := range text {
		switch at := strings.IndexRune("\t\n\r\f", r); {
		case at >= 0:
			out.WriteByte('\\')
			out.WriteByte("tnrf"[at])
		case strings.ContainsRune(`\=:#!`, r), r == ' ' && (key || i == 0):
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < ' ' || r > '~':
			for _, unit := range utf16.AppendRune(nil, r) {
				fmt.Fprintf(out, `\u%04X`, unit)
			}
		default:
			out.WriteRune(r)
		}
	}
}
