package archive_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/fault"
)

// foreignFiles are models in the formats of others, and what is no model.
func foreignFiles(t *testing.T) map[string]struct {
	data, word string
	kind       fault.Kind
} {
	t.Helper()
	torch := func(names ...string) string {
		var files []file
		for _, name := range names {
			files = append(files, file{"net/" + name, "x"})
		}
		return string(zipped(t, files...))
	}
	return map[string]struct {
		data, word string
		kind       fault.Kind
	}{
		"TorchScript":  {torch("data.pkl", "constants.pkl", "code/__torch__.py"), "a TorchScript model", fault.Unsupported},
		"state dict":   {torch("data.pkl", "version", "data/0"), "weights that torch.save has written", fault.Unsupported},
		"torch.export": {torch("archive_format", "models/model.json"), "a program of torch.export", fault.Unsupported},
		"pickle":       {"\x80\x02]q\x00.", "pickled Python objects", fault.Unsupported},
		"library":      {"\x7fELF\x02\x01\x01", "a shared library", fault.Unsupported},
		"Keras":        {"\x89HDF\r\n\x1a\n", "a Keras model", fault.Unsupported},
		"TFLite":       {"\x1c\x00\x00\x00TFL3\x00\x00", "a TensorFlow Lite model", fault.Unsupported},
		"safetensors":  {"\x02\x00\x00\x00\x00\x00\x00\x00{}  ", "weights in safetensors", fault.Unsupported},
		"web page":     {"<!DOCTYPE html>", "a web page", fault.BadModel},
		"zip":          {string(zipped(t, file{"a.txt", "x"})), "a zip", fault.BadModel},
		"cut zip":      {"PK\x03\x04 and no more", "a zip that is cut off", fault.BadModel},
	}
}

// A model in another format is told by what it holds, wherever it lies, and what to do is said with it.
func TestForeignModels(t *testing.T) {
	t.Parallel()
	for name, test := range foreignFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, t.TempDir(),
				file{"alone.pt", test.data}, file{"alone.onnx", test.data}, file{"dir/net.onnx", test.data}, file{"weights/net.pt", test.data},
				file{"m.mar", string(zipped(t, file{"net.onnx", test.data}))}, file{"w.mar", string(zipped(t, file{"net.pt", test.data}))},
			)
			words := []string{test.word}
			if test.kind == fault.Unsupported {
				words = append(words, "torch.onnx.export", "tsgo help archives")
			}
			for _, path := range []string{"alone.pt", "alone.onnx", "dir", "m.mar"} {
				_, err := open(t, filepath.Join(dir, path), archive.Limits{})
				checkError(t, err, test.kind, append(words, path)...)
			}
			for _, path := range []string{"weights", "w.mar"} { // there, the name says that it is PyTorch's
				_, err := open(t, filepath.Join(dir, path), archive.Limits{})
				checkError(t, err, fault.Unsupported, `"net.pt": `+test.word, "torch.onnx.export", path)
			}
		})
	}
}

func TestForeignNames(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), file{"net.pth", "x"}, file{"handler.py", "x"}, file{"notes.txt", "x"}, file{"script.mar", foreignFiles(t)["TorchScript"].data})
	for name, words := range map[string][]string{
		"net.pth":    {"PyTorch weights, by its name", "torch.onnx.export"},
		"handler.py": {"is Python, which does not run here"},
		"notes.txt":  {"is no model: want a directory"},
		"script.mar": {"is no archive of a model, it holds a TorchScript model itself"},
	} {
		kind := fault.Unsupported
		if name == "notes.txt" {
			kind = fault.BadModel
		}
		_, err := open(t, filepath.Join(dir, name), archive.Limits{})
		checkError(t, err, kind, append(words, name)...)
	}
}

// FuzzForeign: whatever a file holds, finding out ends, and a refusal is one clean line.
func FuzzForeign(f *testing.F) {
	f.Add([]byte("PK\x03\x04"))
	f.Add(zipped(f, file{"net/data.pkl", "x"}, file{"net/constants.pkl", "x"}))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\x7f{}"))
	f.Add([]byte("\x80\x05."))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := write(t, t.TempDir(), file{"net.onnx", string(data)}, file{"net.pt", string(data)})
		for _, name := range []string{"net.onnx", "net.pt"} {
			m, err := archive.Open(t.Context(), filepath.Join(dir, name), archive.Options{})
			if err == nil {
				err = m.Close()
				if err != nil || !strings.HasSuffix(name, ".onnx") {
					t.Errorf("%s: opened, and %v", name, err)
				}
				continue
			}
			checkRefusal(t, err)
		}
	})
}
