package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// table is what TorchServe's JSON says of models: by name, version and key.
type table map[string]map[string]map[string]json.RawMessage

// perModel reads the setting models.
func perModel(c *Config, value string) error {
	if value == "" {
		return nil
	}
	var all table
	if err := json.Unmarshal([]byte(value), &all); err != nil {
		return fmt.Errorf(`%w: %w: want {"NAME": {"VERSION": {"batchSize": 4}}}`, fault.Invalid, err)
	}
	return c.tune(all)
}

// tune takes over what is said of each version. It returns [fault.Invalid] with all that is wrong.
func (c *Config) tune(all table) error {
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, version := range slices.Sorted(maps.Keys(all[name])) {
			ref := model.Ref{Name: name, Version: version}
			if err := c.tuneOne(ref, all[name][version]); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", ref, err))
			}
		}
	}
	return errors.Join(failed...)
}

func (c *Config) tuneOne(ref model.Ref, said map[string]json.RawMessage) error {
	var s model.Settings
	var failed []error
	for _, key := range slices.Sorted(maps.Keys(said)) {
		text := strings.Trim(string(said[key]), `"`)
		var err error
		switch key {
		case "minWorkers":
			s.MinWorkers, err = number(text)
		case "maxWorkers":
			s.MaxWorkers, err = number(text)
		case "batchSize":
			s.BatchSize, err = number(text)
		case "maxBatchDelay":
			s.MaxBatchDelay, err = times(text, time.Millisecond)
		case "responseTimeout":
			s.ResponseTimeout, err = times(text, time.Second)
		case "startupTimeout":
			s.StartupTimeout, err = times(text, time.Second)
		case "defaultVersion":
			if strings.EqualFold(text, "true") {
				c.Server.Defaults = append(c.Server.Defaults, ref)
			}
		case "marName": // read before, where it counts
		case "runtimeType", "parallelLevel":
			c.Notes = append(c.Notes, fmt.Sprintf("%s of model %s does not count: each model runs in this process, on the CPU", key, ref))
		default:
			err = fmt.Errorf("%w: no setting of a model%s", fault.Invalid, nearest.Hint(key, []string{
				"minWorkers", "maxWorkers", "batchSize", "maxBatchDelay", "responseTimeout", "startupTimeout", "defaultVersion", "marName",
			}))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", key, err))
		}
	}
	if s.MaxWorkers > 0 && s.MaxWorkers < s.MinWorkers {
		failed = append(failed, fmt.Errorf("%w: minWorkers %d and maxWorkers %d: want no fewer at most than at least", fault.Invalid, s.MinWorkers, s.MaxWorkers))
	}
	if c.Server.Settings == nil {
		c.Server.Settings = map[model.Ref]model.Settings{}
	}
	c.Server.Settings[ref] = s
	return errors.Join(failed...)
}

// number reads a whole number. One that is not above 0 says nothing, as in TorchServe.
func number(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: %s: want a whole number", fault.Invalid, text)
	}
	return max(0, int(n)), nil
}

func times(text string, unit time.Duration) (time.Duration, error) {
	n, err := number(text)
	if err == nil && int64(n) > math.MaxInt64/int64(unit) {
		err = fmt.Errorf("%w: %s: it is too long", fault.Invalid, text)
	}
	return time.Duration(n) * unit, err
}
