"""`earshot fine-tune`: fine-tune a speech encoder for emotion, and write it into a store."""

import logging
import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed
from transformers import PreTrainedModel

from app.audio.network_inputs import InputConfig, WaveformConfig, clip_blocks
from app.checkpoints.card import Training
from app.checkpoints.store import MODEL, Checkpoint, ModelKey, sha256
from app.inference.engine import MAX_BATCH_SIZE
from earshot.schemas import FrozenModel, Slug
from training.corpora import LabeledRecording
from training.corruptions.material import load_training_backgrounds
from training.data_source import DataSource, TrainingData, prepare
from training.dataset import FirstClipDataset, draw_clips
from training.export import save_checkpoint, train_ood_detector
from training.fine_tuning import TASK
from training.fine_tuning.batches import (
    ABSENT,
    CORPUS_WEIGHTS,
    FULL_SCALE,
    BatchRecipe,
    SpeechBatches,
    label_offsets,
)
from training.fine_tuning.ensemble_graph import EnsembleGraph
from training.fine_tuning.export import quantise, write_graph
from training.fine_tuning.fit import FitError, FitRecipe, fit
from training.fine_tuning.frozen_head import HeadRecipe
from training.fine_tuning.refit import collect_material, fit_head
from training.fine_tuning.spectrograms import whisper_log_mel
from training.metrics import recording_probabilities, score
from training.networks import SPEECH_ENCODER
from training.networks.speech_encoder import (
    EncoderError,
    SpeechEncoderClassifier,
    keep_layers,
    load_encoder,
)
from training.networks.speech_ensemble import SpeechEnsemble
from training.runs import FP32_MODEL, RunError, RunRecord, lock_run_config
from training.splits import Folds, default_held_out
from training.teachers.whisper import WeightsError, whisper_encoder
from training.train import corpora_of

log = logging.getLogger(__name__)

_DROPOUT = 0.3
_FIRST_FROZEN_LAYER, _LAST_FROZEN_LAYER = 2, 4
"""before fine-tuning, these know most of emotion"""
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
    """corpora that are neither trained nor tested on"""
    recipe: FitRecipe
    batches: BatchRecipe
    seed: int
    cache: Path
    """folder for decoded recordings"""
    store: Path
    """where the checkpoint is written"""
    name: Slug
    """of the checkpoint"""


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
    store: Path,
    name: str,
) -> FineTuningConfig:
    """Return the options of a fine-tuning with all hyperparameters, paths made absolute."""
    return FineTuningConfig(
        data=data.absolute(),
        encoder=str(Path(encoder).absolute()) if Path(encoder).exists() else encoder,
        layers=layers,
        clip_seconds=clip_seconds,
        leave_out=tuple(leave_out),
        recipe=FitRecipe(steps=steps),
        batches=BatchRecipe(batch_size=batch_size, corpus_weights=CORPUS_WEIGHTS),
        seed=seed,
        cache=cache.absolute(),
        store=store.absolute(),
        name=name,
    )


def fine_tune(config: FineTuningConfig, run: Path) -> Checkpoint | None:
    """Fine-tune an encoder, or go on with an interrupted run, and write its graphs into `run`.

    Started by torchrun, several processes train together.

    Returns:
        the checkpoint in the store; None of all processes but the first.

    Raises:
        RunError: the encoder cannot be loaded, or `run` holds another run.
        CorpusError, SplitError, OSError: see `training.data_source`.
    """
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo")
    try:
        return _fine_tune(config, run)
    except (EncoderError, FitError, WeightsError) as error:
        raise RunError(str(error)) from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _fine_tune(config: FineTuningConfig, run: Path) -> Checkpoint | None:
    torch.manual_seed(config.seed)
    encoder = keep_layers(_load(config.encoder), config.layers)
    if not torch.cuda.is_available():
        # On a CPU its backward pass is a third faster than that of the fused kernel.
        encoder.set_attn_implementation("eager")
    source = DataSource(config.data)
    recordings, labels = source.load(TASK)
    folds = _held_out(recordings, config)
    recordings = [each for each in recordings if each.corpus not in config.leave_out]
    lock_run_config(run, config)
    original = deepcopy(encoder)
    network = SpeechEncoderClassifier(encoder, len(labels), dropout=_DROPOUT, first_mixed=1)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    inputs = _input_config(network, config.clip_seconds)
    data = prepare(recordings, folds, sample_rate=inputs.sample_rate, cache=config.cache)
    averaged = _fit(network, data, labels, inputs, config, run)
    averaged.to("cpu")
    if distributed.is_initialized() and distributed.get_rank() > 0:
        return None
    _log_metrics(averaged, data, inputs, labels)
    if averaged.reads_waveform:
        ood = train_ood_detector(
            averaged, TASK, source, data, recordings, inputs, cache=config.cache, seed=config.seed
        )
        _write_graphs(averaged, data, inputs, config.seed, run)
        head_recipe = None
    else:
        material = collect_material(
            source, data, recordings, labels, inputs, cache=config.cache, seed=config.seed
        )
        ood, head_recipe = material.ood, HeadRecipe()
        ensemble = SpeechEnsemble(
            averaged,
            original,
            layers=_frozen_layers(config.layers),
            other_outputs=0 if ood is None else 1,
        )
        _write_graphs(ensemble.eval(), data, inputs, config.seed, run)
        head = fit_head(
            run / MODEL, material, source, head_recipe, cache=config.cache, seed=config.seed
        )
        for name in (FP32_MODEL, MODEL):
            graph = EnsembleGraph(run / name)
            graph.replace_head(head, int8=name == MODEL)
            graph.save(run / name)
    training = _training(config, head_recipe, data, folds)
    record = RunRecord(labels=labels, input=inputs, training=training)
    key, files = ModelKey(TASK, config.name), {MODEL: run / MODEL}
    return save_checkpoint(config.store, key, SPEECH_ENCODER, record, ood, files)


