package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/nearest"
)

// The files that say what a model is, and how large they may be.
const (
	marManifest   = "MAR-INF/MANIFEST.json"
	configName    = "model-config.yaml"
	manifestLimit = 64 << 10
	labelsLimit   = 16 << 20
)

// DefaultVersion is the version of a model that says none.
const DefaultVersion = "1.0"

// Manifest is what a model says of itself. It is put together from MAR-INF/MANIFEST.json and model-config.yaml, of which
// either may be missing. Where both speak of the name, the version, the network or the handler, MANIFEST.json is right,
// as it is for TorchServe; labels and settings come from the YAML alone.
type Manifest struct {
	Name           string // never empty: else the name of the file or directory
	Version        string // never empty: else [DefaultVersion]
	SerializedFile string // the network, a path with slashes below the model's directory
	Handler        string // empty where nothing was said
	Labels         string // the file of the labels; empty where there is none
	Runtime        string // MANIFEST.json's: python, python3, LSP or empty

	// HandlerConfig is the section "handler", as it was written: nil, bool, int64, float64, string, []any and
	// map[string]any. It is nil where there is none.
	HandlerConfig map[string]any

	// What follows are TorchServe's settings. Zero means that nothing was said.
	MinWorkers, MaxWorkers, BatchSize, QueueSize                  int
	MaxBatchDelay, ResponseTimeout, StartupTimeout, ClientTimeout time.Duration
	UseJobTicket                                                  bool
	DeviceType                                                    string // cpu, gpu or empty

	// Ignored names the settings that are right for TorchServe and mean nothing here, sorted.
	Ignored []string

	// Guessed is true where nothing was said of the handler, so that how an input becomes a tensor has to be guessed.
	Guessed bool
}

