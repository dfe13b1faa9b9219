"""Makes the ONNX files beside it: small models with known answers, and hostile ones.

usage: make_files.py
"""
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

here = pathlib.Path(__file__).parent


def save(name, nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8)
    (here / (name + ".onnx")).write_bytes(model.SerializeToString())


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


X = value("X", TensorProto.FLOAT, ["N", 2])
Y = value("Y", TensorProto.FLOAT, ["N", 1])

# sigmoid(x0 + 2 x1 + 0.5): the positive class's probability.
save("sigmoid", [helper.make_node("MatMul", ["X", "w"], ["z"]), helper.make_node("Add", ["z", "b"], ["s"]), helper.make_node("Sigmoid", ["s"], ["Y"])],
     [X], [Y], [tensor("w", np.array([[1], [2]], np.float32)), tensor("b", np.array([0.5], np.float32))])

# hour + weekend + delay + 10 for the carrier UA and 100 for none: inputs of every type.
save("typed", [
    helper.make_node("Cast", ["hour"], ["hour_f"], to=TensorProto.FLOAT),
    helper.make_node("Cast", ["weekend"], ["weekend_f"], to=TensorProto.FLOAT),
    helper.make_node("LabelEncoder", ["carrier"], ["carrier_f"], domain="ai.onnx.ml", keys_strings=["UA", ""], values_floats=[10.0, 100.0], default_float=0.0),
    helper.make_node("Unsqueeze", ["delay", "one"], ["delay_f"]),
    helper.make_node("Sum", ["hour_f", "weekend_f", "carrier_f", "delay_f"], ["Y"]),
], [value("hour", TensorProto.INT64, ["N", 1]), value("weekend", TensorProto.BOOL, ["N", 1]), value("carrier", TensorProto.STRING, ["N", 1]),
    value("delay", TensorProto.FLOAT, ["N"])], [Y], [tensor("one", np.array([1], np.int64))])

# One row at a time, as models are exported whose first dimension isn't dynamic.
save("single", [helper.make_node("ReduceSum", ["X", "axis"], ["Y"], keepdims=1)],
     [value("X", TensorProto.FLOAT, [1, 2])], [value("Y", TensorProto.FLOAT, [1, 1])], [tensor("axis", np.array([1], np.int64))])

# Fills memory: a tensor of 2^36 numbers for any row.
save("huge", [helper.make_node("ConstantOfShape", ["shape"], ["c"]), helper.make_node("ReduceSum", ["c"], ["r"], keepdims=0),
              helper.make_node("Mul", ["X", "r"], ["m"]), helper.make_node("ReduceSum", ["m", "axis"], ["Y"], keepdims=1)],
     [X], [Y], [tensor("shape", np.array([1 << 18, 1 << 18], np.int64)), tensor("axis", np.array([1], np.int64))])

# Never ends: a loop of 2^62 turns.
body = helper.make_graph([helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["s", "s"], ["t"])], "body",
                         [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("s", TensorProto.FLOAT, ["N", 2])],
                         [value("go_on", TensorProto.BOOL, []), value("t", TensorProto.FLOAT, ["N", 2])])
save("endless", [helper.make_node("Loop", ["turns", "yes", "X"], ["L"], body=body), helper.make_node("ReduceSum", ["L", "axis"], ["Y"], keepdims=1)],
     [X], [Y], [tensor("turns", np.array(1 << 62, np.int64)), tensor("yes", np.array(True)), tensor("axis", np.array([1], np.int64))])

# A tensor whose data is in another file.
outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1], data_location=TensorProto.EXTERNAL)
outside.external_data.add(key="location", value="../../../../etc/passwd")
save("outside", [helper.make_node("MatMul", ["X", "w"], ["Y"])], [X], [Y], [outside])

# Answers a table for each row, and another number of rows than it was asked for.
save("wide", [helper.make_node("Expand", ["X", "shape"], ["Y"])], [value("X", TensorProto.FLOAT, ["N", 1])],
     [value("Y", TensorProto.FLOAT, ["N", "K"])], [tensor("shape", np.array([1, 5000], np.int64))])
save("fewer", [helper.make_node("ReduceMean", ["X"], ["Y"], axes=[0, 1], keepdims=1)], [X], [value("Y", TensorProto.FLOAT, ["M", 1])])
