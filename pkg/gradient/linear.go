package gradient

import "github.com/tsgo/tsgo/pkg/onnx"

// linear are the rules of the operators that multiply matrices.
func linear() ruleSet {
	return ruleSet{"Gemm": {write: writeGemm}}
}

// writeGemm is the rule of Y = α·A·B + β·C, where A and B may be transposed.
func writeGemm(b *builder, n *onnx.Node) error {
	g, alpha := b.g(n), n.Float("alpha", 1)
	a, c := n.Input(0), n.Input(1)
	ta, tc := n.Int("transA", 0), n.Int("transB", 0)
	gemm := func(x, y string, tx, ty int64) string {
		attrs := map[string]onnx.Attr{"alpha": onnx.Float(alpha), "transA": onnx.Int(tx), "transB": onnx.Int(ty)}
		return b.emit("Gemm", attrs, x, y)
	}
	if b.on(a) {
		if ta == 0 {
			b.add(a, gemm(g, c, 0, 1-tc))
		} else {
			b.add(a, gemm(c, g, tc, 1))
		}
	}
	if b.on(c) {
		if tc == 0 {
			b.add(c, gemm(a, g, 1-ta, 0))
		} else {
			b.add(c, gemm(g, a, 1, ta))
		}
	}
	return b.spread(func() string {
		if beta := n.Float("beta", 1); beta != 1 {
			return b.mul(g, b.scalar(float64(beta), n.Output(0)))
		}
		return g
	}, n.Output(0), n.Input(2))
}
