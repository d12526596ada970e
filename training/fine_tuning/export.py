"""The ONNX graphs of a fine-tuned speech encoder, in fp32 and in int8."""

import logging
from collections.abc import Sequence
from pathlib import Path

import nncf
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.export import write_onnx
from training.networks.speech_encoder import SpeechEncoderClassifier
from training.networks.speech_ensemble import SpeechEnsemble

WAVEFORM = "waveform"

_FRAMES_PER_TOKEN = 2
"""of Whisper"""


def write_graph(
    network: SpeechEncoderClassifier | SpeechEnsemble, example: Tensor, path: Path
) -> None:
    """Write the network as an ONNX graph for inputs as long as `example`.

    Positional embeddings beyond the example's length are left out of the graph.

    Args:
        network: is written.
        example: an input, `[1, 1, mels, frames]` or `[1, samples]`; the graph's batch size is free.
        path: file to write.
    """
    encoder = (network.tuned if isinstance(network, SpeechEnsemble) else network).encoder
    batch = torch.cat([example, example])
    if not isinstance(encoder, WhisperEncoder):
        write_onnx(network, batch, path, input_name=WAVEFORM)
        return
    positions = encoder.get_parameter("embed_positions.weight")
    whole = positions.data
    positions.data = whole[: example.shape[-1] // _FRAMES_PER_TOKEN].clone()
    try:
        write_onnx(network, batch, path)
    finally:
        positions.data = whole


def quantise(
    fp32: Path, int8: Path, inputs: Sequence[NDArray[np.float32]], *, smooth: float = 0.95
) -> None:
    """Quantise a transformer's graph statically, to 8 bits.

    Large activations of few features are moved into the weights (SmoothQuant: Xiao et al., ICML
    2023). Linear layers on a vector stay as they are: they cost nothing, and their outputs have
    little in common that one scale could round.

    Args:
        fp32: the graph to quantise.
        int8: file to write.
        inputs: of the graph, from training recordings, each with a batch axis of 1.
        smooth: how much of the range is moved, 0 to 1.
    """
    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = onnx.load(fp32)
    name = model.graph.input[0].name
    heads = [node.name for node in model.graph.node if node.op_type == "Gemm"]
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(inputs), lambda values: {name: values}),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        ignored_scope=nncf.IgnoredScope(names=heads),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=smooth)
        ),
    )
    onnx.save(quantised, int8)