def _fit(
    network: SpeechEncoderClassifier,
    data: TrainingData,
    labels: Sequence[str],
    inputs: InputConfig,
    config: FineTuningConfig,
    run: Path,
) -> SpeechEncoderClassifier:
    train = data.split.train
    backgrounds = load_training_backgrounds(
        config.data, TASK, train, sample_rate=inputs.sample_rate, cache=config.cache
    )
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    offsets = label_offsets(train, labels, ABSENT)
    batches = SpeechBatches(
        train,
        [np.round(data.waveforms[each] * FULL_SCALE).astype(np.int16) for each in train],
        inputs,
        config.batches,
        backgrounds,
        seed=100 * config.seed + rank,
    )
    return fit(
        network,
        batches,
        np.array([labels.index(each.label) for each in train]),
        np.stack([offsets[each.corpus] for each in train]),
        config.recipe,
        run,
    )


def _input_config(network: SpeechEncoderClassifier, clip_seconds: float) -> InputConfig:
    log_mel = whisper_log_mel(clip_seconds)
    if network.reads_waveform:
        return WaveformConfig.of_clips(log_mel)
    return log_mel.model_copy(update={"n_mels": network.encoder.config.num_mel_bins})


def _frozen_layers(kept: int) -> tuple[int, ...]:
    """Return the layers whose statistics the frozen head reads, of an encoder's first `kept`."""
    return tuple(range(min(kept, _FIRST_FROZEN_LAYER), min(kept, _LAST_FROZEN_LAYER) + 1))


def _training(
    config: FineTuningConfig, head: HeadRecipe | None, data: TrainingData, folds: Folds
) -> Training:
    """Return what the card says of the origin of the weights."""
    processes = distributed.get_world_size() if distributed.is_initialized() else 1
    drawn = config.recipe.steps * config.batches.batch_size * processes
    batches = asdict(config.batches)
    weights = batches.pop("corpus_weights")
    encoder = Path(config.encoder)
    name = f"{encoder.name} (SHA-256 {sha256(encoder)})" if encoder.is_file() else encoder.name
    return Training(
        corpora=corpora_of(data.split.train),
        held_out={corpus: tuple(names) for corpus, names in folds.items()},
        skipped_clips=data.skipped,
        epochs=max(1, round(drawn / len(data.split.train))),
        recipe={
            "layers": config.layers,
            "processes": processes,
            **asdict(config.recipe),
            **batches.pop("spectrograms"),
            **batches,
            **({} if head is None else asdict(head)),
            **{f"weight_{corpus}": weight for corpus, weight in weights.items()},
        },
        seed=config.seed,
        pretrained=f"speech encoder {name}",
    )


def _load(encoder: str) -> PreTrainedModel:
    return whisper_encoder(Path(encoder)) if encoder.endswith(".bin") else load_encoder(encoder)


def _held_out(recordings: Sequence[LabeledRecording], config: FineTuningConfig) -> Folds:
    """Return the task's held-out speakers of the corpora that are trained on."""
    folds = default_held_out(recordings, TASK, config.seed)
    return {corpus: names for corpus, names in folds.items() if corpus not in config.leave_out}


@torch.inference_mode()
def recording_logits(
    network: SpeechEncoderClassifier, samples: NDArray[np.float32], config: InputConfig
) -> NDArray[np.float32]:
    """Return the logits `[clips, labels]` of a recording, cut into clips as the service does."""
    blocks = clip_blocks([samples], config, clips=MAX_BATCH_SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = [network(torch.from_numpy(block.inputs)).float().numpy() for block in blocks]
    return np.concatenate(outputs)


def _log_metrics(
    network: SpeechEncoderClassifier,
    data: TrainingData,
    inputs: InputConfig,
    labels: Sequence[str],
) -> None:
    for corpus in sorted({each.corpus for each in data.split.test}):
        here = [each for each in data.split.test if each.corpus == corpus]
        logits = [recording_logits(network, data.waveforms[each], inputs) for each in here]
        y_pred = recording_probabilities(logits, 1.0).argmax(axis=1)
        y_true = np.array([labels.index(each.label) for each in here])
        scores = score(y_true, y_pred, labels, len({each.group for each in here}))
        log.info("%s: UAR %.1f %% of %d recordings", corpus, 100 * scores.uar, scores.clips)


def _write_graphs(
    network: SpeechEncoderClassifier | SpeechEnsemble,
    data: TrainingData,
    inputs: InputConfig,
    seed: int,
    run: Path,
) -> None:
    clips = FirstClipDataset(data.split.train, data.waveforms, inputs)
    calibration = [clip[None] for clip in draw_clips(clips, _CALIBRATION_CLIPS, seed)]
    write_graph(network, torch.from_numpy(calibration[0]), run / FP32_MODEL)
    quantise(run / FP32_MODEL, run / MODEL, calibration)
    log.info("wrote %s and %s", run / FP32_MODEL, run / MODEL)
