package archive

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

// marInfo is what is read of MAR-INF/MANIFEST.json. Whatever else is in it is between the archiver and TorchServe.
type marInfo struct {
	Runtime text `json:"runtime"`
	Model   struct {
		Name             text `json:"modelName"`
		Version          text `json:"modelVersion"`
		SerializedFile   text `json:"serializedFile"`
		Handler          text `json:"handler"`
		Envelope         text `json:"envelope"`
		ConfigFile       text `json:"configFile"`
		RequirementsFile text `json:"requirementsFile"`
	} `json:"model"`
}

// text is a string in JSON, for which TorchServe takes a number too.
type text string

// UnmarshalJSON reads a string, a number or null.
func (t *text) UnmarshalJSON(data []byte) error {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	switch value := value.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(value)
	case json.Number:
		*t = text(value)
	default:
		return fmt.Errorf("want a string, not %.40q", data)
	}
	return nil
}

// readMAR reads MAR-INF/MANIFEST.json, where there is one. It returns the name of the YAML that it refers to as well.
func (c contents) readMAR() (m Manifest, configFile string, err error) {
	if !c.has(marManifest) {
		return Manifest{}, "", nil
	}
	data, err := c.read(marManifest, manifestLimit)
	if err != nil {
		return Manifest{}, "", c.wrong(marManifest, err)
	}
	var info marInfo
	if err := parseJSON(data, &info); err != nil {
		return Manifest{}, "", c.wrong(marManifest, err)
	}
	m, err = info.manifest()
	if err != nil {
		return Manifest{}, "", c.wrong(marManifest, err)
	}
	if info.Model.ConfigFile == "" {
		return m, "", nil
	}
	configFile, err = inside(string(info.Model.ConfigFile))
	if err != nil {
		return Manifest{}, "", c.wrong(marManifest, fmt.Errorf("configFile %q: %w", info.Model.ConfigFile, err))
	}
	return m, configFile, c.checkFile("configFile", configFile)
}

// runtimes are what TorchServe knows as one. None of them means anything here.
func runtimes() []string { return []string{"python", "python3", "LSP"} }

func (i marInfo) manifest() (Manifest, error) {
	m := Manifest{
		Name: string(i.Model.Name), Version: string(i.Model.Version), Runtime: string(i.Runtime),
		SerializedFile: string(i.Model.SerializedFile), Handler: string(i.Model.Handler),
	}
	if m.Runtime != "" && !slices.Contains(runtimes(), m.Runtime) {
		return m, fmt.Errorf("runtime %q: want python, python3 or LSP", m.Runtime)
	}
	if m.Name != "" && !word.MatchString(m.Name) {
		return m, fmt.Errorf("modelName %q: %s", m.Name, wordRule)
	}
	if m.Version != "" && !word.MatchString(m.Version) {
		return m, fmt.Errorf("modelVersion %q: %s", m.Version, wordRule)
	}
	if !printable(m.Handler) {
		return m, fmt.Errorf("handler %q: want at most %d printable characters", m.Handler, maxText)
	}
	if i.Model.Envelope != "" {
		m.Ignored = append(m.Ignored, "envelope")
	}
	if i.Model.RequirementsFile != "" {
		m.Ignored = append(m.Ignored, "requirementsFile")
	}
	return m, nil
}

// wrong is an error about one file of the model.
func (c contents) wrong(file string, err error) error {
	return fmt.Errorf("%w: %s/%s: %w", fault.BadModel, c.source, file, err)
}

// parseJSON reads one JSON value, and says in which line it is wrong.
func parseJSON(data []byte, into any) error {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("it is empty")
	}
	err := json.Unmarshal(data, into)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("line %d: it is not JSON: %w", line, err)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: want an object (\"key\": value), not %s", cmp.Or(wrong.Field, "the top"), wrong.Value)
	}
	return err
}
