package gradient_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tsgo/tsgo/pkg/onnx"
)

func TestMatMul(t *testing.T) {
	t.Parallel()
	tests := []struct{ a, b []int64 }{
		{[]int64{-1, 3}, []int64{3, 4}},
		{[]int64{-1, 3}, []int64{3}},
		{[]int64{3}, []int64{3, 4}},
		{[]int64{3}, []int64{-1, 3, 4}},
		{[]int64{3}, []int64{2, -1, 3, 4}},
		{[]int64{-1, 5, 3}, []int64{3}},
		{[]int64{2, -1, 5, 3}, []int64{3}},
		{[]int64{-1, 5, 3}, []int64{3, 4}},
		{[]int64{2, -1, 5, 3}, []int64{3, 4}},
		{[]int64{5, -1, 3}, []int64{3, 4}},
		{[]int64{5, 3}, []int64{-1, 3, 4}},
		{[]int64{-1, 5, 3}, []int64{-1, 3, 4}},
		{[]int64{-1, 5, 3}, []int64{1, 3, 4}},
		{[]int64{1, 5, 3}, []int64{-1, 3, 4}},
		{[]int64{-1, 2, 5, 3}, []int64{2, 3, 4}},
		{[]int64{-1, 1, 5, 3}, []int64{2, 3, 4}},
		{[]int64{2, 5, 3}, []int64{-1, 1, 3, 4}},
		{[]int64{-1, 1, 5, 3}, []int64{1, 2, 3, 1}},
		{[]int64{1, -1, 3}, []int64{3, 1}},
		{[]int64{-1, 1}, []int64{1, 4}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.a, test.b), func(t *testing.T) {
			t.Parallel()
			g := network(map[string][]int64{"a": test.a, "b": test.b}, nil, node("MatMul", nil, []string{"a", "b"}, "y"))
			for _, to := range [][]string{{"a"}, {"b"}} {
				check(t, subject{graph: g, to: to, linear: true})
				check(t, subject{graph: double(t, g), to: to, linear: true})
			}
			check(t, subject{graph: g, to: []string{"a", "b"}})
			if !slices.Contains(test.b, -1) {
				constant := network(map[string][]int64{"a": test.a}, drawn(map[string][]int64{"b": test.b}), g.Nodes...)
				check(t, subject{graph: constant, to: []string{"a"}, linear: true})
			}
			if !slices.Contains(test.a, -1) {
				constant := network(map[string][]int64{"b": test.b}, drawn(map[string][]int64{"a": test.a}), g.Nodes...)
				check(t, subject{graph: constant, to: []string{"b"}, linear: true})
			}
		})
	}
	t.Run("vectors", func(t *testing.T) {
		t.Parallel()
		g := network(map[string][]int64{"a": {3}, "b": {3}}, nil, node("MatMul", nil, []string{"a", "b"}, "s"), node("Mul", nil, []string{"s", "a"}, "y"))
		check(t, subject{graph: g, to: []string{"a", "b"}})
	})
	t.Run("by itself", func(t *testing.T) {
		t.Parallel()
		check(t, subject{graph: network(map[string][]int64{"x": {-1, 3, 3}}, nil, node("MatMul", nil, []string{"x", "x"}, "y"))})
	})
}

// TestMatMulCopiesNoWeights looks at the gradient's graph: it holds a large matrix once.
func TestMatMulCopiesNoWeights(t *testing.T) {
	t.Parallel()
	g := network(map[string][]int64{"x": {-1, 5, 3}}, drawn(map[string][]int64{"w": {3, 4}}), node("MatMul", nil, []string{"x", "w"}, "y"))
	model := derive(t, g).Model
	for _, n := range model.Nodes {
		if n.Op == "Transpose" {
			t.Errorf("%s transposes %s", n.Name, n.Inputs)
		}
	}
	for name, c := range model.Initializers {
		if name != "w" && c.Len() > 3 {
			t.Errorf("constant %s of shape %v beside the weights", name, c.Shape)
		}
	}
}

func TestEinsum(t *testing.T) {
	t.Parallel()
	tests := []struct {
		equation string
		a, b     []int64
	}{
		{"ij,jk->ik", []int64{-1, 3}, []int64{3, 4}},
		{"ij,jk", []int64{-1, 3}, []int64{3, 4}},
		{"bij , bkj -> bik", []int64{-1, 3, 2}, []int64{-1, 5, 2}},
		{"bhid,bhjd->bhij", []int64{-1, 2, 3, 4}, []int64{-1, 2, 5, 4}},
		{"bi,i->bi", []int64{-1, 3}, []int64{3}},
		{"i,bj->bij", []int64{3}, []int64{-1, 4}},
		{"bij,bk->bk", []int64{-1, 3, 2}, []int64{-1, 4}},
		{"bik,bkj->bji", []int64{-1, 3, 2}, []int64{-1, 2, 4}},
		{"bij,bij->b", []int64{-1, 3, 2}, []int64{-1, 3, 2}},
		{"bij,kj->bik", []int64{-1, 3, 2}, []int64{4, 2}},
		{"bij,bjk->bik", []int64{-1, 3, 2}, []int64{1, 2, 4}},
		{"bij,bjk->bik", []int64{1, 3, 2}, []int64{-1, 2, 4}},
		{"bij,bjk->bik", []int64{-1, 3, 1}, []int64{-1, 2, 4}},
		{"bij,bj->i", []int64{-1, 3, 2}, []int64{1, 2}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.equation, test.a, test.b), func(t *testing.T) {
			t.Parallel()
			g := network(map[string][]int64{"a": test.a, "b": test.b}, nil,
				node("Einsum", attrs{"equation": onnx.String(test.equation)}, []string{"a", "b"}, "y"))
			for _, to := range [][]string{{"a"}, {"b"}} {
				check(t, subject{graph: g, to: to, linear: true})
				check(t, subject{graph: double(t, g), to: to, linear: true})
			}
			check(t, subject{graph: g, to: []string{"a", "b"}})
		})
	}
}
