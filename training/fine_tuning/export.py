"""The ONNX graphs of a fine-tuned speech encoder, in fp32 and in int8."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import nncf
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.networks.speech_encoder import SpeechEncoderClassifier

SPECTROGRAM, WAVEFORM, OUTPUT = "spectrogram", "waveform", "logits"

_FRAMES_PER_TOKEN = 2
"""of Whisper"""


def write_onnx(network: SpeechEncoderClassifier, example: Tensor, path: Path) -> None:
    """Write the network as an ONNX graph for inputs as long as `example`; the batch size is free.

    Positional embeddings beyond the example's length are left out of the graph.

    Args:
        network: in evaluation mode.
        example: an input, `[1, 1, mels, frames]` or `[1, samples]`.
        path: file to write.
    """
    positions = None
    if isinstance(network.encoder, WhisperEncoder):
        positions = network.encoder.get_parameter("embed_positions.weight")
        whole = positions.data
        positions.data = whole[: example.shape[-1] // _FRAMES_PER_TOKEN].clone()
    # The exporter reports its progress and its own deprecations at length.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.to("cpu"),
                (torch.cat([example, example]),),
                path,
                input_names=[WAVEFORM if network.reads_waveform else SPECTROGRAM],
                output_names=[OUTPUT],
                dynamic_shapes={"inputs": {0: torch.export.Dim("batch")}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        if positions is not None:
            positions.data = whole


def quantise(
    fp32: Path, int8: Path, inputs: Sequence[NDArray[np.float32]], *, smooth: float = 0.95
) -> None:
    """Quantise a transformer's graph statically, to 8 bits.

    Large activations of few features are moved into the weights (SmoothQuant: Xiao et al., ICML
    2023); the last layer stays as it is.

    Args:
        fp32: the graph to quantise.
        int8: file to write.
        inputs: of the graph, from training recordings, each with a batch axis of 1.
        smooth: how much of the range is moved, 0 to 1.
    """
    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = onnx.load(fp32)
    name = model.graph.input[0].name
    last = [node.name for node in model.graph.node if OUTPUT in node.output]
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(inputs), lambda values: {name: values}),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        ignored_scope=nncf.IgnoredScope(names=last),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=smooth)
        ),
    )
    onnx.save(quantised, int8)
