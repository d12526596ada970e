"""Whisper's encoder, filled with the weights of a CTranslate2 model file.

Whisper: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision",
ICML 2023, MIT licence. CTranslate2 stores a model as a flat list of named tensors.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

_SPECIFICATION = "WhisperSpec"
_FLOAT32, _FLOAT16 = 0, 4
_TYPES: Mapping[int, type[np.generic]] = {
    _FLOAT32: np.float32,
    1: np.int8,
    2: np.int16,
    3: np.int32,
    _FLOAT16: np.float16,
}
_LAYER_PARTS = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}


class WeightsError(ValueError):
    """A file does not hold the weights that were expected; the message names it."""


def read_ctranslate2(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read all tensors of a CTranslate2 `model.bin` of version 6 or earlier.

    Returns:
        name -> values, such as `encoder/conv1/weight` of shape `[512, 80, 3]`.

    Raises:
        WeightsError: the file is no CTranslate2 model of Whisper, or ends too early.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        try:
            _unpack(file, "<I")  # version of the format
            specification = _text(file)
            if specification != _SPECIFICATION:
                raise WeightsError(f"{path}: expected a {_SPECIFICATION}, got {specification!r}")
            _unpack(file, "<I")  # revision of the specification
            return dict(_tensor(file) for _ in range(_unpack(file, "<I")))
        except (struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(f"{path}: not a CTranslate2 model, or incomplete") from error


def whisper_encoder(path: Path) -> WhisperEncoder:
    """Build the encoder of the Whisper model in the CTranslate2 file `path`.

    Raises WeightsError and OSError as `read_ctranslate2` does.
    """
    tensors = read_ctranslate2(path)
    try:
        positions, width = tensors["encoder/position_encodings/encodings"].shape
        encoder = WhisperEncoder(
            WhisperConfig(
                d_model=width,
                encoder_layers=_layer_count(tensors),
                encoder_attention_heads=int(tensors["encoder/num_heads"]),
                encoder_ffn_dim=len(tensors["encoder/layer_0/ffn/linear_0/bias"]),
                num_mel_bins=tensors["encoder/conv1/weight"].shape[1],
                max_source_positions=positions,
            )
        )
        encoder.load_state_dict(encoder_state(tensors))
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{path}: a part of Whisper's encoder is missing: {error}") from error
    encoder.train(mode=False)
    return encoder


def encoder_state(tensors: Mapping[str, NDArray[np.generic]]) -> dict[str, Tensor]:
    """Rename CTranslate2's tensors as `WhisperEncoder` names its parameters, in float32."""
    state = {
        "embed_positions.weight": _tensor32(tensors["encoder/position_encodings/encodings"]),
        **_affine("layer_norm", tensors, "encoder/layer_norm"),
    }
    for conv in ("conv1", "conv2"):
        state |= _affine(conv, tensors, f"encoder/{conv}")
    for index in range(_layer_count(tensors)):
        source, target = f"encoder/layer_{index}", f"layers.{index}"
        for theirs, ours in _LAYER_PARTS.items():
            state |= _affine(f"{target}.{ours}", tensors, f"{source}/{theirs}")
        fused = _affine("qkv", tensors, f"{source}/self_attention/linear_0")
        for kind, values in (("weight", fused["qkv.weight"]), ("bias", fused["qkv.bias"])):
            for projection, part in zip(("q", "k", "v"), values.chunk(3), strict=True):
                state[f"{target}.self_attn.{projection}_proj.{kind}"] = part.contiguous()
        # Whisper's keys have no bias: CTranslate2 stores zeros.
        del state[f"{target}.self_attn.k_proj.bias"]
    return state


def _layer_count(tensors: Mapping[str, NDArray[np.generic]]) -> int:
    prefix = "encoder/layer_"
    numbers = {
        name.removeprefix(prefix).split("/")[0] for name in tensors if name.startswith(prefix)
    }
    return len(numbers - {"norm"})


def _affine(
    target: str, tensors: Mapping[str, NDArray[np.generic]], source: str
) -> dict[str, Tensor]:
    names = ("gamma", "beta") if f"{source}/gamma" in tensors else ("weight", "bias")
    return {
        f"{target}.{ours}": _tensor32(tensors[f"{source}/{theirs}"])
        for ours, theirs in zip(("weight", "bias"), names, strict=True)
    }


def _tensor32(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _unpack(file: BinaryIO, layout: str) -> int:
    size = struct.calcsize(layout)
    value: int = struct.unpack(layout, file.read(size))[0]
    return value


def _text(file: BinaryIO) -> str:
    return file.read(_unpack(file, "<H")).rstrip(b"\0").decode()


def _tensor(file: BinaryIO) -> tuple[str, NDArray[np.generic]]:
    name = _text(file)
    shape = [_unpack(file, "<I") for _ in range(_unpack(file, "<B"))]
    dtype = _TYPES[_unpack(file, "<B")]
    size = _unpack(file, "<I")
    return name, np.frombuffer(file.read(size), dtype).reshape(shape)
