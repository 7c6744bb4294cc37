package text

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tsgo/tsgo/pkg/engine"
	"github.com/tsgo/tsgo/pkg/fault"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/nearest"
	"github.com/tsgo/tsgo/pkg/tensor"
	"github.com/tsgo/tsgo/pkg/tokenize"
)

// What an input of the network holds.
const (
	roleIDs   = "ids"   // the tokens' numbers
	roleMask  = "mask"  // 1, or 0 for what only fills up
	roleTypes = "types" // which of two texts a token is of
)

// input is an input of the network and what it holds.
type input struct {
	engine.Value

	role string
}

// usualNames returns the names that tell what an input holds.
func usualNames() map[string]string {
	return map[string]string{
		"input_ids": roleIDs, "ids": roleIDs, "token_ids": roleIDs, "tokens": roleIDs, "input": roleIDs, "inputs": roleIDs,
		"attention_mask": roleMask, "mask": roleMask, "input_mask": roleMask,
		"token_type_ids": roleTypes, "type_ids": roleTypes, "segment_ids": roleTypes, "types": roleTypes,
	}
}

// assign returns what each input of the network holds, and how many tokens a text has where that is fixed. Names are what
// the manifest says, by role. It returns [fault.BadModel] for an input that cannot be filled.
func assign(values []engine.Value, names map[string]string) (all []input, length int, err error) {
	roles, err := rolesOf(values, names)
	if err != nil {
		return nil, 0, err
	}
	seen := map[string]string{}
	for _, v := range values {
		role, ok := roles[v.Name]
		if !ok && len(values) == 1 {
			role, ok = roleIDs, true
		}
		if !ok {
			return nil, 0, fmt.Errorf("%w: the network's input %v: nothing is known to fill it with; the handler setting inputs can name the one of ids, of mask and of types",
				fault.BadModel, v)
		}
		if other, twice := seen[role]; twice {
			return nil, 0, fmt.Errorf("%w: the network's inputs %q and %q would both hold the %s; say in the handler setting inputs which one does",
				fault.BadModel, other, v.Name, role)
		}
		seen[role] = v.Name
		in := input{v, role}
		if length, err = in.check(length); err != nil {
			return nil, 0, err
		}
		all = append(all, in)
	}
	if _, ok := seen[roleIDs]; !ok {
		return nil, 0, fmt.Errorf("%w: the network has no input for the tokens' numbers; name it in the handler setting inputs, as ids", fault.BadModel)
	}
	return all, length, nil
}

// rolesOf returns the roles by the inputs' names.
func rolesOf(values []engine.Value, names map[string]string) (map[string]string, error) {
	roles := usualNames()
	known := []string{roleIDs, roleMask, roleTypes}
	for _, role := range slices.Sorted(maps.Keys(names)) {
		if !slices.Contains(known, role) {
			return nil, fmt.Errorf("%w: handler setting inputs: %q is nothing that a text has%s (known: %s)",
				fault.BadModel, role, nearest.Hint(role, known), strings.Join(known, ", "))
		}
		if !slices.ContainsFunc(values, func(v engine.Value) bool { return v.Name == names[role] }) {
			return nil, fmt.Errorf("%w: handler setting inputs: the network has no input %q", fault.BadModel, names[role])
		}
		maps.DeleteFunc(roles, func(_, other string) bool { return other == role })
		roles[names[role]] = role
	}
	return roles, nil
}

// check returns the number of tokens that the input fixes, which is length where that is known already.
func (in input) check(length int) (int, error) {
	types := []tensor.DType{tensor.Int64, tensor.Int32}
	if in.role == roleMask {
		types = append(types, tensor.Float32, tensor.Bool)
	}
	if len(in.Shape) != 2 || !slices.Contains(types, in.DType) {
		return 0, fmt.Errorf("%w: the network's input %v cannot hold the %s of texts: want a row of one of the types %v for each", fault.BadModel, in.Value, in.role, types)
	}
	size := int(in.Shape[1].Size)
	switch {
	case size <= 0:
		return length, nil
	case size > mostTokens || length > 0 && length != size:
		return 0, fmt.Errorf("%w: the network's input %v takes %d tokens, another one %d, and at most %d are possible", fault.BadModel, in.Value, size, length, mostTokens)
	}
	return size, nil
}

// fill makes the network's inputs of an encoding.
func (c *classifier) fill(e tokenize.Encoding) (tensor.Named, error) {
	all := make(tensor.Named, len(c.inputs))
	for _, in := range c.inputs {
		values := e.IDs
		switch in.role {
		case roleMask:
			values = e.Mask
		case roleTypes:
			values = e.TypeIDs
		}
		var err error
		if all[in.Name], err = row(in.DType, values); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// row makes one row of numbers.
func row(d tensor.DType, values []int64) (tensor.Tensor, error) {
	shape := []int64{1, int64(len(values))}
	switch d {
	case tensor.Int32:
		return tensor.New(shape, converted(values, func(v int64) int32 { return int32(v) }))
	case tensor.Float32:
		return tensor.New(shape, converted(values, func(v int64) float32 { return float32(v) }))
	case tensor.Bool:
		return tensor.New(shape, converted(values, func(v int64) bool { return v != 0 }))
	default:
		return tensor.New(shape, values)
	}
}

func converted[T any](values []int64, to func(int64) T) []T {
	all := make([]T, len(values))
	for i, v := range values {
		all[i] = to(v)
	}
	return all
}

// tensors returns the network's inputs where the request carries them itself, and whether it does. A tensor of text is a
// text.
func (c *classifier) tensors(req *model.Request) (tensor.Named, bool, error) {
	given := tensor.Named{}
	for _, in := range req.Inputs {
		if in.Tensor != nil && in.Tensor.DType() != tensor.String {
			given[in.Name] = *in.Tensor
		}
	}
	if len(given) == 0 {
		return nil, false, nil
	}
	if err := c.Env.Session.Signature().Check(given); err != nil {
		return nil, false, err
	}
	for name, t := range given {
		if t.Shape()[0] != 1 || !slices.Equal(t.Shape(), given[c.inputs[0].Name].Shape()) {
			return nil, false, fmt.Errorf("%w: input %q is %v, want one text in a request, of as many tokens in each input", fault.Invalid, name, t)
		}
	}
	return given, true, nil
}
