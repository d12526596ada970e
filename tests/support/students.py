"""A student at random weights, as it is exported, for tests that need any."""

from pathlib import Path

import numpy as np
import torch

from app.audio.network_inputs import WaveformConfig
from app.checkpoints import store
from app.checkpoints.card import LengthScores, OodDetector, ShortRecordings
from app.checkpoints.store import Checkpoint
from tests.support.cards import CARD, LABELS, LOG_MEL
from training.edge.graph import assemble
from training.export import quantise, write_onnx
from training.networks import EDGE_NETWORK, build_network

OUTPUTS = len(LABELS) + 1


def write_student(folder: Path) -> Checkpoint:
    """Write `urban-sound/edge` into a store below `folder`; it knows an OOD score and lengths."""
    torch.manual_seed(0)
    network = build_network(EDGE_NETWORK, OUTPUTS).eval()
    fp32, int8, whole = (folder / name for name in ("fp32.onnx", "int8.onnx", "whole.onnx"))
    write_onnx(network, torch.zeros(2, 1, LOG_MEL.n_mels, LOG_MEL.frames), fp32)
    inputs = np.random.default_rng(0).standard_normal((16, 1, LOG_MEL.n_mels, LOG_MEL.frames))
    quantise(fp32, int8, inputs.astype(np.float32))
    assemble(int8, LOG_MEL, len(LABELS), whole)
    short = LengthScores(
        seconds=0.5,
        recordings=9,
        accuracy=0.5,
        expected_calibration_error=0.1,
        uncalibrated_error=0.2,
        temperature=3.0,
    )
    card = CARD.model_copy(
        update={
            "name": "edge",
            "network": EDGE_NETWORK,
            "input": WaveformConfig.of_clips(LOG_MEL),
            "ood": OodDetector(trained_on=("esc50: cat",), threshold=-0.5),
            "short": ShortRecordings(
                shortest_seconds=0.1, whole_accuracy=0.9, lengths=(short,), command="earshot"
            ),
        }
    )
    return store.save(folder / "store", card, {store.MODEL: whole})
