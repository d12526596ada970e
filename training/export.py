"""`earshot export`: a finished run to the int8 graph that is served, in a store."""

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
from training.corpora import Clip
from training.data_source import Material, Source, prepare
from training.dataset import FirstClips
from training.networks.resnet import ResNetAudioClassifier
from training.ood import add_familiarity
from training.runs import FP32_MODEL, RunRecord, load_run
from training.waveforms import decode_all, readable

INPUT, OUTPUT = "spectrogram", "logits"

_CALIBRATION_CLIPS = 512
_CALIBRATION_BATCH = 16


def export(
    run: Path, source: Source, cache: Path, root: Path, *, weights: bool = False
) -> store.Checkpoint:
    """Quantise a finished run's network on training clips and write it into the store `root`.

    The card's metrics stay empty until `earshot evaluate` has run. The fp32 graph stays in
    the run's folder, for comparison. With `weights`, those before quantisation join the
    checkpoint in bfloat16, for the service on a GPU.

    Raises:
        RunError, CorpusError, CheckpointError: see their modules.
    """
    record, network = load_run(run)
    fp32 = run / FP32_MODEL
    clips, _ = source.load(record.task)
    material = prepare(
        clips, record.training.held_out, sample_rate=record.input.sample_rate, cache=cache
    )
    familiarity = _learn_familiarity(network, record, material, source, clips, cache)
    write_onnx(network, record.input, fp32)
    spectrograms = _calibration(material, record)
    with tempfile.TemporaryDirectory() as folder:
        int8 = Path(folder) / store.MODEL
        quantise(fp32, int8, spectrograms)
        now = datetime.now(UTC)
        card = Card(
            task=record.task,
            version=f"{now:%Y.%m.%d}-{store.sha256(int8)[:8]}",
            created=now.date(),
            labels=record.labels,
            input=record.input,
            temperature=1.0,
            familiarity=familiarity,
            training=record.training,
            metrics=None,
            files={store.MODEL: store.sha256(int8)},
        )
        files = {store.MODEL: int8}
        if weights:
            files[store.WEIGHTS] = Path(folder) / store.WEIGHTS
            write_weights(network, files[store.WEIGHTS])
        return store.save(root, card, files)


def _learn_familiarity(
    network: ResNetAudioClassifier,
    record: RunRecord,
    material: Material,
    source: Source,
    clips: Sequence[Clip],
    cache: Path,
) -> OodDetector | None:
    """Give the network its last output, where there is anything to learn it from."""
    foreign = source.load_foreign(record.task, clips)
    if foreign is None:
        return None
    rate = record.input.sample_rate
    waveforms = decode_all([*material.train, *foreign.learned], sample_rate=rate, cache=cache)
    others = readable(foreign.learned, waveforms)
    add_familiarity(network, material.train, others, waveforms, record.input, record.training.seed)
    return OodDetector(foreign=foreign.kinds)


def write_weights(network: ResNetAudioClassifier, path: Path) -> None:
    """Write the network's weights in bfloat16, as `app.inference.torch_engine` reads them."""
    state = network.state_dict()
    save_file(
        {
            name: (weight.bfloat16() if weight.is_floating_point() else weight).contiguous()
            for name, weight in state.items()
        },
        path,
    )


def write_onnx(network: ResNetAudioClassifier, config: LogMelConfig, path: Path) -> None:
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
    """Static quantisation: unsigned 8-bit activations, signed 8-bit weights per channel.

    This is the form that CPUs with VNNI compute fastest.

    Args:
        fp32: the graph to quantise.
        int8: file to write.
        spectrograms: what activations' ranges are read from, `[clips, 1, mels, frames]`.
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


def _calibration(material: Material, record: RunRecord) -> NDArray[np.float32]:
    """Spectrograms `[clips, 1, mels, frames]` of training clips drawn at random."""
    clips = FirstClips(material.train, material.waveforms, record.input, record.labels)
    order = np.random.default_rng(record.training.seed).permutation(len(clips))
    return np.stack([clips[int(i)][0].numpy() for i in order[:_CALIBRATION_CLIPS]])
