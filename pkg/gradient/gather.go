package gradient

import "github.com/tsgo/tsgo/pkg/onnx"

// gathers are the rules of the operators that read and write at indices.
func gathers() ruleSet {
	assigned := oneOf("reduction", "none", "add")
	return ruleSet{
		"Gather":          {write: writeGather},
		"GatherElements":  {write: func(b *builder, n *onnx.Node) error { return b.scatterAlong(n, n.Input(1)) }},
		"GatherND":        {write: func(b *builder, n *onnx.Node) error { return b.track(n) }},
		"ScatterElements": {write: writeScatter("GatherElements"), check: assigned},
		"ScatterND":       {write: writeScatter("GatherND"), check: assigned},
		"TopK":            {write: writeTopK},
	}
}

// writeGather is the rule of Y = X[…, indices, …].
func writeGather(b *builder, n *onnx.Node) error {
	x, indices := n.Input(0), n.Input(1)
	if !b.on(x) {
		return nil
	}
	dims, err := b.dims(x)
	if err != nil {
		return err
	}
	ranks, err := b.rank(indices)
	if err != nil {
		return err
	}
	ax := axis(n.Int("axis", 0), len(dims))
	g := b.g(n)
	switch ranks {
	case 0:
		g = b.emit("Unsqueeze", nil, g, b.ints(ax))
	case 1:
	default:
		if g, err = b.oneAxis(g, x, ax); err != nil {
			return err
		}
	}
	if i, ok := b.integers(indices); ok && len(i) == 1 && dims[ax].Constant() {
		at, size, pads := axis(i[0], int(dims[ax].A)), dims[ax].A, make([]int64, 2*len(dims))
		pads[ax], pads[int64(len(dims))+ax] = at, size-1-at
		b.add(x, b.emit("Pad", nil, g, b.ints(pads...)))
		return nil
	}
	column := make([]int64, len(dims))
	for i := range column {
		column[i] = 1
	}
	column[ax] = -1
	places := b.emit("Expand", nil, b.emit("Reshape", nil, indices, b.ints(column...)), b.emit("Shape", nil, g))
	blank, err := b.blank(x)
	if err != nil {
		return err
	}
	b.add(x, b.accumulate(blank, places, g, ax))
	return nil
}

// oneAxis makes one axis of those that a Gather with indices of several axes put at the place of axis ax of x.
func (b *builder) oneAxis(g, x string, ax int64) (string, error) {
	rank, err := b.rank(x)
	if err != nil {
		return "", err
	}
	sizes := make([]string, rank)
	for i := range sizes {
		switch {
		case int64(i) < ax:
			sizes[i] = b.ints(0) // as it is
		case int64(i) == ax:
			sizes[i] = b.ints(-1)
		default:
			if sizes[i], err = b.size(x, int64(i)); err != nil {
				return "", err
			}
		}
	}
	return b.emit("Reshape", nil, g, b.concat(sizes)), nil
}

// scatterAlong is the rule of n that takes elements at indices along its axis.
func (b *builder) scatterAlong(n *onnx.Node, indices string) error {
	x := n.Input(0)
	if !b.on(x) {
		return nil
	}
	blank, err := b.blank(x)
	if err != nil {
		return err
	}
	def := int64(0)
	if n.Op == "TopK" {
		def = -1
	}
	b.add(x, b.accumulate(blank, indices, b.g(n), n.Int("axis", def)))
	return nil
}

// writeTopK is the rule of the values; the forward node is asked where they were.
func writeTopK(b *builder, n *onnx.Node) error { return b.scatterAlong(n, b.output(n, 1)) }

// writeScatter is the rule of an operator that writes updates over data, or adds them; gather reads at such indices.
func writeScatter(gather string) func(b *builder, n *onnx.Node) error {
	return func(b *builder, n *onnx.Node) error {
		data, indices, updates, g := n.Input(0), n.Input(1), n.Input(2), b.g(n)
		attrs := map[string]onnx.Attr{}
		if gather == "GatherElements" {
			attrs["axis"] = onnx.Int(n.Int("axis", 0))
		}
		if b.on(updates) {
			b.add(updates, b.emit(gather, attrs, g, indices))
		}
		if b.on(data) && n.String("reduction", "none") == "none" {
			blank, err := b.blank(updates)
			if err != nil {
				return err
			}
			g = b.emit(n.Op, attrs, g, indices, blank)
		}
		b.add(data, g)
		return nil
	}
}
