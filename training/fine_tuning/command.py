"""`earshot fine-tune`: fine-tune a speech encoder for emotion, measure it, and write its graphs."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from transformers import PreTrainedModel

from app.audio.clips import iter_clips, pad_or_repeat
from app.audio.log_mel import LogMelConfig
from earshot.schemas import FrozenModel
from training.corpora import LabeledRecording
from training.corruptions.material import load_training_backgrounds
from training.data_source import DataSource, TrainingData, prepare
from training.fine_tuning.batches import FULL_SCALE, BatchRecipe, SpeechBatches, label_offsets
from training.fine_tuning.export import quantise, write_onnx
from training.fine_tuning.fit import FitError, FitRecipe, fit
from training.fine_tuning.spectrograms import log_mel_batch, whisper_log_mel
from training.metrics import recording_probabilities, score
from training.networks.speech_encoder import (
    EncoderError,
    SpeechEncoderClassifier,
    keep_layers,
    load_encoder,
)
from training.runs import FP32_MODEL, RunError, lock_run_config
from training.splits import Folds, default_held_out
from training.teachers.whisper import WeightsError, whisper_encoder

log = logging.getLogger(__name__)

TASK = "emotion"
INT8_MODEL = "model.onnx"

_ABSENT = -2.0
"""added to the logits of labels that a corpus lacks"""
_CORPUS_WEIGHTS = {
    "ravdess": 2.0,
    "nemo": 1.2,
    "emodb": 1.2,
    "urdu": 1.2,
    "banglaser": 0.8,
    "tess": 0.7,
    "cremad": 0.7,
    "turev": 0.6,
    "emotiontts": 0.6,
}
"""Two speakers, single words and two labels teach less than their numbers say."""
_DROPOUT = 0.3
_CALIBRATION_CLIPS = 200


class FineTuningConfig(FrozenModel):
    """The options of one fine-tuning: written into its folder before it begins."""

    data: Path
    """folder of the corpora"""
    encoder: str
    """CTranslate2's `model.bin` of a Whisper, a folder, or a name on the hub"""
    layers: int
    """of the encoder that are kept, from the first"""
    clip_seconds: float
    leave_out: tuple[str, ...]
    """corpora that are tested on, whole, and not trained on"""
    recipe: FitRecipe
    batches: BatchRecipe
    seed: int
    cache: Path
    """folder for decoded recordings"""


def make_config(
    *,
    data: Path,
    encoder: str,
    layers: int,
    clip_seconds: float,
    steps: int,
    batch_size: int,
    leave_out: Sequence[str],
    seed: int,
    cache: Path,
) -> FineTuningConfig:
    """Return the options of a fine-tuning with all hyperparameters, paths made absolute."""
    return FineTuningConfig(
        data=data.absolute(),
        encoder=str(Path(encoder).absolute()) if Path(encoder).exists() else encoder,
        layers=layers,
        clip_seconds=clip_seconds,
        leave_out=tuple(leave_out),
        recipe=FitRecipe(steps=steps),
        batches=BatchRecipe(batch_size=batch_size, corpus_weights=_CORPUS_WEIGHTS),
        seed=seed,
        cache=cache.absolute(),
    )


