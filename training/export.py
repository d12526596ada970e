"""`earshot export`: the network of a finished run, as the int8 graph that is served."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from safetensors.torch import save_file

from app.audio.log_mel import LogMelConfig
from app.checkpoints import store
from app.checkpoints.card import Card, OodDetector
from training.corpora import LabeledRecording
from training.data_source import TrainingData, prepare
from training.dataset import EvalDataset
from training.networks import AudioClassifier
from training.ood import add_ood_output
from training.runs import FP32_MODEL, RunConfig, RunRecord, load_run
from training.tasks import TASKS
from training.waveforms import decode_all, readable

INPUT, OUTPUT = "spectrogram", "logits"

_CALIBRATION_CLIPS = 512
_CALIBRATION_BATCH = 16


def export(run: Path, root: Path | None = None, *, weights: bool = False) -> store.Checkpoint:
    """Quantise a finished run's network on training clips and write it into a store.

    The card's metrics stay empty until `earshot evaluate` has run. The fp32 graph stays in
    the run's folder, for comparison.

    Args:
        run: the folder of the run.
        root: the store; None: the one that the run was begun with.
        weights: whether those before quantisation join the checkpoint in bfloat16, for the
            service on a GPU.

    Raises:
        RunError, CorpusError, CheckpointError: see their modules.
    """
    config, record, network = load_run(run)
    fp32 = run / FP32_MODEL
    recordings, _ = config.source.load(config.task)
    data = prepare(
        recordings,
        record.training.held_out,
        sample_rate=record.input.sample_rate,
        cache=config.cache,
    )
    ood = _train_ood_detector(network, config, record, data, recordings)
    write_onnx(network, record.input, fp32)
    with tempfile.TemporaryDirectory() as folder:
        int8 = Path(folder) / store.MODEL
        quantise(fp32, int8, _calibration_spectrograms(data, record))
        now = datetime.now(UTC)
        card = Card(
            task=config.task,
            name=config.name,
            version=f"{now:%Y.%m.%d}-{store.sha256(int8)[:8]}",
            created=now.date(),
            labels=record.labels,
            network=config.network,
            input=record.input,
            temperature=1.0,
            ood=ood,
            training=record.training,
            metrics=None,
            files={store.MODEL: store.sha256(int8)},
        )
        files = {store.MODEL: int8}
        if weights:
            files[store.WEIGHTS] = Path(folder) / store.WEIGHTS
            write_weights(network, files[store.WEIGHTS])
        return store.save(root or config.store, card, files)


def _train_ood_detector(
    network: AudioClassifier,
    config: RunConfig,
    record: RunRecord,
    data: TrainingData,
    recordings: Sequence[LabeledRecording],
) -> OodDetector | None:
    """Give the network its last output, where there is anything to train it on."""
    ood = config.source.load_ood(config.task, recordings)
    if ood is None:
        return None
    train = data.split.train
    rate = record.input.sample_rate
    waveforms = decode_all([*train, *ood.train], sample_rate=rate, cache=config.cache)
    others = readable(ood.train, waveforms)
    add_ood_output(network, train, others, waveforms, record.input, config.seed)
    return OodDetector(reason=TASKS[config.task].ood_reason, trained_on=ood.trained_on)


def write_weights(network: AudioClassifier, path: Path) -> None:
    """Write the network's weights in bfloat16, as `app.inference.torch_engine` reads them."""
    state = network.state_dict()
    save_file(
        {
            name: (weight.bfloat16() if weight.is_floating_point() else weight).contiguous()
            for name, weight in state.items()
        },
        path,
    )


def write_onnx(network: AudioClassifier, config: LogMelConfig, path: Path) -> None:
    """Write the network as an ONNX graph, batch normalisation folded, batch size free."""
    example = torch.zeros(2, 1, config.n_mels, config.frames)
    # The exporter reports its progress and its own deprecations at length.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval().to("cpu"),
            (example,),
            path,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def quantise(fp32: Path, int8: Path, spectrograms: NDArray[np.float32]) -> None:
    """Quantise statically: unsigned 8-bit activations, signed 8-bit weights per channel.

    This is the form that CPUs with VNNI compute fastest.

    Args:
        fp32: the graph to quantise.
        int8: file to write.
        spectrograms: calibrate the ranges of activations, `[clips, 1, mels, frames]`.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(fp32, prepared)
        quantize_static(
            prepared,
            int8,
            _Batches(spectrograms),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            # A millionth of the work, and its outputs have little in common: they would be
            # rounded by one scale.
            nodes_to_exclude=_linear_layers(prepared),
        )


def _linear_layers(model: Path) -> list[str]:
    graph = onnx.load(model).graph
    return [node.name for node in graph.node if node.op_type in ("Gemm", "MatMul")]


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # its package has no types
    def __init__(self, spectrograms: NDArray[np.float32]) -> None:
        self._batches: Iterator[NDArray[np.float32]] = iter(
            np.array_split(spectrograms, -(-len(spectrograms) // _CALIBRATION_BATCH))
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _calibration_spectrograms(data: TrainingData, record: RunRecord) -> NDArray[np.float32]:
    """Return spectrograms `[clips, 1, mels, frames]` of training recordings drawn at random."""
    dataset = EvalDataset(data.split.train, data.waveforms, record.input, record.labels)
    order = np.random.default_rng(record.training.seed).permutation(len(dataset))
    return np.stack([dataset[int(i)][0].numpy() for i in order[:_CALIBRATION_CLIPS]])
