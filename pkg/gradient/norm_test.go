package gradient_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// both checks g in single and in double precision.
func both(t *testing.T, s subject) {
	t.Helper()
	check(t, s)
	s.graph = double(t, s.graph)
	check(t, s)
}

func TestBatchNormalization(t *testing.T) {
	t.Parallel()
	inputs := []string{"x", "scale", "bias", "mean", "var"}
	fixed := drawn(map[string][]int64{"scale": {3}, "bias": {3}, "mean": {3}})
	fixed["var"] = onnx.Of([]float32{0.5, 1, 1.7}, 3)
	for _, shape := range [][]int64{{-1, 3}, {-1, 3, 4}, {-1, 3, 4, 2}} {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			t.Parallel()
			n := node("BatchNormalization", attrs{"epsilon": onnx.Float(0.01)}, inputs, "y")
			g := network(map[string][]int64{"x": shape}, fixed, n)
			both(t, subject{graph: g, linear: true})
			both(t, subject{graph: opset(13, g.Clone()), linear: true})
			open := network(map[string][]int64{"x": shape, "scale": {3}, "bias": {3}, "mean": {3}, "var": {3}}, nil, n)
			for _, to := range [][]string{{"x"}, {"scale"}, {"bias"}} {
				both(t, subject{graph: open, to: to, linear: true, draw: positive})
			}
			both(t, subject{graph: open, to: []string{"x", "scale", "bias"}, draw: positive})
		})
	}
}

func TestLayerNormalization(t *testing.T) {
	t.Parallel()
	for _, version := range []int64{17, 18, 21} {
		for _, test := range []struct {
			axis  int64
			scale []int64
		}{{-1, []int64{4}}, {2, []int64{4}}, {1, []int64{3, 4}}, {-2, []int64{3, 4}}} {
			t.Run(fmt.Sprint(version, test), func(t *testing.T) {
				t.Parallel()
				how := attrs{"axis": onnx.Int(test.axis), "epsilon": onnx.Float(1e-3)}
				inputs := map[string][]int64{"x": {-1, 3, 4}, "scale": test.scale, "bias": test.scale}
				all := []string{"x", "scale", "bias"}
				g := opset(version, network(inputs, nil, node("LayerNormalization", how, all, "y")))
				check(t, subject{graph: g, to: all})
				check(t, subject{graph: opset(version, network(inputs, nil, node("LayerNormalization", how, all[:2], "y"))), to: all[:2]})
				wide := double(t, g)
				check(t, subject{graph: wide, to: all})
			})
		}
	}
	t.Run("after a residual", func(t *testing.T) { // which optimizers fuse with it
		t.Parallel()
		c := drawn(map[string][]int64{"scale": {4}, "bias": {4}, "w": {4, 4}})
		check(t, subject{graph: network(map[string][]int64{"x": {-1, 3, 4}}, c,
			node("MatMul", nil, []string{"x", "w"}, "xw"), node("Add", nil, []string{"xw", "x"}, "sum"),
			node("LayerNormalization", nil, []string{"sum", "scale", "bias"}, "norm"),
			node("Add", nil, []string{"norm", "sum"}, "y")), step: 2e-3})
	})
	t.Run("statistics already asked for", func(t *testing.T) {
		t.Parallel()
		c := drawn(map[string][]int64{"scale": {4}})
		g := network(map[string][]int64{"x": {-1, 3, 4}}, c, node("LayerNormalization", nil, []string{"x", "scale"}, "y", "mean"))
		check(t, subject{graph: g})
	})
}

func TestInstanceAndGroupNormalization(t *testing.T) {
	t.Parallel()
	all := []string{"x", "scale", "bias"}
	for _, shape := range [][]int64{{-1, 4, 5}, {-1, 4, 3, 2}} {
		for _, test := range []struct {
			op      string
			version int64
			how     attrs
			scale   []int64
		}{
			{"InstanceNormalization", 17, nil, []int64{4}},
			{"InstanceNormalization", 21, attrs{"epsilon": onnx.Float(0.1)}, []int64{4}},
			{"GroupNormalization", 18, attrs{"num_groups": onnx.Int(2)}, []int64{2}},
			{"GroupNormalization", 21, attrs{"num_groups": onnx.Int(2)}, []int64{4}},
			{"GroupNormalization", 21, attrs{"num_groups": onnx.Int(1), "epsilon": onnx.Float(0.1)}, []int64{4}},
		} {
			t.Run(fmt.Sprint(test.op, test.version, shape), func(t *testing.T) {
				t.Parallel()
				c := drawn(map[string][]int64{"scale": test.scale, "bias": test.scale})
				g := opset(test.version, network(map[string][]int64{"x": shape}, c, node(test.op, test.how, all, "y")))
				check(t, subject{graph: g})
				open := network(map[string][]int64{"x": shape, "scale": test.scale, "bias": test.scale}, nil, node(test.op, test.how, all, "y"))
				check(t, subject{graph: opset(test.version, open), to: all})
			})
		}
	}
}

func TestRMSNormalization(t *testing.T) {
	t.Parallel()
	for axis, scale := range map[int64][]int64{-1: {4}, 1: {3, 4}} {
		g := opset(23, network(map[string][]int64{"x": {-1, 3, 4}, "scale": scale}, nil,
			node("RMSNormalization", attrs{"axis": onnx.Int(axis)}, []string{"x", "scale"}, "y")))
		check(t, subject{graph: g, to: []string{"x", "scale"}})
	}
}

func TestLpNormalization(t *testing.T) {
	t.Parallel()
	for _, p := range []int64{1, 2} {
		for _, axis := range []int64{-1, 0, 1} {
			t.Run(fmt.Sprint(p, axis), func(t *testing.T) {
				t.Parallel()
				g := network(map[string][]int64{"x": {-1, 3, 4}}, nil,
					node("LpNormalization", attrs{"p": onnx.Int(p), "axis": onnx.Int(axis)}, []string{"x"}, "y"))
				both(t, subject{graph: g, draw: distinct, step: 1e-3})
			})
		}
	}
}

func TestLRN(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, 3, 5} {
		for _, shape := range [][]int64{{-1, 4, 2, 3}, {-1, 7, 1, 2}} {
			t.Run(fmt.Sprint(size, shape), func(t *testing.T) {
				t.Parallel()
				how := attrs{"size": onnx.Int(size), "alpha": onnx.Float(0.7), "beta": onnx.Float(0.6), "bias": onnx.Float(1.3)}
				g := network(map[string][]int64{"x": shape}, nil, node("LRN", how, []string{"x"}, "y"))
				check(t, subject{graph: g})
				plain := maps.Clone(how)
				delete(plain, "bias")
				delete(plain, "beta")
				check(t, subject{graph: network(map[string][]int64{"x": shape}, nil, node("LRN", plain, []string{"x"}, "y"))})
			})
		}
	}
}
