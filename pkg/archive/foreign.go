package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tsgo/tsgo/pkg/fault"
)

// export says what to do with a model that only PyTorch can run.
const export = "export the model with torch.onnx.export (one of TorchScript with dynamo=False) and pack the .onnx with " +
	"one of the built-in handlers; 'tsgo help archives' tells how"

// content is what a file holds that is no network in ONNX.
type content struct {
	what  string // as in "it holds a TorchScript model"; empty where nothing is known, which may well be ONNX
	model bool   // in another form, from which it can be exported
}

// foreign tells by its content what a file holds.
func foreign(r io.ReaderAt, size int64) content {
	head := make([]byte, min(size, 512))
	if _, err := r.ReadAt(head, 0); err != nil {
		return content{}
	}
	starts := func(with string) bool { return bytes.HasPrefix(head, []byte(with)) }
	switch {
	case starts("PK\x03\x04"):
		return foreignZip(r, size)
	case len(head) > 1 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5:
		return content{"pickled Python objects, such as weights that torch.save has written", true}
	case starts("\x7fELF"):
		return content{"a shared library, such as AOTInductor makes", true}
	case starts("\x89HDF\r\n"):
		return content{"a Keras model", true}
	case len(head) > 8 && string(head[4:8]) == "TFL3":
		return content{"a TensorFlow Lite model", true}
	case len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) < uint64(size):
		return content{"weights in safetensors", true}
	case starts("<"):
		return content{"a web page, perhaps in the place of what was to be fetched", false}
	}
	return content{}
}

func foreignZip(r io.ReaderAt, size int64) content {
	z, _ := zip.NewReader(r, size) // of a zip with odd names there is one nevertheless
	if z == nil {
		return content{"a zip that is cut off", false}
	}
	names := make([]string, len(z.File))
	for i, file := range z.File {
		names[i] = file.Name
	}
	if kind := torchZip(names); kind != "" {
		return content{kind, true}
	}
	return content{"a zip", false}
}

// torchZip tells by the files in it which of PyTorch's zips this is, "" for none.
func torchZip(names []string) string {
	found := map[string]bool{}
	for _, name := range names {
		found[path.Base(name)] = true
		found[path.Base(path.Dir(name))+"/"] = true
	}
	switch {
	case found["constants.pkl"] && found["data.pkl"]:
		return "a TorchScript model"
	case found["data.pkl"]:
		return "weights that torch.save has written"
	case found["serialized_exported_program.json"], found["archive_format"] && found["models/"]:
		return "a program of torch.export"
	}
	return ""
}

// sniff tells what a file of the directory holds.
func sniff(root *os.Root, name string) content {
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return content{}
	}
	defer func() { _ = file.Close() }()
	stat, err := file.Stat()
	if err != nil || !stat.Mode().IsRegular() {
		return content{}
	}
	return foreign(file, stat.Size())
}

// notModel is the error for a file whose name is none of a model.
func notModel(file string) error {
	const want = "want a directory, an .onnx, a .mar or a .tar.gz"
	var held content
	if root, err := os.OpenRoot(filepath.Dir(file)); err == nil {
		held = sniff(root, filepath.Base(file))
		_ = root.Close()
	}
	ending := strings.ToLower(filepath.Ext(file))
	switch {
	case held.model:
		return fmt.Errorf("%w: %s holds %s: %s", fault.Unsupported, file, held.what, export)
	case ending == ".py":
		return fmt.Errorf("%w: %s is Python, which does not run here: %s", fault.Unsupported, file, export)
	case held.what != "":
		return fmt.Errorf("%w: %s is no model, it holds %s: %s", fault.BadModel, file, held.what, want)
	case isTorch(ending):
		return fmt.Errorf("%w: %s holds PyTorch weights, by its name: %s", fault.Unsupported, file, export)
	}
	return fmt.Errorf("%w: %s is no model: %s", fault.BadModel, file, want)
}

// checkForeign refuses a network's file that holds something else.
func checkForeign(source, name string, file fs.File) error {
	stat, err := file.Stat()
	r, ok := file.(io.ReaderAt)
	if err != nil || !ok {
		return err
	}
	switch held := foreign(r, stat.Size()); {
	case held.model:
		return fmt.Errorf("%w: %s: the network %q is not in ONNX, it holds %s: %s", fault.Unsupported, source, name, held.what, export)
	case held.what != "":
		return fmt.Errorf("%w: %s: the network %q is not in ONNX, it holds %s", fault.BadModel, source, name, held.what)
	}
	return nil
}
