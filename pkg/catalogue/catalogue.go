// Package catalogue is a list of models that anybody can have by their names: where each network lies, what its bytes are,
// and all that has to lie beside it to make it a model. It fetches nothing.
//
// The networks are those of the ONNX Model Zoo, unchanged. Sizes and hashes are those that the zoo publishes; what is wanted
// of a picture is what the zoo's page of each network says.
package catalogue

import (
	_ "embed" // labels.txt, NOTICE
	"fmt"
	"path"
	"slices"
	"strings"
)

// Entry is a model that can be had.
type Entry struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	About   string   `json:"about"`   // what it is, in a few words
	Licence string   `json:"licence"` // of the network: an SPDX identifier
	Page    string   `json:"page"`    // what its makers say of it
	URLs    []string `json:"urls"`    // of the network, https: the same file at each, the first is asked first
	SHA256  string   `json:"sha256"`  // of the network, in hex
	Size    int64    `json:"size"`    // of the network, in bytes
	Input   string   `json:"input"`   // the network's only input
	Output  string   `json:"output"`  // the network's only output

	handler string // the section of that name, in YAML
}

// The zoo's files, as they are named at each address.
const (
	hub    = "https://huggingface.co/onnxmodelzoo/%[1]s/resolve/main/%[1]s.onnx"
	github = "https://media.githubusercontent.com/media/onnx/models/main/validated/vision/classification/%[2]s/model/%[1]s.onnx"
	pages  = "https://github.com/onnx/models/tree/main/validated/vision/classification/%s"
)

// What the networks want of a picture, and what their numbers are.
const (
	imageNet = `  resize: 256
  size: 224
  interpolation: bilinear
  mean: [0.485, 0.456, 0.406]
  std: [0.229, 0.224, 0.225]
  layout: nchw
  activation: softmax
`
	edgeTPU = `  resize: 256
  size: 224
  interpolation: bilinear
  scale: 1
  mean: [127, 127, 127]
  std: [128, 128, 128]
  layout: nhwc
  activation: none
`
)

// All returns the models, sorted by name.
func All() []Entry {
	return []Entry{
		zoo("efficientnet-lite4", "efficientnet-lite4-11", Entry{
			About: "ImageNet, 80.4 % top-1", Licence: "MIT",
			SHA256: "d111689907c06eea7c82e4833ddef758da6453b9d4cf60b7e99ca05c7cbd9c12", Size: 51_946_641,
			Input: "images:0", Output: "Softmax:0", handler: edgeTPU,
		}),
		zoo("mobilenet-v2", "mobilenetv2-12", Entry{
			About: "ImageNet, 69.5 % top-1, fast", Licence: "Apache-2.0",
			SHA256: "c0c3f76d93fa3fd6580652a45618618a220fced18babf65774ed169de0432ad5", Size: 13_964_571,
			Input: "input", Output: "output", handler: imageNet,
		}),
		zoo("resnet-18-imagenet", "resnet18-v1-7", Entry{
			About: "ImageNet, 69.9 % top-1", Licence: "Apache-2.0",
			SHA256: "4e8f8653e7a2222b3904cc3fe8e304cd8b339ce1d05fd24688162f86fb6df52c", Size: 46_820_737,
			Input: "data", Output: "resnetv15_dense0_fwd", handler: imageNet,
		}),
		zoo("resnet-50", "resnet50-v1-7", Entry{
			About: "ImageNet, 74.9 % top-1", Licence: "Apache-2.0",
			SHA256: "af16a04a6ec48ac494065d4439fe9dea590d337b9ca6dc328160ccf04a217b9c", Size: 102_583_340,
			Input: "data", Output: "resnetv17_dense0_fwd", handler: imageNet,
		}),
		zoo("squeezenet-1.1", "squeezenet1.1-7", Entry{
			About: "ImageNet, 56.3 % top-1, tiny", Licence: "Apache-2.0",
			SHA256: "1eeff551a67ae8d565ca33b572fc4b66e3ef357b0eb2863bb9ff47a918cc4088", Size: 4_956_208,
			Input: "data", Output: "squeezenet0_flatten0_reshape0", handler: imageNet,
		}),
	}
}

// families are the folders of the zoo, which files' names begin with.
func families() []string { return []string{"efficientnet-lite4", "mobilenet", "resnet", "squeezenet"} }

// zoo fills in what follows from the name of a file of the zoo.
func zoo(name, file string, e Entry) Entry {
	folder := families()[slices.IndexFunc(families(), func(f string) bool { return strings.HasPrefix(file, f) })]
	e.Name, e.Version, e.Page = name, "1.0", fmt.Sprintf(pages, folder)
	e.URLs = []string{fmt.Sprintf(hub, file), fmt.Sprintf(github, file, folder)}
	return e
}

// Find returns the model of a name.
func Find(name string) (Entry, bool) {
	all := All()
	i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return all[i], true
}

// Names returns the names of all models, sorted.
func Names() []string {
	var names []string
	for _, e := range All() {
		names = append(names, e.Name)
	}
	return names
}

//go:embed labels.txt
var labels string

//go:embed NOTICE
var labelsNotice string

// Network returns the name of the network's file.
func (e Entry) Network() string { return path.Base(e.URLs[0]) }

// Beside returns the files that lie beside the network, by their names: its manifest, its labels, and whose they are.
func (e Entry) Beside() map[string]string {
	return map[string]string{"model-config.yaml": e.config(), "labels.txt": labels, "NOTICE": e.notice()}
}

func (e Entry) config() string {
	return fmt.Sprintf(`# %s.
# %s
model:
  name: %q
  version: %q
  serializedFile: %s
  handler: image_classifier
  labels: labels.txt
handler:
%s  topK: 5
  answer: probabilities
`, e.About, e.Page, e.Name, e.Version, e.Network(), e.handler)
}

func (e Entry) notice() string {
	return fmt.Sprintf(`%s
    From the ONNX Model Zoo, unchanged: %s
    Licence: %s

%s`, e.Network(), e.Page, e.Licence, labelsNotice)
}