def fine_tune(config: FineTuningConfig, run: Path) -> None:
    """Fine-tune an encoder, or go on with an interrupted run, and write its graphs into `run`.

    Started by torchrun, several processes train together.

    Raises:
        RunError: the encoder cannot be loaded, or `run` holds another run.
        CorpusError, SplitError, OSError: see `training.data_source`.
    """
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo")
    try:
        _fine_tune(config, run)
    except (EncoderError, FitError, WeightsError) as error:
        raise RunError(str(error)) from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _fine_tune(config: FineTuningConfig, run: Path) -> None:
    torch.manual_seed(config.seed)
    encoder = keep_layers(_load(config.encoder), config.layers)
    recordings, labels = DataSource(config.data).load(TASK)
    folds = _held_out(recordings, config)
    lock_run_config(run, config, changeable=["cache"])
    network = SpeechEncoderClassifier(encoder, len(labels), dropout=_DROPOUT, first_mixed=1)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    log_mel = whisper_log_mel(config.clip_seconds)
    if not network.reads_waveform:
        log_mel = log_mel.model_copy(update={"n_mels": encoder.config.num_mel_bins})
    rate = log_mel.sample_rate
    data = prepare(recordings, folds, sample_rate=rate, cache=config.cache)
    train = data.split.train
    backgrounds = load_training_backgrounds(
        config.data, TASK, train, sample_rate=rate, cache=config.cache
    )
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    offsets = label_offsets(train, labels, _ABSENT)
    averaged = fit(
        network,
        SpeechBatches(
            train,
            [np.round(data.waveforms[each] * FULL_SCALE).astype(np.int16) for each in train],
            log_mel,
            config.batches,
            backgrounds,
            waveforms=network.reads_waveform,
            seed=100 * config.seed + rank,
        ),
        np.array([labels.index(each.label) for each in train]),
        np.stack([offsets[each.corpus] for each in train]),
        config.recipe,
        run,
    )
    averaged.to("cpu")
    if rank == 0:
        _log_metrics(averaged, data, log_mel, labels)
        _export(averaged, data, log_mel, config.seed, run)


def _load(encoder: str) -> PreTrainedModel:
    return whisper_encoder(Path(encoder)) if encoder.endswith(".bin") else load_encoder(encoder)


def _held_out(recordings: Sequence[LabeledRecording], config: FineTuningConfig) -> Folds:
    """Return the task's held-out speakers, and all speakers of the corpora that are left out."""
    kept = [each for each in recordings if each.corpus not in config.leave_out]
    folds = dict(default_held_out(kept, TASK, config.seed))
    for corpus in config.leave_out:
        here = {each.fold for each in recordings if each.corpus == corpus}
        folds[corpus] = tuple(sorted(here))
    return folds


def network_inputs(
    network: SpeechEncoderClassifier, clips: NDArray[np.float32], log_mel: LogMelConfig
) -> Tensor:
    """Return what a network reads of clips `[clips, samples]`: themselves, or spectrograms."""
    samples = torch.from_numpy(clips)
    return samples if network.reads_waveform else log_mel_batch(samples, log_mel)


@torch.inference_mode()
def recording_logits(
    network: SpeechEncoderClassifier, samples: NDArray[np.float32], log_mel: LogMelConfig
) -> NDArray[np.float32]:
    """Return the logits `[clips, labels]` of a recording, cut into clips as the service does."""
    clips = iter_clips([samples], log_mel.clip_samples, log_mel.clip_hop_samples, log_mel.padding)
    inputs = network_inputs(network, np.stack([clip for _, clip in clips]), log_mel)
    with torch.autocast("cpu", torch.bfloat16):
        logits: NDArray[np.float32] = network(inputs).float().numpy()
    return logits


def _log_metrics(
    network: SpeechEncoderClassifier,
    data: TrainingData,
    log_mel: LogMelConfig,
    labels: Sequence[str],
) -> None:
    for corpus in sorted({each.corpus for each in data.split.test}):
        here = [each for each in data.split.test if each.corpus == corpus]
        logits = [recording_logits(network, data.waveforms[each], log_mel) for each in here]
        y_pred = recording_probabilities(logits, 1.0).argmax(axis=1)
        y_true = np.array([labels.index(each.label) for each in here])
        scores = score(y_true, y_pred, labels, len({each.group for each in here}))
        log.info("%s: UAR %.1f %% of %d recordings", corpus, 100 * scores.uar, scores.clips)


def _export(
    network: SpeechEncoderClassifier,
    data: TrainingData,
    log_mel: LogMelConfig,
    seed: int,
    run: Path,
) -> None:
    train, length = data.split.train, log_mel.clip_samples
    drawn = np.random.default_rng(seed).permutation(len(train))[:_CALIBRATION_CLIPS]
    calibration = [
        network_inputs(
            network,
            pad_or_repeat(data.waveforms[train[i]], length, log_mel.padding)[None, :length],
            log_mel,
        ).numpy()
        for i in drawn
    ]
    write_onnx(network.eval(), torch.from_numpy(calibration[0]), run / FP32_MODEL)
    quantise(run / FP32_MODEL, run / INT8_MODEL, calibration)
    log.info("wrote %s and %s", run / FP32_MODEL, run / INT8_MODEL)