// word is what the names and versions of models are made of.
var word = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}$`)

const wordRule = `want letters, digits, _ . + and -, at most 128, of which the first is a letter, a digit or _`

// NameOf returns the name of a model that lies at path and says none itself: that of the file or directory, without the
// ending, and "_" for what may not be in a name.
func NameOf(path string) string { return nameFrom(baseName(path)) }

// bareManifest is what can be said of a network alone. Files beside it are not read: a downloads directory has a
// labels.txt of something else soon enough.
func bareManifest(source string) Manifest {
	return Manifest{
		Name: NameOf(source), Version: DefaultVersion, SerializedFile: path.Base(strings.ReplaceAll(source, `\`, "/")), Guessed: true,
	}
}

// nameFrom makes a model's name of a file's: what may not be in it becomes "_".
func nameFrom(base string) string {
	name := []byte{}
	for _, r := range base {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_',
			(r == '-' || r == '.') && len(name) > 0:
			name = append(name, byte(r))
		default:
			name = append(name, '_')
		}
	}
	if len(name) == 0 {
		return "_"
	}
	return string(name[:min(len(name), 128)])
}

// manifest puts together what the files say, and checks that what they name is there.
func (c contents) manifest(source string) (Manifest, error) {
	m, configFile, err := c.readMAR()
	if err != nil {
		return Manifest{}, about(PartManifest, err)
	}
	said := c.has(marManifest)
	if configFile == "" {
		configFile = c.findConfig()
	}
	if configFile != "" {
		said = true
		if m, err = c.readConfig(configFile, m); err != nil {
			return Manifest{}, about(PartSettings, err)
		}
	}
	if m.Name == "" {
		m.Name = NameOf(source)
	}
	if m.Version == "" {
		m.Version = DefaultVersion
	}
	m.Guessed = m.Handler == ""
	slices.Sort(m.Ignored)
	m.Ignored = slices.Compact(m.Ignored)
	if err := c.findNetwork(&m, said); err != nil {
		return Manifest{}, about(PartNetwork, err)
	}
	return m, about(PartLabels, c.findLabels(&m))
}

func (c contents) findConfig() string {
	for _, name := range []string{configName, "model-config.yml"} {
		if c.has(name) {
			return name
		}
	}
	return ""
}

// findNetwork checks the network that the manifest names, or finds the only one.
func (c contents) findNetwork(m *Manifest, said bool) error {
	networks := c.top(".onnx")
	switch {
	case m.SerializedFile != "":
		return c.checkSerialized(m, networks)
	case len(networks) == 1:
		m.SerializedFile = networks[0]
		return c.checkFile("the network", m.SerializedFile)
	case len(networks) > 1:
		return fmt.Errorf("%w: %s holds several networks (%s): say which one with serializedFile in the section model of %s",
			fault.BadModel, c.source, strings.Join(networks, ", "), configName)
	}
	for name, why := range c.odd {
		if strings.EqualFold(path.Ext(name), ".onnx") {
			return fmt.Errorf("%w: %s/%s: %s", fault.BadModel, c.source, name, why)
		}
	}
	held := c.python(m)
	if said && held != "" || len(c.weights()) > 0 {
		return c.refusePython(held)
	}
	if kind := torchZip(c.names()); kind != "" {
		return fmt.Errorf("%w: %s is no archive of a model, it holds %s itself: %s", fault.Unsupported, c.source, kind, export)
	}
	if !said {
		return fmt.Errorf("%w: %s is no model: %w", fault.BadModel, c.source, ErrNotModel)
	}
	return fmt.Errorf("%w: %s holds no .onnx file: put the network beside the manifest", fault.BadModel, c.source)
}

func (c contents) checkSerialized(m *Manifest, networks []string) error {
	name, err := inside(m.SerializedFile)
	if err != nil {
		return fmt.Errorf("%w: %s: serializedFile %q: %w", fault.BadModel, c.source, m.SerializedFile, err)
	}
	m.SerializedFile = name
	if strings.EqualFold(path.Ext(name), ".onnx") {
		return c.checkFile("serializedFile", name)
	}
	if len(networks) > 0 {
		return fmt.Errorf("%w: %s: serializedFile %q is not in ONNX, %q is: name that one", fault.Unsupported, c.source, name, networks[0])
	}
	if held := c.python(m); held != "" {
		return c.refusePython(held)
	}
	return fmt.Errorf("%w: %s: serializedFile %q is not in ONNX: want a name that ends in .onnx", fault.Unsupported, c.source, name)
}

// checkFile returns an error unless the file is there and holds something.
func (c contents) checkFile(what, name string) error {
	if why := c.odd[name]; why != "" {
		return fmt.Errorf("%w: %s: %s %q: %s", fault.BadModel, c.source, what, name, why)
	}
	size, ok := c.sizes[name]
	switch {
	case !ok:
		return fmt.Errorf("%w: %s: %s %q: no such file%s", fault.BadModel, c.source, what, name, nearest.Hint(name, c.names()))
	case size == 0:
		return fmt.Errorf("%w: %s: %s %q is empty", fault.BadModel, c.source, what, name)
	}
	return nil
}

func (c contents) weights() []string { return c.top(torchEndings()...) }

func isTorch(ending string) bool { return slices.Contains(torchEndings(), ending) }

// torchEndings are how the files end that PyTorch's weights are usually in.
func torchEndings() []string {
	return []string{".pt", ".pth", ".pt2", ".bin", ".safetensors", ".ckpt", ".so"}
}

// python says which parts of a model only PyTorch can run, or "".
func (c contents) python(m *Manifest) string {
	var held []string
	weights := c.weights()
	if name := m.SerializedFile; isTorch(strings.ToLower(path.Ext(name))) && !slices.Contains(weights, name) {
		weights = append(weights, name)
	}
	if len(weights) > 0 {
		held = append(held, fmt.Sprintf("PyTorch weights (%s)", strings.Join(c.quotedKinds(weights), ", ")))
	}
	file, _, function := strings.Cut(m.Handler, ":")
	file = strings.TrimSuffix(file, ".py") + ".py"
	if code := slices.DeleteFunc(c.top(".py"), func(name string) bool { return name == file }); len(code) > 0 {
		held = append(held, fmt.Sprintf("Python code (%s)", strings.Join(quoted(code), ", ")))
	}
	if m.Handler != "" && (function || file == m.Handler || c.has(file)) {
		held = append(held, fmt.Sprintf("a Python handler (%q)", m.Handler))
	}
	return strings.Join(held, " and ")
}

func (c contents) refusePython(held string) error {
	return fmt.Errorf("%w: %s holds %s and no .onnx: %s", fault.Unsupported, c.source, held, export)
}

// findLabels checks the labels that the manifest names, or finds the usual ones.
func (c contents) findLabels(m *Manifest) error {
	if m.Labels == "" {
		for _, name := range []string{"labels.txt", "index_to_name.json"} {
			if c.has(name) || c.odd[name] != "" {
				m.Labels = name
				return c.checkFile("the labels", name)
			}
		}
		return nil
	}
	name, err := inside(m.Labels)
	if err != nil {
		return fmt.Errorf("%w: %s: labels %q: %w", fault.BadModel, c.source, m.Labels, err)
	}
	m.Labels = name
	return c.checkFile("labels", name)
}

// inside returns name as a clean path below the model's directory.
func inside(name string) (string, error) {
	clean := path.Clean(name)
	if strings.Contains(name, `\`) || !fs.ValidPath(clean) || clean == "." {
		return "", errors.New("want a path below the model's directory, with slashes")
	}
	return clean, nil
}

// quotedKinds is quoted, with what the files hold as far as that is known.
func (c contents) quotedKinds(names []string) []string {
	all := quoted(names)
	for i, name := range names {
		if c.sniff == nil {
			continue
		}
		if kind := c.sniff(name).what; kind != "" {
			all[i] += ": " + kind
		}
	}
	return all
}

func quoted(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = fmt.Sprintf("%q", name)
	}
	return all
}
