"""LitServe (https://lightning.ai/docs/litserve) around the same front end and network.

python -m bench.litserve_server PORT

As its documentation has it: the server decodes, makes batches and answers; all else is Earshot's.
"""

import sys

import litserve  # type: ignore[import-not-found, unused-ignore]  # only where it is measured
import numpy as np
import threadpoolctl
from fastapi import Request
from numpy.typing import NDArray

from app.audio.network_inputs import clip_blocks
from app.checkpoints.card import Card
from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from app.inference.classifier import label_probabilities
from app.inference.engine import OpenVinoEngine
from bench.model_only import default_checkpoint
from bench.servers import URBAN_SOUND


class Api(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """Returns the label and the probabilities of the first clip of a recording."""

    card: Card
    engine: OpenVinoEngine
    reader: RecordingReader

    def setup(self, device: str) -> None:  # noqa: ARG002  # as LitServe calls it
        """Load the network."""
        threadpoolctl.threadpool_limits(1, "blas")
        checkpoint = default_checkpoint()
        self.card, self.engine = checkpoint.card, OpenVinoEngine(checkpoint.model)
        self.reader = RecordingReader(AudioLimits(max_seconds=60))

    def decode_request(self, request: Request) -> NDArray[np.float32]:
        """Compute the spectrogram `[1, n_mels, frames]` of the first clip."""
        data = request["file"].file.read()  # LitServe passes the form
        recording = self.reader.read(data, sample_rate=self.card.input.sample_rate)
        block = next(clip_blocks([recording.samples], self.card.input, clips=1))
        spectrogram: NDArray[np.float32] = block.inputs[0]
        return spectrogram

    def batch(self, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Stack clips."""
        return np.stack(inputs)

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute probabilities `[clips, labels]`."""
        return label_probabilities(self.engine.infer(x), self.card)

    def unbatch(self, output: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Split a batch into its clips."""
        return list(output)

    def encode_response(self, output: NDArray[np.float32]) -> dict[str, object]:
        """Make the answer."""
        return {
            "label": self.card.labels[int(output.argmax())],
            "probabilities": dict(zip(self.card.labels, output.tolist(), strict=True)),
        }


if __name__ == "__main__":
    api = Api(max_batch_size=8, batch_timeout=0.002, api_path=URBAN_SOUND)
    server = litserve.LitServer(api, accelerator="cpu")
    server.run("127.0.0.1", int(sys.argv[1]), generate_client_file=False, log_level="warning")
