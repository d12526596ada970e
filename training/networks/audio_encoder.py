"""A linear head on two frozen networks that know sounds: YAMNet and aiSFX.

Both are averaged: a linear layer on all of their features is the mean of one on each, as far as
labels go (the logarithms of softmaxes differ from logits by a constant of the clip).
"""

from pathlib import Path

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from training.networks.classifier import HeadedNetwork
from training.networks.front_ends import PowerSpectrum, Resampler
from training.teachers import aisfx, yamnet

SAMPLE_RATE = aisfx.SAMPLE_RATE
"""of the input, Hz"""
PARTS = (2 * yamnet.EMBEDDING_SIZE, aisfx.EMBEDDING_SIZE)
"""features of YAMNet and of aiSFX, in their order"""

QUANTISED = "aisfx.network."
"""the beginning of the names of the weights that 8 bits are enough for: most of the work, whereas
YAMNet's depthwise convolutions differ too much from channel to channel"""

_RMS = 0.1
_QUIETEST_RMS = 1e-4
_PATCH_HOP = yamnet.PATCH_FRAMES // 2


class YamnetFeatures(nn.Module):
    """YAMNet on a clip: square roots of mean and maximum of its embedding over 0.96 s each.

    Its level is brought to -20 dB of full scale first: YAMNet hears it, and it says how a
    recording was made rather than what is in it.
    """

    filters: Tensor

    def __init__(self, convolutions: nn.Sequential) -> None:
        """Put the front end before YAMNet's convolutions."""
        super().__init__()
        self.convolutions = convolutions
        self.spectrum = PowerSpectrum(
            torch.hann_window(yamnet.WINDOW_LENGTH), yamnet.HOP_LENGTH, yamnet.N_FFT
        )
        filters = melscale_fbanks(
            *(yamnet.N_FFT // 2 + 1, yamnet.LOWEST_HZ, yamnet.HIGHEST_HZ),
            *(yamnet.BANDS, yamnet.SAMPLE_RATE),
        )
        self.register_buffer("filters", filters)

    def forward(self, samples: Tensor) -> Tensor:
        """Return `[batch, 2048]` of samples at 16 kHz, `[batch, samples]`."""
        rms = samples.square().mean(dim=1, keepdim=True).sqrt()
        magnitude = self.spectrum(samples * (_RMS / rms.clamp_min(_QUIETEST_RMS))).sqrt()
        levels = (magnitude @ self.filters + yamnet.LOG_OFFSET).log()
        starts = range(0, levels.shape[1] - yamnet.PATCH_FRAMES + 1, _PATCH_HOP)
        patches = torch.stack([levels[:, s : s + yamnet.PATCH_FRAMES] for s in starts], dim=1)
        maps = self.convolutions(patches.flatten(0, 1)[:, None])
        embeddings = maps.mean(dim=(2, 3)).reshape(-1, len(starts), yamnet.EMBEDDING_SIZE)
        return torch.cat([embeddings.mean(dim=1), embeddings.amax(dim=1)], dim=1).sqrt()


class AisfxFeatures(nn.Module):
    """aiSFX on a clip: the mean of its embedding over 2.3 s each."""

    filters: Tensor

    def __init__(self, network: aisfx.Aisfx) -> None:
        """Put the front end before the network."""
        super().__init__()
        self.network = network
        self.spectrum = PowerSpectrum(torch.hann_window(aisfx.N_FFT), aisfx.HOP_LENGTH, aisfx.N_FFT)
        self.register_buffer("filters", aisfx.mel_filters())

    def forward(self, samples: Tensor) -> Tensor:
        """Return `[batch, 512]` of samples at 44.1 kHz, `[batch, samples]`."""
        peak = samples.abs().amax(dim=1, keepdim=True).clamp_min(1e-9)
        padded = functional.pad(samples / peak, (aisfx.N_FFT // 2, aisfx.N_FFT // 2))
        levels = aisfx.compress(self.spectrum(padded) @ self.filters)
        missing = max(0, aisfx.BLOCK_FRAMES - levels.shape[1])
        levels = functional.pad(levels, (0, 0, 0, missing))
        starts = range(0, levels.shape[1] - aisfx.BLOCK_FRAMES + 1, aisfx.BLOCK_HOP)
        blocks = torch.stack([levels[:, s : s + aisfx.BLOCK_FRAMES] for s in starts], dim=1)
        embeddings: Tensor = self.network(blocks.flatten(0, 1))
        return embeddings.reshape(-1, len(starts), aisfx.EMBEDDING_SIZE).mean(dim=1)


class AudioEncoder(HeadedNetwork):
    """Both networks with one head: samples at 44.1 kHz `[batch, samples]` to `[batch, outputs]`."""

    def __init__(
        self, yamnet_features: YamnetFeatures, aisfx_features: AisfxFeatures, outputs: int
    ) -> None:
        """Put the networks side by side, and an untrained head on both."""
        super().__init__()
        self.resample = Resampler(SAMPLE_RATE, yamnet.SAMPLE_RATE)
        self.yamnet, self.aisfx = yamnet_features, aisfx_features
        self.head = nn.Sequential(nn.Identity(), nn.Linear(sum(PARTS), outputs))

    def forward(self, samples: Tensor) -> Tensor:
        """Return the outputs."""
        outputs: Tensor = self.head(self.embed(samples))
        return outputs

    def embed(self, inputs: Tensor) -> Tensor:
        """Return the features of both, `[batch, 2560]`."""
        return torch.cat([self.yamnet(self.resample(inputs)), self.aisfx(inputs)], dim=1)


def load_audio_encoder(outputs: int, aisfx_weights: Path | None = None) -> AudioEncoder:
    """Load both networks, with an untrained head of so many outputs.

    Args:
        outputs: of the head.
        aisfx_weights: `checkpoint.pth` of aiSFX; None: that of the package.

    Raises:
        AisfxError: the package aisfx is missing, or the weights are not those of aiSFX.
        OSError: they cannot be read.
    """
    sounds = AisfxFeatures(aisfx.load_aisfx(aisfx_weights))
    return AudioEncoder(YamnetFeatures(_yamnet_convolutions()), sounds, outputs).eval()


def _yamnet_convolutions() -> nn.Sequential:
    """Return YAMNet's layers before the mean, with the weights that the package quantises."""
    graph = yamnet.read_graph()[0].graph
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    layers: list[nn.Module] = []
    for node in graph.node:
        if node.op_type == "Conv":
            weight, bias = (values[name.removesuffix("_qdq")] for name in node.input[1:])
            layers += _convolution(node, torch.from_numpy(weight.copy()), torch.tensor(bias))
    return nn.Sequential(*layers)


def _convolution(node: onnx.NodeProto, weight: Tensor, bias: Tensor) -> list[nn.Module]:
    options = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    top, left, bottom, right = options["pads"]
    outputs, inputs, height, width = weight.shape
    layer = nn.Conv2d(
        inputs * options["group"],
        outputs,
        (height, width),
        tuple(options["strides"]),
        groups=options["group"],
    )
    layer.load_state_dict({"weight": weight, "bias": bias})
    padding = [nn.ZeroPad2d((left, right, top, bottom))] if any(options["pads"]) else []
    return [*padding, layer, nn.ReLU()]
