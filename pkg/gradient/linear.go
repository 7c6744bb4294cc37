package gradient

import (
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/onnx"
)

// linear are the rules of the operators that multiply matrices.
func linear() ruleSet {
	return ruleSet{
		"Gemm":   {write: writeGemm},
		"MatMul": {write: writeMatMul},
		"Einsum": {check: checkEinsum, write: writeEinsum},
	}
}

// writeGemm is the rule of Y = α·A·B + β·C, where A and B may be transposed.
func writeGemm(b *builder, n *onnx.Node) error {
	g, alpha := b.g(n), n.Float("alpha", 1)
	a, c := n.Input(0), n.Input(1)
	ta, tc := n.Int("transA", 0), n.Int("transB", 0)
	if b.on(a) {
		if ta == 0 {
			b.add(a, b.gemm(g, c, alpha, 0, 1-tc))
		} else {
			b.add(a, b.gemm(c, g, alpha, tc, 1))
		}
	}
	if b.on(c) {
		if tc == 0 {
			b.add(c, b.gemm(a, g, alpha, 1-ta, 0))
		} else {
			b.add(c, b.gemm(g, a, alpha, 1, ta))
		}
	}
	return b.spread(func() string {
		return b.scaled(g, float64(n.Float("beta", 1)), n.Output(0))
	}, n.Output(0), n.Input(2))
}

// gemm returns alpha·x·y, of x and y transposed where tx and ty are 1.
func (b *builder) gemm(x, y string, alpha float32, tx, ty int64) string {
	attrs := map[string]onnx.Attr{"alpha": onnx.Float(alpha), "transA": onnx.Int(tx), "transB": onnx.Int(ty)}
	return b.emit("Gemm", attrs, x, y)
}

// matmul is a MatMul at work.
type matmul struct {
	*builder
	a, c    string // the operands
	ra, rc  int    // and how many axes they have
	g       string
	y       string
	da, dc  []onnx.Dim // the shapes of the operands
	batches []onnx.Dim // the leading axes of the output
}

// writeMatMul is the rule of Y = A·B, with leading axes that are broadcast.
func writeMatMul(b *builder, n *onnx.Node) error {
	p := matmul{builder: b, a: n.Input(0), c: n.Input(1), g: b.g(n), y: n.Output(0)}
	var err error
	if p.da, err = b.dims(p.a); err != nil {
		return err
	}
	if p.dc, err = b.dims(p.c); err != nil {
		return err
	}
	dy, err := b.dims(p.y)
	if err != nil {
		return err
	}
	p.ra, p.rc = len(p.da), len(p.dc)
	p.batches = dy[:max(0, len(dy)-min(2, p.ra)-min(2, p.rc)+2)]
	switch {
	case p.ra == 1 && p.rc == 1:
		for i, in := range n.Inputs {
			if b.on(in) {
				b.add(in, b.mul(p.g, n.Input(1-i)))
			}
		}
		return nil
	case p.ra == 1:
		return p.row()
	case p.rc == 1:
		return p.column()
	case p.rc == 2:
		return p.flat()
	default:
		return p.general()
	}
}

// row is the rule where A is a vector.
func (p *matmul) row() error {
	if p.on(p.a) { // the rows of G⊙B, summed up but for A's axis
		g := p.emit("Unsqueeze", nil, p.g, p.ints(-2))
		part, err := p.narrow(p.emit("MatMul", nil, g, p.swapped(p.c, p.rc)), p.with(onnx.Dim{A: 1, B: 1}, p.da[0]), p.a)
		if err != nil {
			return err
		}
		p.add(p.a, part)
	}
	if p.on(p.c) {
		p.add(p.c, p.mul(p.emit("Unsqueeze", nil, p.a, p.ints(-1)), p.emit("Unsqueeze", nil, p.g, p.ints(-2))))
	}
	return nil
}

// column is the rule where B is a vector.
func (p *matmul) column() error {
	g := p.emit("Unsqueeze", nil, p.g, p.ints(-1))
	if p.on(p.a) {
		p.add(p.a, p.mul(g, p.c))
	}
	if !p.on(p.c) {
		return nil
	}
	part, err := p.narrow(p.mul(g, p.a), p.da, p.c)
	if err != nil {
		return err
	}
	p.add(p.c, part)
	return nil
}

// flat is the rule where B is a matrix: A counts as one too, and nothing is transposed beforehand.
func (p *matmul) flat() error {
	matrix := func(t string) string {
		if p.ra == 2 {
			return t
		}
		return p.emit("Flatten", map[string]onnx.Attr{"axis": onnx.Int(int64(p.ra - 1))}, t)
	}
	g := matrix(p.g)
	if p.on(p.a) {
		part := p.gemm(g, p.c, 1, 0, 1)
		if p.ra != 2 {
			var err error
			if part, err = p.like(part, p.a); err != nil {
				return err
			}
		}
		p.add(p.a, part)
	}
	if p.on(p.c) {
		p.add(p.c, p.gemm(matrix(p.a), g, 1, 1, 0))
	}
	return nil
}

