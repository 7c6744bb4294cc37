package zoo_test

import (
	"bytes"
	"testing"

	"github.com/tsgo/tsgo/pkg/onnx/zoo"
)

// TestResNet18 counts what the paper's table says: 11.69 million parameters, batch normalization's running means and
// variances and the biases of the convolutions on top; twenty convolutions, of which three are on the ways around.
func TestResNet18(t *testing.T) {
	t.Parallel()
	g := zoo.ResNet18(1)
	weights, convolutions := 0, 0
	for _, n := range g.Nodes {
		switch n.Op {
		case "Conv":
			convolutions++
			weights += elements(g.Initializers[n.Input(1)].Shape)
		case "BatchNormalization":
			weights += elements(g.Initializers[n.Input(1)].Shape) + elements(g.Initializers[n.Input(2)].Shape)
		case "Gemm":
			weights += elements(g.Initializers[n.Input(1)].Shape) + elements(g.Initializers[n.Input(2)].Shape)
		}
	}
	if weights != 11_689_512 || convolutions != 20 {
		t.Errorf("%d weights in %d convolutions and a linear layer, want 11689512 in 20", weights, convolutions)
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	made := func(seed uint64) []byte {
		b := zoo.New(seed, 4)
		return b.Done(b.Dense("x", 4, 3), 2).Marshal()
	}
	if !bytes.Equal(made(1), made(1)) {
		t.Error("the same seed makes two networks")
	}
	if bytes.Equal(made(1), made(2)) {
		t.Error("two seeds make the same network")
	}
}

func elements(shape []int64) int {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return n
}
