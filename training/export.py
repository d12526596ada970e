"""`earshot export`: the network of a finished run, as the int8 graph that is served."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from safetensors.torch import save_file
from torch import Tensor, nn

from app.audio.log_mel import LogMelConfig
from app.audio.network_inputs import InputConfig, WaveformConfig, input_shape
from app.checkpoints import store
from app.checkpoints.card import Card, OodDetector
from app.checkpoints.store import ModelKey
from training.corpora import LabeledRecording
from training.data_source import DataSource, TrainingData, prepare
from training.dataset import FirstClipDataset, draw_clips
from training.edge.graph import assemble
from training.linear_heads import add_ood_output
from training.networks import EDGE_NETWORKS, AudioClassifier
from training.networks.classifier import HeadedNetwork
from training.runs import FP32_MODEL, RunError, RunRecord, load_run
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
    if weights and config.network in EDGE_NETWORKS:
        raise RunError(
            f"{run}: a {config.network} reads samples, and the service on a GPU runs a ResNet50: "
            "export it without --weights"
        )
    fp32 = run / FP32_MODEL
    recordings, _ = config.source.load(config.task)
    data = prepare(
        recordings,
        record.training.held_out,
        sample_rate=record.input.sample_rate,
        cache=config.cache,
    )
    ood = train_ood_detector(
        network,
        config.task,
        config.source,
        data,
        recordings,
        record.input,
        cache=config.cache,
        seed=config.seed,
    )
    write_onnx(network, torch.zeros(2, *input_shape(record.input)), fp32)
    with tempfile.TemporaryDirectory() as folder:
        int8 = Path(folder) / store.MODEL
        clips = FirstClipDataset(data.split.train, data.waveforms, record.input)
        quantise(fp32, int8, draw_clips(clips, _CALIBRATION_CLIPS, record.training.seed))
        if config.network in EDGE_NETWORKS:
            record = _with_front_end(record, fp32, int8)
        files = {store.MODEL: int8}
        if weights:
            files[store.WEIGHTS] = Path(folder) / store.WEIGHTS
            write_weights(network, files[store.WEIGHTS])
        key = ModelKey(config.task, config.name)
        return save_checkpoint(root or config.store, key, config.network, record, ood, files)


def _with_front_end(record: RunRecord, *graphs: Path) -> RunRecord:
    """Have graphs read samples in the place of spectrograms; return the record of such a network.

    The front end is not quantised: it decides between sounds by a few dB.
    """
    config = record.input
    assert isinstance(config, LogMelConfig)
    for graph in graphs:
        assemble(graph, config, len(record.labels), graph)
    return record.model_copy(update={"input": WaveformConfig.of_clips(config)})


def save_checkpoint(
    root: Path,
    key: ModelKey,
    network: str,
    record: RunRecord,
    ood: OodDetector | None,
    files: Mapping[str, Path],
) -> store.Checkpoint:
    """Write a new checkpoint into a store, with a card that has no metrics yet.

    Args:
        root: the store.
        key: task and name of the checkpoint.
        network: its kind.
        record: labels, input and training.
        ood: of its last output, if it has one.
        files: by their names in the checkpoint; the graph is among them.

    Raises:
        OSError: the store cannot be written.
    """
    hashes = {name: store.sha256(path) for name, path in files.items()}
    now = datetime.now(UTC)
    card = Card(
        task=key.task,
        name=key.name,
        version=f"{now:%Y.%m.%d}-{hashes[store.MODEL][:8]}",
        created=now.date(),
        labels=record.labels,
        network=network,
        input=record.input,
        temperature=1.0,
        ood=ood,
        training=record.training,
        metrics=None,
        files=hashes,
    )
    return store.save(root, card, files)


def train_ood_detector(
    network: HeadedNetwork,
    task: str,
    source: DataSource,
    data: TrainingData,
    recordings: Sequence[LabeledRecording],
    config: InputConfig,
    *,
    cache: Path,
    seed: int,
) -> OodDetector | None:
    """Give the network its last output, where there is anything to train it on.

    Args:
        network: is trained, and gets the output.
        task: of the network.
        source: of the recordings.
        data: the split that the network was trained on.
        recordings: all of the task.
        config: of the network's input.
        cache: folder for decoded recordings.
        seed: of which recordings are taken where there are many.

    Raises CorpusError when a corpus that is there is not as expected.
    """
    ood = source.load_ood(task, recordings)
    if ood is None:
        return None
    train = data.split.train
    waveforms = decode_all([*train, *ood.train], sample_rate=config.sample_rate, cache=cache)
    others = readable(ood.train, waveforms)
    add_ood_output(network, train, others, waveforms, config, seed)
    return OodDetector(reason=TASKS[task].ood_reason, trained_on=ood.trained_on)


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


def write_onnx(network: nn.Module, example: Tensor, path: Path, *, input_name: str = INPUT) -> None:
    """Write a network as an ONNX graph, batch normalisation folded.

    Args:
        network: is moved to the CPU.
        example: an input, with a batch of 2 or more; the graph's batch size is free.
        path: file to write.
        input_name: of the graph's input.
    """
    # The exporter reports its progress and its own deprecations at length.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval().to("cpu"),
            (example,),
            path,
            input_names=[input_name],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def quantise(fp32: Path, int8: Path, inputs: NDArray[np.float32]) -> None:
    """Quantise statically: unsigned 8-bit activations, signed 8-bit weights per channel.

    This is the form that CPUs with VNNI compute fastest.

    Args:
        fp32: the graph to quantise.
        int8: file to write.
        inputs: calibrate the ranges of activations, `[clips, 1, mels, frames]`.
    """
    # Linear layers are a millionth of the work, and their outputs have little in common: they would
    # be rounded by one scale.
    _quantise(fp32, int8, inputs, keep=lambda node: node.op_type in ("Gemm", "MatMul"))


def quantise_convolutions(
    fp32: Path, int8: Path, waveforms: NDArray[np.float32], module: str
) -> None:
    """Quantise the convolutions of one module as `quantise` does, and nothing else.

    For a network with its front end in the graph, which 8 bits are too few for.

    Args:
        fp32: the graph to quantise.
        int8: file to write.
        waveforms: calibrate the ranges of activations, `[clips, samples]`.
        module: the beginning of the names of the weights that are quantised.
    """
    _quantise(
        fp32,
        int8,
        waveforms,
        keep=lambda node: not any(name.startswith(module) for name in node.input),
        operators=["Conv"],
    )


def _quantise(
    fp32: Path,
    int8: Path,
    inputs: NDArray[np.float32],
    *,
    keep: Callable[[onnx.NodeProto], bool],
    operators: list[str] | None = None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        # Its symbolic inference knows no ReduceMax; shapes are inferred by ONNX itself.
        quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared).graph
        quantize_static(
            prepared,
            int8,
            _Batches(inputs, graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=operators,
            nodes_to_exclude=[node.name for node in graph.node if keep(node)],
        )


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # its package has no types
    def __init__(self, inputs: NDArray[np.float32], name: str) -> None:
        self._name = name
        self._batches: Iterator[NDArray[np.float32]] = iter(
            np.array_split(inputs, -(-len(inputs) // _CALIBRATION_BATCH))
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}
