package onnx

import (
	"slices"

	"github.com/tsgo/tsgo/pkg/fault"
)

// raiser writes nodes of older operators as nodes of opset 17.
type raiser struct {
	versions map[*Node]int64 // of the nodes that do not have the network's own
	own      int64           // the network's
	names    namer
	g        *Graph // that is being written
}

// change writes one node as others. It may write to the node.
type change func(r *raiser, n *Node) ([]*Node, error)

// rule is how an operator's older forms are raised.
type rule struct {
	below int64 // the version that has the new form
	change
}

// rules are the operators that had other forms; several rules of one are in order.
func rules() map[string][]rule {
	axes := one(func(r *raiser, n *Node) { r.move(n, "axes", 1) })
	return map[string][]rule{
		"Squeeze":            {{13, axes}},
		"Unsqueeze":          {{13, axes}},
		"ReduceSum":          {{13, axes}},
		"Split":              {{13, one(func(r *raiser, n *Node) { r.move(n, "split", 1) })}},
		"TopK":               {{10, one(func(r *raiser, n *Node) { r.move(n, "k", 1) })}},
		"Slice":              {{10, one(raiseSlice)}},
		"Clip":               {{11, one(raiseClip)}},
		"Pad":                {{11, one(raisePad)}},
		"Upsample":           {{10, raiseUpsample}},
		"Resize":             {{11, raiseResize}},
		"BatchNormalization": {{14, raiseBatchNormalization}},
		"Dropout":            {{12, one(func(_ *raiser, n *Node) { delete(n.Attrs, "ratio") })}},
		"Softmax":            {{13, raiseSoftmax}},
		"LogSoftmax":         {{13, raiseSoftmax}},
		"Hardmax":            {{13, raiseSoftmax}},
		"Scatter":            {{11, one(func(_ *raiser, n *Node) { n.Op = "ScatterElements" })}},
		"RoiAlign":           {{16, one(raiseRoiAlign)}},
		"Scan":               {{9, refuseScan}},
	}
}

// one is a change that stays one node and cannot fail.
func one(write func(r *raiser, n *Node)) change {
	return func(r *raiser, n *Node) ([]*Node, error) {
		if n.Attrs == nil {
			n.Attrs = map[string]Attr{}
		}
		write(r, n)
		return []*Node{n}, nil
	}
}

// graph raises the nodes of g, but not those of the graphs inside.
func (r *raiser) graph(g *Graph) error {
	r.g = g
	table := rules()
	nodes := make([]*Node, 0, len(g.Nodes))
	for _, n := range g.Nodes {
		version, ok := r.versions[n]
		if !ok {
			version = r.own
		}
		made := []*Node{n}
		if n.Domain == "" {
			for _, rule := range table[n.Op] {
				if version >= rule.below {
					continue
				}
				var err error
				if made, err = rule.change(r, n); err != nil {
					return err
				}
			}
		}
		nodes = append(nodes, made...)
	}
	g.Nodes = nodes
	return nil
}

// constant adds an initializer and returns its name.
func (r *raiser) constant(c *Constant, hint string) string {
	name := r.names.name(hint)
	r.g.Initializers[name] = c
	return name
}

// move makes an input of an attribute of whole numbers. Without the attribute the input stays left out.
func (r *raiser) move(n *Node, attr string, to int) {
	a, ok := n.Attrs[attr]
	if !ok {
		return
	}
	delete(n.Attrs, attr)
	values := a.Ints
	if a.Kind == KindInt {
		values = []int64{a.Int}
	}
	n.set(to, r.constant(Of(values, int64(len(values))), attr))
}

// set gives n an input, and leaves out those before it that it does not have.
func (n *Node) set(i int, name string) {
	for len(n.Inputs) <= i {
		n.Inputs = append(n.Inputs, "")
	}
	n.Inputs[i] = name
}

func raiseSlice(r *raiser, n *Node) {
	r.move(n, "starts", 1)
	r.move(n, "ends", 2)
	r.move(n, "axes", 3)
}

func raiseClip(r *raiser, n *Node) {
	for i, name := range []string{"min", "max"} {
		if _, ok := n.Attrs[name]; ok {
			n.set(i+1, r.constant(Of([]float32{n.Float(name, 0)}), name))
			delete(n.Attrs, name)
		}
	}
}

func raisePad(r *raiser, n *Node) {
	r.move(n, "pads", 1)
	if value := n.Float("value", 0); value != 0 {
		n.set(2, r.constant(Of([]float32{value}), "value"))
	}
	delete(n.Attrs, "value")
}

