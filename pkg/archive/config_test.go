package archive_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
)

// inspect reads a directory with this model-config.yaml and one network.
func inspect(t *testing.T, config string) (archive.Manifest, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dir")
	info, err := archive.Inspect(write(t, dir, file{"model-config.yaml", config}, file{"net.onnx", "network"}))
	return info.Manifest, err
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for config, words := range map[string][]string{
		"batchsize: 3":                           {"model-config.yaml:1: unknown key \"batchsize\", did you mean \"batchSize\"?"},
		"\n\nwhatever: 3":                        {":3: unknown key \"whatever\""},
		"model:\n  name: x\n  serialisedFile: y": {":3: model: unknown key \"serialisedFile\", did you mean \"serializedFile\"?"},
		"minWorkers: 0":                          {":1: minWorkers: want a whole number from 1 to 65536, not 0"},
		"batchSize: -1":                          {"batchSize: want a whole number from 1 to 65536, not -1"},
		"batchSize: 1.5":                         {"batchSize: want a whole number", "not 1.5"},
		"batchSize: \"8\"":                       {"batchSize: want a whole number", `not "8"`},
		"batchSize:":                             {"batchSize: want a whole number", "not nothing"},
		"batchSize: [1]":                         {"batchSize: want a whole number", "not a list"},
		"batchSize: {a: 1}":                      {"batchSize: want a whole number", "not a map"},
		"batchSize: 99999999999999999999":        {"batchSize: want a whole number"},
		"batchSize: |\n  1\n  2\n":               {"not a text of several lines"},
		"a: 1\na: 2":                             {":2: it is not YAML", "already defined"},
		"maxBatchDelay: 86400001":                {"maxBatchDelay: want a whole number from 0 to 86400000, not 86400001, in milliseconds"},
		"responseTimeout: 0":                     {"responseTimeout: want a whole number from 1 to 2147483647, not 0, in seconds"},
		"minWorkers: 5\nmaxWorkers: 4":           {"minWorkers is 5, more than maxWorkers with 4"},
		"useJobTicket: yes":                      {"useJobTicket: want true or false, not \"yes\""},
		"deviceType: tpu":                        {"deviceType: want cpu, gpu, not \"tpu\""},
		"deviceIds: 0":                           {"deviceIds: want a list of whole numbers, not 0"},
		"deviceIds:\n- 0\n- one":                 {":3: deviceIds: want a whole number", `not "one"`},
		"parallelType: x":                        {"parallelType: want pp, tp, pptp, custom"},
		"torchrun: 3":                            {"torchrun: want a map (key: value), not 3"},
		"sequenceBatching: 1":                    {"sequenceBatching: want true or false, not 1"},
		"maxNumSequence: 0":                      {"maxNumSequence: want a whole number from 1"},
		"model: resnet":                          {"model: want a map (key: value), not \"resnet\""},
		"model: {name: a/b}":                     {"model.name: \"a/b\": want letters"},
		"model: {version: -1}":                   {"model.version: \"-1\": want letters"},
		"model: {name: \"\"}":                    {"model.name: want a text of 1 to 256"},
		"model: {name: [x]}":                     {"model.name: want a text, not a list"},
		"model: {handler: \"a\\nb\"}":            {"model.handler: want a text of 1 to 256 printable"},
		"handler: image_classifier":              {"handler: want a map with the handler's settings", "goes to model: handler"},
		"handler: [1]":                           {"handler: want a map (key: value), not a list"},
		"handler:\n  a: &x 1\n  b: *x":           {":2: handler: anchors, aliases, merge keys and tags are not read"},
		"handler:\n  <<: {a: 1}":                 {":2: handler: anchors"},
		"handler:\n  ? a\n  : b":                 {"handler: anchors"},
		"handler:\n  a: !!str 1":                 {":2: handler: anchors"},
		"handler: *x":                            {"handler: anchors"},
		"batchSize: &x 1":                        {"batchSize: anchors"},
		"handler:\n  a: .inf":                    {":2: handler: want a finite number"},
		"handler:\n  a: 18446744073709551615":    {":2: handler: the number is too large"},
		"just words":                             {":1: want a map (key: value), not \"just words\""},
		"- a\n- b":                               {"want a map (key: value), not a list"},
		"a: [1":                                  {":1: it is not YAML"},
		"\tbatchSize: 1":                         {":1: it is not YAML"},
		"batchSize: 1\n---\nbatchSize: 2":        {":3: want one YAML document, not several"},
		"handler: {a: " + strings.Repeat("[", 60_000) + "}":      {":1: brackets are nested more than 64 deep"},
		"handler:\n  a:\n    " + strings.Repeat("- ", 100) + "1": {":3: handler: values are nested more than 64 deep"},
	} {
		t.Run(fmt.Sprintf("%.30q", config), func(t *testing.T) {
			t.Parallel()
			_, err := inspect(t, config)
			checkError(t, err, fault.BadModel, append(words, "dir/model-config.yaml")...)
		})
	}
}

