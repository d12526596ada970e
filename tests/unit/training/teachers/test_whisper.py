import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.teachers.whisper import WeightsError, read_ctranslate2, whisper_encoder

_TYPES = {"float32": 0, "float16": 4, "int16": 2}


def tiny() -> WhisperEncoder:
    torch.manual_seed(0)
    encoder = WhisperEncoder(
        WhisperConfig(
            d_model=8,
            encoder_layers=2,
            encoder_attention_heads=2,
            encoder_ffn_dim=16,
            num_mel_bins=6,
            max_source_positions=10,
        )
    )
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter)
    return encoder.eval()


def as_ctranslate2(encoder: WhisperEncoder) -> dict[str, np.ndarray]:
    state = {name: value.numpy() for name, value in encoder.state_dict().items()}
    tensors: dict[str, np.ndarray] = {
        "encoder/num_heads": np.array(2, np.int16),
        "encoder/position_encodings/encodings": state["embed_positions.weight"],
        "encoder/layer_norm/gamma": state["layer_norm.weight"],
        "encoder/layer_norm/beta": state["layer_norm.bias"],
    }
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            tensors[f"encoder/{conv}/{kind}"] = state[f"{conv}.{kind}"]
    for index in range(2):
        ours, theirs = f"layers.{index}", f"encoder/layer_{index}"
        attention = f"{ours}.self_attn"
        tensors[f"{theirs}/self_attention/linear_0/weight"] = np.concatenate(
            [state[f"{attention}.{part}_proj.weight"] for part in "qkv"]
        )
        tensors[f"{theirs}/self_attention/linear_0/bias"] = np.concatenate(
            [
                state[f"{attention}.q_proj.bias"],
                np.zeros(8, np.float32),
                state[f"{attention}.v_proj.bias"],
            ]
        )
        for part, name in (
            ("self_attention/linear_1", "self_attn.out_proj"),
            ("ffn/linear_0", "fc1"),
            ("ffn/linear_1", "fc2"),
        ):
            for kind in ("weight", "bias"):
                tensors[f"{theirs}/{part}/{kind}"] = state[f"{ours}.{name}.{kind}"]
        for part, name in (
            ("self_attention/layer_norm", "self_attn_layer_norm"),
            ("ffn/layer_norm", "final_layer_norm"),
        ):
            tensors[f"{theirs}/{part}/gamma"] = state[f"{ours}.{name}.weight"]
            tensors[f"{theirs}/{part}/beta"] = state[f"{ours}.{name}.bias"]
    return tensors


def write(path: Path, tensors: dict[str, np.ndarray], specification: str = "WhisperSpec") -> None:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    parts = [struct.pack("<I", 6), text(specification), struct.pack("<II", 3, len(tensors))]
    for name, values in tensors.items():
        parts.append(text(name) + struct.pack("<B", values.ndim))
        parts.append(struct.pack(f"<{values.ndim}I", *values.shape))
        parts.append(struct.pack("<BI", _TYPES[values.dtype.name], values.nbytes))
        parts.append(values.tobytes())
    path.write_bytes(b"".join(parts))


def test_the_encoder_has_the_weights_of_the_file(tmp_path: Path) -> None:
    encoder = tiny()
    write(tmp_path / "model.bin", as_ctranslate2(encoder))
    loaded = whisper_encoder(tmp_path / "model.bin")
    spectrogram = torch.randn(2, 6, 20)
    torch.testing.assert_close(
        loaded(spectrogram).last_hidden_state, encoder(spectrogram).last_hidden_state
    )


def test_half_precision_is_read(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.0]], np.float16)
    write(tmp_path / "model.bin", {"a": values})
    np.testing.assert_array_equal(read_ctranslate2(tmp_path / "model.bin")["a"], values)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = as_ctranslate2(tiny())
    del tensors["encoder/layer_1/ffn/linear_1/weight"]
    write(tmp_path / "model.bin", tensors)
    with pytest.raises(WeightsError, match="encoder/layer_1/ffn/linear_1"):
        whisper_encoder(tmp_path / "model.bin")


def test_another_model_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "model.bin", {}, "TransformerSpec")
    with pytest.raises(WeightsError, match="expected a WhisperSpec, got 'TransformerSpec'"):
        whisper_encoder(tmp_path / "model.bin")


@pytest.mark.parametrize("size", [0, 3, 40])
def test_a_cut_file_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model.bin"
    write(path, {"a": np.zeros(100, np.float32)})
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsError, match="not a CTranslate2 model, or incomplete"):
        read_ctranslate2(path)