func raiseUpsample(r *raiser, n *Node) ([]*Node, error) {
	if a, ok := n.Attrs["scales"]; ok {
		n.set(1, r.constant(Of(slices.Clone(a.Floats), int64(len(a.Floats))), "scales"))
		delete(n.Attrs, "scales")
	}
	n.Op = "Resize"
	return raiseResize(r, n)
}

// raiseResize: the older form took pixels from the left of where they fall, and the nearest of those that are dropped from
// the right.
func raiseResize(r *raiser, n *Node) ([]*Node, error) {
	if len(n.Inputs) != 2 {
		return nil, n.refuse(fault.BadModel, "it has %d inputs, want two", len(n.Inputs))
	}
	nearest, err := r.nearest(n)
	if err != nil {
		return nil, err
	}
	n.Inputs = []string{n.Inputs[0], "", n.Inputs[1]}
	if n.Attrs == nil {
		n.Attrs = map[string]Attr{}
	}
	n.Attrs["coordinate_transformation_mode"] = String("asymmetric")
	n.Attrs["nearest_mode"] = String(nearest)
	return []*Node{n}, nil
}

// nearest tells which pixel a Resize takes.
func (r *raiser) nearest(n *Node) (string, error) {
	c := r.g.Initializers[n.Input(1)]
	if c == nil || n.String("mode", "nearest") != "nearest" {
		return "floor", nil
	}
	scales, err := c.Float64s()
	if err != nil {
		return "", n.refuse(fault.Of(err), "its scales: %v", err)
	}
	wider := slices.ContainsFunc(scales, func(v float64) bool { return v > 1 })
	narrower := slices.ContainsFunc(scales, func(v float64) bool { return v < 1 })
	switch {
	case wider && narrower:
		return "", n.refuse(fault.Unsupported, "it widens and narrows at once, with the nearest pixel")
	case narrower:
		return "ceil", nil
	}
	return "floor", nil
}

func raiseBatchNormalization(r *raiser, n *Node) ([]*Node, error) {
	if n.Int("spatial", 1) == 0 {
		return nil, n.refuse(fault.Unsupported, "it has statistics for each pixel (spatial=0)")
	}
	for i := 1; i < len(n.Outputs); i++ {
		_, output := r.g.Output(n.Outputs[i])
		if n.Outputs[i] != "" && (output || len(r.g.Consumers(n.Outputs[i])) > 0) {
			return nil, n.refuse(fault.Unsupported, "its output %q is of training", n.Outputs[i])
		}
	}
	delete(n.Attrs, "spatial")
	n.Outputs = n.Outputs[:min(1, len(n.Outputs))]
	return []*Node{n}, nil
}

// raiseSoftmax: the older form took all axes from its own on as one.
func raiseSoftmax(r *raiser, n *Node) ([]*Node, error) {
	if len(n.Inputs) != 1 || len(n.Outputs) != 1 {
		return nil, n.refuse(fault.BadModel, "it has %d inputs and %d outputs, want one of each", len(n.Inputs), len(n.Outputs))
	}
	axis := n.Int("axis", 1)
	if n.Attrs == nil {
		n.Attrs = map[string]Attr{}
	}
	n.Attrs["axis"] = Int(-1)
	if axis == -1 {
		return []*Node{n}, nil
	}
	in, out := n.Inputs[0], n.Outputs[0]
	flat, made, shape := r.names.name("flat"), r.names.name(n.Op), r.names.name("shape")
	n.Inputs, n.Outputs = []string{flat}, []string{made}
	return []*Node{
		{Op: "Shape", Inputs: []string{in}, Outputs: []string{shape}},
		{Op: "Flatten", Inputs: []string{in}, Outputs: []string{flat}, Attrs: map[string]Attr{"axis": Int(axis)}},
		n,
		{Op: "Reshape", Inputs: []string{made, shape}, Outputs: []string{out}},
	}, nil
}

// raiseRoiAlign says what was the only way before there was a choice.
func raiseRoiAlign(_ *raiser, n *Node) {
	if _, ok := n.Attrs["coordinate_transformation_mode"]; !ok {
		n.Attrs["coordinate_transformation_mode"] = String("output_half_pixel")
	}
}

func refuseScan(_ *raiser, n *Node) ([]*Node, error) {
	return nil, n.refuse(fault.Unsupported, "it is of opset 8: convert the network to a newer one")
}
