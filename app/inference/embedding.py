"""Embeddings: the pooled features of a clip that a network's last linear layer reads."""

import openvino

_SCALED = ("Multiply", "Divide", "NormalizeL2")
"""what may stand between the features and the layer: a quantiser's scale, a normalisation"""


def embedding_graph(graph: openvino.Model) -> openvino.Model:
    """Return the part of a network that computes its embedding, `[clips, features]`.

    Raises ValueError when the network does not end in a linear layer on pooled features.
    """
    features = embedding_output(graph)
    return openvino.Model([features], graph.get_parameters(), "embedding")


def embedding_output(graph: openvino.Model) -> openvino.Output:
    """Return the output of the node that computes a network's embedding, `[clips, features]`.

    Raises ValueError when the network does not end in a linear layer on pooled features.
    """
    linear = [node for node in graph.get_ordered_ops() if node.get_type_name() == "MatMul"]
    if not linear:
        raise ValueError("it has no linear layer")
    features = linear[-1].input_value(0)
    while features.get_node().get_type_name() in _SCALED:
        features = features.get_node().input_value(0)
    shape = features.get_partial_shape()
    if shape.rank.get_length() != 2 or not shape[1].is_static:
        raise ValueError("its last linear layer does not read one vector for each clip")
    return features
