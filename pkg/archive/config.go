package archive

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// The largest values that settings take: far beyond sense, and far from running out of numbers or memory.
const (
	maxCount = 1 << 16 // workers, requests in a batch, GPUs
	maxQueue = 1 << 20
	maxText  = 256
)

// setting is one key that a section knows, and what is done with its value.
type setting struct {
	key string
	set func(node ast.Node) error
}

// readConfig reads a model-config.yaml into what MANIFEST.json said.
func (c contents) readConfig(name string, mar Manifest) (Manifest, error) {
	data, err := c.read(name, manifestLimit)
	if err != nil {
		return Manifest{}, c.wrong(name, err)
	}
	top, err := parseYAML(bytes.TrimPrefix(data, []byte("\ufeff")))
	if err != nil {
		return Manifest{}, c.wrongLine(name, err)
	}
	m := mar
	if err := readSection(top, m.settings()); err != nil {
		return Manifest{}, c.wrongLine(name, err)
	}
	if m.MaxWorkers > 0 && m.MinWorkers > m.MaxWorkers {
		return Manifest{}, c.wrong(name, fmt.Errorf("minWorkers is %d, more than maxWorkers with %d", m.MinWorkers, m.MaxWorkers))
	}
	for _, identity := range []struct {
		is   *string
		said string
	}{{&m.Name, mar.Name}, {&m.Version, mar.Version}, {&m.SerializedFile, mar.SerializedFile}, {&m.Handler, mar.Handler}} {
		if identity.said != "" {
			*identity.is = identity.said
		}
	}
	return m, nil
}

// wrongLine is wrong with the line that the error knows.
func (c contents) wrongLine(name string, err error) error {
	if in, ok := errors.AsType[*placeError](err); ok {
		return fmt.Errorf("%w: %s/%s:%d: %w", fault.BadModel, c.source, name, in.line, err)
	}
	return c.wrong(name, err)
}

// readSection hands each key of a map to its setting. A key without one is an error that names the nearest.
func readSection(node ast.Node, known []setting) error {
	all, err := entries(node)
	if err != nil {
		return err
	}
	for _, e := range all {
		s, ok := find(known, e.key)
		if !ok {
			return at(e.node, fmt.Errorf("unknown key %q%s", e.key, hint(e.key, known)))
		}
		if err := s.set(e.value); err != nil {
			return under(e, err)
		}
	}
	return nil
}

func find(known []setting, key string) (setting, bool) {
	for _, s := range known {
		if s.key == key {
			return s, true
		}
	}
	return setting{}, false
}

func hint(key string, known []setting) string {
	keys := make([]string, len(known))
	for i, s := range known {
		keys[i] = s.key
	}
	return nearest.Hint(key, keys)
}

// settings are the keys at the top of a model-config.yaml: TorchServe's, and two sections of our own.
func (m *Manifest) settings() []setting {
	const day, longest = 24 * time.Hour / time.Millisecond, math.MaxInt32
	ignore := func(key string, check func(ast.Node) error) setting {
		return setting{key, func(node ast.Node) error {
			m.Ignored = append(m.Ignored, key)
			return check(node)
		}}
	}
	return []setting{
		{"model", m.setModel},
		{"handler", m.setHandler},
		{"minWorkers", whole(&m.MinWorkers, 1, maxCount)},
		{"maxWorkers", whole(&m.MaxWorkers, 0, maxCount)},
		{"batchSize", whole(&m.BatchSize, 1, maxCount)},
		{"jobQueueSize", whole(&m.QueueSize, 0, maxQueue)},
		{"maxBatchDelay", duration(&m.MaxBatchDelay, time.Millisecond, 0, int64(day))},
		{"responseTimeout", duration(&m.ResponseTimeout, time.Second, 1, longest)},
		{"startupTimeout", duration(&m.StartupTimeout, time.Second, 1, longest)},
		{"clientTimeoutInMills", duration(&m.ClientTimeout, time.Millisecond, 0, longest)},
		{"useJobTicket", truth(&m.UseJobTicket)},
		{"deviceType", oneOf(&m.DeviceType, "cpu", "gpu")},
		ignore("deviceIds", wholes),
		ignore("parallelType", oneOf(new(string), "pp", "tp", "pptp", "custom")),
		ignore("parallelLevel", whole(new(int), 0, maxCount)),
		ignore("torchrun", section),
		ignore("maxRetryTimeoutInSec", whole(new(int), 0, longest)),
		ignore("continuousBatching", truth(new(bool))),
		ignore("sequenceBatching", truth(new(bool))),
		ignore("sequenceMaxIdleMSec", whole(new(int), 0, longest)),
		ignore("sequenceTimeoutMSec", whole(new(int), 0, longest)),
		ignore("maxSequenceJobQueueSize", whole(new(int), 1, maxQueue)),
		ignore("maxNumSequence", whole(new(int), 1, maxQueue)),
		ignore("asyncCommunication", truth(new(bool))),
		ignore("useVenv", truth(new(bool))),
		ignore("pt2", anything),
		ignore("micro_batching", anything),
		ignore("deepspeed", anything),
		ignore("pippy", anything),
	}
}