func TestEveryKeyOfTorchServe(t *testing.T) {
	t.Parallel()
	got, err := inspect(t, `
parallelType: pp
parallelLevel: 2
torchrun: {nnodes: 1, rdzv-backend: c10d, OMP_NUMBER_THREADS: 3}
maxRetryTimeoutInSec: 300
continuousBatching: false
sequenceBatching: true
sequenceMaxIdleMSec: 10
sequenceTimeoutMSec: 20
maxSequenceJobQueueSize: 5
maxNumSequence: 6
asyncCommunication: true
useVenv: true
pt2: inductor
micro_batching: {mb_size: 4}
deepspeed: {config: ds.json}
pippy: {chunks: 1}
deviceType: gpu
handler: {profile: true}
`)
	want := archive.Manifest{
		Name: "dir", Version: "1.0", SerializedFile: "net.onnx", HandlerConfig: map[string]any{}, Guessed: true, DeviceType: "gpu",
		Ignored: []string{
			"asyncCommunication", "continuousBatching", "deepspeed", "handler.profile", "maxNumSequence", "maxRetryTimeoutInSec",
			"maxSequenceJobQueueSize", "micro_batching", "parallelLevel", "parallelType", "pippy", "pt2", "sequenceBatching",
			"sequenceMaxIdleMSec", "sequenceTimeoutMSec", "torchrun", "useVenv",
		},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestQuietConfigs(t *testing.T) {
	t.Parallel()
	want := archive.Manifest{Name: "dir", Version: "1.0", SerializedFile: "net.onnx", Guessed: true}
	for _, config := range []string{"", "# nothing\n", "---\n", "model:\nhandler:\n", "{}", "\ufeff# with a mark\n"} {
		got, err := inspect(t, config)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", config, err, diff)
		}
	}
}

func TestIdentityIsMANIFESTs(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(),
		file{"MAR-INF/MANIFEST.json", `{
			"createdOn": "01/02/2024 03:04:05", "runtime": "python3", "archiverVersion": "0.12.0",
			"model": {
				"modelName": "json", "modelVersion": 2.10, "serializedFile": "json.onnx", "handler": "image_classifier",
				"configFile": "mine.yaml", "envelope": "body", "requirementsFile": "r.txt", "extensions": "a,b"
			}}`},
		file{"mine.yaml", "batchSize: 2\nmodel: {name: yaml, version: 1, serializedFile: yaml.onnx, handler: base_handler, labels: l.txt}"},
		file{"model-config.yaml", "batchSize: 3"}, file{"json.onnx", "x"}, file{"yaml.onnx", "x"}, file{"l.txt", "a"},
	)
	got, err := archive.Inspect(dir)
	want := archive.Manifest{
		Name: "json", Version: "2.10", SerializedFile: "json.onnx", Handler: "image_classifier", Labels: "l.txt", Runtime: "python3",
		BatchSize: 2, Ignored: []string{"envelope", "requirementsFile"},
	}
	if diff := cmp.Diff(want, got.Manifest); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestYAMLFillsWhatMANIFESTLeaves(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(),
		file{"MAR-INF/MANIFEST.json", `{"model": {"modelName": "json", "handler": null}}`},
		file{"model-config.yml", "model: {name: yaml, version: 3, serializedFile: ./b.onnx, handler: base_handler}"},
		file{"a.onnx", "x"}, file{"b.onnx", "x"},
	)
	got, err := archive.Inspect(dir)
	want := archive.Manifest{Name: "json", Version: "3", SerializedFile: "b.onnx", Handler: "base_handler"}
	if diff := cmp.Diff(want, got.Manifest); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// A handler in Python beside a network is for the layers above: they know whether they have one of that name.
func TestPythonHandlerWithNetwork(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(),
		file{"MAR-INF/MANIFEST.json", `{"model": {"modelName": "x", "handler": "mine.py:go"}}`}, file{"mine.py", "x"}, file{"a.onnx", "x"})
	got, err := archive.Inspect(dir)
	if err != nil || got.Manifest.Handler != "mine.py:go" || got.Manifest.Guessed {
		t.Errorf("%+v, %v", got.Manifest, err)
	}
}