// general is the rule of stacks of matrices.
func (p *matmul) general() error {
	if p.on(p.a) {
		part, err := p.narrow(p.emit("MatMul", nil, p.g, p.swapped(p.c, p.rc)), p.with(p.da[p.ra-2:]...), p.a)
		if err != nil {
			return err
		}
		p.add(p.a, part)
	}
	if p.on(p.c) {
		part, err := p.narrow(p.emit("MatMul", nil, p.swapped(p.a, p.ra), p.g), p.with(p.dc[p.rc-2:]...), p.c)
		if err != nil {
			return err
		}
		p.add(p.c, part)
	}
	return nil
}

// with returns the output's leading axes, and behind them others.
func (p *matmul) with(last ...onnx.Dim) []onnx.Dim { return slices.Concat(p.batches, last) }

// swapped swaps the last two axes.
func (b *builder) swapped(t string, rank int) string {
	perm := make([]int64, rank)
	for i := range perm {
		perm[i] = int64(i)
	}
	perm[rank-1], perm[rank-2] = perm[rank-2], perm[rank-1]
	return b.emit("Transpose", map[string]onnx.Attr{"perm": onnx.Ints(perm...)}, t)
}

// equation is that of an Einsum: the letters of the operands' axes, and of the result's.
type equation struct {
	in  []string
	out string
}

// parse reads the equation of an Einsum.
func parse(n *onnx.Node) equation {
	text := strings.ReplaceAll(n.String("equation", ""), " ", "")
	left, right, explicit := strings.Cut(text, "->")
	e := equation{in: strings.Split(left, ","), out: right}
	if !explicit { // the letters that come once, in the order of the alphabet
		letters := []byte(strings.ReplaceAll(left, ",", ""))
		slices.Sort(letters)
		for _, c := range letters {
			if strings.Count(left, string(c)) == 1 {
				e.out += string(c)
			}
		}
	}
	return e
}

// checkEinsum refuses all but two operands with letters of which none comes twice in one of them.
func checkEinsum(_ *onnx.Graph, n *onnx.Node) error {
	e := parse(n)
	if len(e.in) != 2 || len(n.Inputs) != 2 {
		return refuse(n, "it has %d operands, not two", len(n.Inputs))
	}
	for _, letters := range e.in {
		if strings.Contains(letters, ".") {
			return refuse(n, "its equation %q has an ellipsis", n.String("equation", ""))
		}
		for _, c := range letters {
			if strings.Count(letters, string(c)) > 1 {
				return refuse(n, "its equation %q takes a diagonal: %q comes twice in one operand", n.String("equation", ""), c)
			}
		}
	}
	return nil
}

func writeEinsum(b *builder, n *onnx.Node) error {
	e := parse(n)
	for i, in := range n.Inputs {
		if !b.on(in) {
			continue
		}
		part, err := b.einsum(n, e, i)
		if err != nil {
			return err
		}
		b.add(in, part)
	}
	return nil
}

// einsum is the adjoint of operand i: the Einsum of the adjoint and the other operand, to the operand's letters. Letters that
// neither of them has were summed up, and are spread again, as are those along which the other operand was broadcast; what
// was broadcast is summed up.
func (b *builder) einsum(n *onnx.Node, e equation, i int) (string, error) {
	in, other := n.Input(i), n.Input(1-i)
	sizes := map[rune]onnx.Dim{}
	for _, t := range []struct{ name, letters string }{{other, e.in[1-i]}, {n.Output(0), e.out}} {
		dims, err := b.dims(t.name)
		if err != nil {
			return "", err
		}
		for j, c := range []rune(t.letters) {
			sizes[c] = dims[j] // the output's, which is the larger, where it has the letter
		}
	}
	own, err := b.dims(in)
	if err != nil {
		return "", err
	}
	var kept strings.Builder
	var wide []onnx.Dim
	var missing []int64
	one, spread := onnx.Dim{A: 1, B: 1}, false
	for j, c := range []rune(e.in[i]) {
		size, ok := sizes[c]
		if ok {
			kept.WriteRune(c)
		} else {
			missing = append(missing, int64(j))
			size = one
		}
		wide = append(wide, size)
		spread = spread || size == one && own[j] != one
	}
	text := e.out + "," + e.in[1-i] + "->" + kept.String()
	t := b.emit("Einsum", map[string]onnx.Attr{"equation": onnx.String(text)}, b.g(n), other)
	if len(missing) > 0 {
		t = b.emit("Unsqueeze", nil, t, b.ints(missing...))
	}
	if t, err = b.narrow(t, wide, in); err != nil || !spread {
		return t, err
	}
	shape, err := b.shape(in)
	if err != nil {
		return "", err
	}
	return b.emit("Expand", nil, t, shape), nil
}
