"""Makes the networks beside it, each a few hundred bytes that ask one question. Needs the package onnx.

    python make.py
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

HERE = pathlib.Path(__file__).parent
TYPES = {
    "float32": T.FLOAT, "float64": T.DOUBLE, "float16": T.FLOAT16, "bfloat16": T.BFLOAT16,
    "int8": T.INT8, "int16": T.INT16, "int32": T.INT32, "int64": T.INT64,
    "uint8": T.UINT8, "uint16": T.UINT16, "uint32": T.UINT32, "uint64": T.UINT64,
    "bool": T.BOOL, "string": T.STRING,
}


def value(name, dims, kind=T.FLOAT):
    return h.make_tensor_value_info(name, kind, dims)


def save(name, nodes, inputs, outputs, initializers=(), opset=17, check=True, **metadata):
    graph = h.make_graph(nodes, name, inputs, outputs, initializer=list(initializers))
    opsets = [h.make_opsetid("", opset)]
    if not check:
        opsets.append(h.make_opsetid("tsgo.test", 1))
    model = h.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tsgo", model_version=3,
                         domain="test.tsgo", doc_string="made by make.py")
    if metadata:
        h.set_model_props(model, metadata)
    if check:
        onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


def const(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


save("add", [h.make_node("Add", ["a", "b"], ["sum"]), h.make_node("Sub", ["a", "b"], ["difference"])],
     [value("a", ["batch", 3]), value("b", ["batch", 3])], [value("sum", ["batch", 3]), value("difference", ["batch", 3])],
     author="nobody", note="two outputs")

for dtype, kind in TYPES.items():
    save(f"identity-{dtype}", [h.make_node("Identity", ["x"], ["y"])], [value("x", ["n", 2], kind)], [value("y", ["n", 2], kind)])

save("scalar", [h.make_node("ReduceSum", ["x"], ["total"], keepdims=0), h.make_node("Identity", ["s"], ["same"])],
     [value("x", ["n"]), value("s", [])], [value("total", []), value("same", [])])

save("unranked", [h.make_node("Neg", ["x"], ["y"])], [value("x", None)], [value("y", None)], check=False)

save("constant", [h.make_node("Constant", [], ["y"], value=const("c", np.float32([1, 2])))], [], [value("y", [2])])

save("reshape", [h.make_node("Reshape", ["x", "shape"], ["y"])], [value("x", ["n"])], [value("y", [2, 3])],
     [const("shape", np.int64([2, 3]))])

save("fill", [h.make_node("ConstantOfShape", ["shape"], ["y"])], [value("shape", ["rank"], T.INT64)], [value("y", None)], check=False)

save("sequence", [h.make_node("SplitToSequence", ["x"], ["parts"]), h.make_node("Neg", ["x"], ["y"])],
     [value("x", ["n"])],
     [h.make_tensor_sequence_value_info("parts", T.FLOAT, None), value("y", ["n"])])

save("float8", [h.make_node("Cast", ["x"], ["y"], to=T.FLOAT8E4M3FN)], [value("x", ["n"])], [value("y", ["n"], T.FLOAT8E4M3FN)],
     opset=19)

save("unknown-operator", [h.make_node("Nothing", ["x"], ["y"], domain="tsgo.test")], [value("x", ["n"])], [value("y", ["n"])],
     check=False)

save("wrong-graph", [h.make_node("Add", ["x", "nowhere"], ["y"])], [value("x", ["n"])], [value("y", ["n"])], check=False)

# Multiplies a matrix with itself as often as asked.
body = h.make_graph(
    [h.make_node("Identity", ["go_in"], ["go"]), h.make_node("MatMul", ["m_in", "m_in"], ["m"])], "body",
    [value("i", [], T.INT64), value("go_in", [], T.BOOL), value("m_in", ["d", "d"])],
    [value("go", [], T.BOOL), value("m", ["d", "d"])])
save("slow", [h.make_node("Loop", ["times", "", "x"], ["y"], body=body)],
     [value("times", [], T.INT64), value("x", ["d", "d"])], [value("y", ["d", "d"])])

# Weights of 64 MB, made when the network is loaded.
weights, x = [], "x"
for i in range(4):
    weights.append(h.make_node("ConstantOfShape", ["shape"], [f"w{i}"], value=const("v", np.float32([(i + 1) / 8192]))))
    weights.append(h.make_node("MatMul", [x, f"w{i}"], [f"x{i}"]))
    x = f"x{i}"
weights.append(h.make_node("Identity", [x], ["y"]))
save("heavy", weights, [value("x", ["n", 2048])], [value("y", ["n", 2048])], [const("shape", np.int64([2048, 2048]))])

# Weights in a file of their own.
graph = h.make_graph([h.make_node("Add", ["x", "w"], ["y"])], "external", [value("x", ["n", 3])], [value("y", ["n", 3])],
                     initializer=[const("w", np.float32([1, 2, 3]))])
model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
onnx.save(model, HERE / "external.onnx", save_as_external_data=True, location="external.bin", size_threshold=0)
