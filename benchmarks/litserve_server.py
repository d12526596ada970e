"""The same network and front end behind LitServe, a server that batches by itself.

python -m benchmarks.litserve_server PORT
"""

import sys
from pathlib import Path

import litserve
import numpy as np
from fastapi import UploadFile

from app.audio.clips import fill
from app.audio.frontend import log_mel
from app.audio.recording import read_recording
from app.checkpoints import store
from app.inference.engine import BATCH, OpenVinoEngine, calibrate

STORE = Path(__file__).parents[1] / "models_store"


class Api(litserve.LitAPI):
    """Decoding and spectrogram for each request, the network for a batch of them."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        checkpoint = store.load(STORE, "urban-sound", "hann")
        self._card = checkpoint.card
        self._engine = OpenVinoEngine(checkpoint.model)

    def decode_request(self, request: dict[str, UploadFile]) -> np.ndarray:
        front_end = self._card.front_end
        data = request["file"].file.read()
        samples = read_recording(data, sample_rate=front_end.sample_rate, max_seconds=60).samples
        length = front_end.clip_samples
        return log_mel(fill(samples, length, front_end.short_clip)[:length], front_end)[None]

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return calibrate(self._engine.infer(inputs), self._card.temperature)

    def unbatch(self, outputs: np.ndarray) -> list[np.ndarray]:
        return list(outputs)

    def encode_response(self, output: np.ndarray) -> dict[str, object]:
        return {
            "label": self._card.labels[int(output.argmax())],
            "probabilities": [round(float(p), 4) for p in output],
        }


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH, batch_timeout=0.0, api_path="/classify/urban-sound")
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
