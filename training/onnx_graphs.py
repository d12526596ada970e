"""Changes to ONNX graphs: constants set, and what is not needed left out."""

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import numpy_helper


def set_constant(graph: onnx.GraphProto, name: str, values: ArrayLike) -> str:
    """Give a graph a constant, in the place of one of this name; return the name."""
    constants = graph.initializer
    for position, constant in enumerate(constants):
        if constant.name == name:
            del constants[position]
            break
    constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
    return name


def remove_unused(graph: onnx.GraphProto) -> None:
    """Remove the nodes and constants that no output of a graph depends on."""
    needed = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):  # a node comes behind those that it reads
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    constants = [each for each in graph.initializer if each.name in needed]
    for field, kept in (("node", nodes[::-1]), ("initializer", constants)):
        graph.ClearField(field)
        getattr(graph, field).extend(kept)
