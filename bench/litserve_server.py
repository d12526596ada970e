"""LitServe (https://lightning.ai/docs/litserve) around the same front end and network.

python -m bench.litserve_server PORT

As its documentation has it: the server decodes, makes batches and answers; all else is Earshot's.
"""

import sys

import litserve
import numpy as np
import threadpoolctl
from fastapi import Request
from numpy.typing import NDArray

from app.audio.clips import clip_blocks
from app.checkpoints.card import Card
from app.decoding.recording import read_recording
from app.inference.engine import OpenVinoEngine
from app.inference.outputs import probabilities
from bench.other_servers import PATH
from bench.shipped import shipped_checkpoint


class Api(litserve.LitAPI):
    """Label and probabilities of the first clip of a recording."""

    card: Card
    engine: OpenVinoEngine

    def setup(self, device: str) -> None:  # noqa: ARG002  # as LitServe calls it
        """Load the network."""
        threadpoolctl.threadpool_limits(1, "blas")
        checkpoint = shipped_checkpoint()
        self.card, self.engine = checkpoint.card, OpenVinoEngine(checkpoint.model)

    def decode_request(self, request: Request) -> NDArray[np.float32]:
        """A clip's spectrogram, shape `[1, n_mels, frames]`."""
        data = request["file"].file.read()  # what LitServe passes is the form
        config = self.card.input
        recording = read_recording(data, sample_rate=config.sample_rate, max_seconds=60)
        block = next(clip_blocks([recording.samples], config, clips=1))
        return block.spectrograms[0]

    def batch(self, inputs: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Clips together."""
        return np.stack(inputs)

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities `[clips, labels]`."""
        return probabilities(self.engine.infer(x), self.card)

    def unbatch(self, output: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Each clip's own."""
        return list(output)

    def encode_response(self, output: NDArray[np.float32]) -> dict[str, object]:
        """The answer."""
        return {
            "label": self.card.labels[int(output.argmax())],
            "probabilities": dict(zip(self.card.labels, output.tolist(), strict=True)),
        }


if __name__ == "__main__":
    api = Api(max_batch_size=8, batch_timeout=0.002, api_path=PATH)
    server = litserve.LitServer(api, accelerator="cpu")
    server.run("127.0.0.1", int(sys.argv[1]), generate_client_file=False, log_level="warning")