func (m *Manifest) setModel(node ast.Node) error {
	return readSection(node, []setting{
		{"name", named(&m.Name)},
		{"version", named(&m.Version)},
		{"serializedFile", line(&m.SerializedFile)},
		{"handler", line(&m.Handler)},
		{"labels", line(&m.Labels)},
	})
}

// setHandler takes a handler's settings as they are. TorchServe's own "profile" is not one of them.
func (m *Manifest) setHandler(node ast.Node) error {
	if _, ok := node.(*ast.StringNode); ok {
		return fmt.Errorf("want a map with the handler's settings, not %s: the handler's name goes to model: handler", shown(node))
	}
	if _, err := entries(node); err != nil {
		return err
	}
	got, err := value(node, 0)
	if err != nil {
		return err
	}
	config, _ := got.(map[string]any)
	if _, ok := config["profile"]; ok {
		m.Ignored = append(m.Ignored, "handler.profile")
		config = maps.Clone(config)
		delete(config, "profile")
	}
	m.HandlerConfig = config
	return nil
}

// integer reads a whole number between least and most.
func integer(node ast.Node, least, most int64) (int64, error) {
	if !plain(node) {
		return 0, errPlain
	}
	if node, ok := node.(*ast.IntegerNode); ok {
		if n, err := integerValue(node); err == nil && n.(int64) >= least && n.(int64) <= most {
			return n.(int64), nil
		}
	}
	return 0, fmt.Errorf("want a whole number from %d to %d, not %s", least, most, shown(node))
}

func whole(to *int, least, most int64) func(ast.Node) error {
	return func(node ast.Node) error {
		n, err := integer(node, least, most)
		*to = int(n)
		return err
	}
}

func wholes(node ast.Node) error {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		return fmt.Errorf("want a list of whole numbers, not %s", shown(node))
	}
	for _, item := range list.Values {
		if _, err := integer(item, 0, maxCount); err != nil {
			return at(item, err)
		}
	}
	return nil
}

func duration(to *time.Duration, unit time.Duration, least, most int64) func(ast.Node) error {
	return func(node ast.Node) error {
		n, err := integer(node, least, most)
		if err != nil {
			name := map[time.Duration]string{time.Second: "seconds", time.Millisecond: "milliseconds"}[unit]
			return fmt.Errorf("%w, in %s", err, name)
		}
		*to = time.Duration(n) * unit
		return nil
	}
}

func truth(to *bool) func(ast.Node) error {
	return func(node ast.Node) error {
		b, ok := node.(*ast.BoolNode)
		if !ok {
			return fmt.Errorf("want true or false, not %s", shown(node))
		}
		*to = b.Value
		return nil
	}
}

func oneOf(to *string, allowed ...string) func(ast.Node) error {
	return func(node ast.Node) error {
		s, ok := node.(*ast.StringNode)
		for _, word := range allowed {
			if ok && s.Value == word {
				*to = word
				return nil
			}
		}
		return fmt.Errorf("want %s, not %s", strings.Join(allowed, ", "), shown(node))
	}
}

// line reads a text. What YAML takes for a number is taken as it was written: version 1.10 is not 1.1.
func line(to *string) func(ast.Node) error {
	return func(node ast.Node) error {
		var s string
		switch node := node.(type) {
		case *ast.StringNode:
			s = node.Value
		case *ast.IntegerNode, *ast.FloatNode:
			s = node.GetToken().Value
		default:
			return fmt.Errorf("want a text, not %s", shown(node))
		}
		if s == "" || !printable(s) {
			return fmt.Errorf("want a text of 1 to %d printable characters, not %.40q", maxText, s)
		}
		*to = s
		return nil
	}
}

func named(to *string) func(ast.Node) error {
	return func(node ast.Node) error {
		if err := line(to)(node); err != nil {
			return err
		}
		if !word.MatchString(*to) {
			return fmt.Errorf("%.40q: %s", *to, wordRule)
		}
		return nil
	}
}

func section(node ast.Node) error {
	_, err := entries(node)
	return err
}

func anything(ast.Node) error { return nil }

func printable(s string) bool {
	return len(s) <= maxText && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// ConfigKeys returns the keys that the top of a model-config.yaml may have, for whoever documents them.
func ConfigKeys() []string {
	var keys []string
	for _, s := range new(Manifest).settings() {
		keys = append(keys, s.key)
	}
	return keys
}
