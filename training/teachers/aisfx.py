"""aiSFX: a convolutional network that was trained on libraries of sound effects.

Ma and Li, "Representation Learning for the Automatic Indexing of Sound Effects Libraries",
ISMIR 2022; weights (package `aisfx`) CC BY 4.0. It reads 2.3 s at a time and gives 512 numbers.
"""

from collections.abc import Callable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

SAMPLE_RATE = 44_100
EMBEDDING_SIZE = 512

N_FFT, HOP_LENGTH, _BANDS = 2048, 1024, 96
BLOCK_FRAMES, BLOCK_HOP = 100, 50
_MAX_LEVEL = 9.457798957824707
"""of its training spectrograms, by which its inputs are divided"""
_COMPRESSION = 10_000.0
_PREFIX = "embedding_net."


class AisfxError(ValueError):
    """The weights of the package aisfx are missing, or not those of this network."""


class Aisfx(nn.Module):
    """The embedding network: input `[batch, frames, 96]`, output `[batch, 512]`."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 64, 128, 256, 512)
        for number, (inside, outside) in enumerate(pairwise(widths), 1):
            self.add_module(f"conv_block{number}", _ConvBlock(inside, outside))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Return the mean over bands and the maximum over frames of the last feature maps."""
        maps = spectrogram[:, None]
        for number in range(1, 5):
            maps = getattr(self, f"conv_block{number}")(maps)
            if number < 4:
                maps = functional.max_pool2d(maps, 2)
        pooled: Tensor = maps.mean(dim=3).amax(dim=2)
        return pooled

    @torch.inference_mode()
    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embedding `[512]` of mono 44.1 kHz samples, the mean over blocks of 2.3 s.

        Blocks overlap by half; shorter samples are followed by zeros.
        """
        embeddings: NDArray[np.float32] = self(blocks(torch.from_numpy(samples))).numpy()
        mean: NDArray[np.float32] = embeddings.mean(axis=0)
        return mean


class _ConvBlock(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, kernel_size=3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outside, outside, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.bn2 = nn.BatchNorm2d(outside)

    def forward(self, maps: Tensor) -> Tensor:
        maps = functional.relu(self.bn1(self.conv1(maps)))
        return functional.relu(self.bn2(self.conv2(maps)))


def load_aisfx(checkpoint: Traversable | None = None) -> Aisfx:
    """Load the network with the weights of the package `aisfx`, or of another file like it.

    The file is a pickle, of which only tensors and NumPy numbers are read.

    Raises:
        AisfxError: the package is missing, or the weights are not those of this network.
    """
    try:
        source = checkpoint or files("aisfx") / "models" / "checkpoint.pth"
    except ModuleNotFoundError as error:
        raise AisfxError("the package aisfx is missing: pip install --no-deps aisfx") from error
    scalar: Callable[..., Any] = np.int64(0).__reduce__()[0]  # type: ignore[assignment]
    # The file was written when this function's module had another name.
    allowed: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        scalar,
        (scalar, "numpy.core.multiarray.scalar"),
        np.dtype,
        type(np.dtype(np.int64)),
    ]
    network = Aisfx()
    try:
        with source.open("rb") as file, torch.serialization.safe_globals(allowed):
            state, _ = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict(_embedding_state(state))
    except (RuntimeError, UnpicklingError, ValueError, TypeError, AttributeError) as error:
        raise AisfxError(f"{source}: not the weights of aiSFX") from error
    return network.eval()


def blocks(samples: Tensor) -> Tensor:
    """Return `[blocks, 100, 96]` of the log-compressed mel spectrogram of mono 44.1 kHz samples."""
    peak = samples.abs().max().clamp_min(1e-9)
    spectrum = torch.stft(
        samples / peak,
        N_FFT,
        HOP_LENGTH,
        window=torch.hann_window(N_FFT),
        pad_mode="constant",
        return_complex=True,
    )
    power = (spectrum.real**2 + spectrum.imag**2).T @ mel_filters()
    spectrogram = compress(power)
    missing = max(0, BLOCK_FRAMES - len(spectrogram))
    padded = functional.pad(spectrogram, (0, 0, 0, missing))
    return padded.unfold(0, BLOCK_FRAMES, BLOCK_HOP).transpose(1, 2)


def mel_filters() -> Tensor:
    """Return `[N_FFT // 2 + 1, 96]`, each filter of which adds up to 1."""
    filters = melscale_fbanks(
        N_FFT // 2 + 1, 0.0, SAMPLE_RATE / 2, _BANDS, SAMPLE_RATE, norm=None, mel_scale="htk"
    )
    normalised: Tensor = filters / filters.sum(dim=0, keepdim=True).clamp_min(1e-9)
    return normalised


def compress(power: Tensor) -> Tensor:
    """Return the levels that the network reads of mel power."""
    return (power * _COMPRESSION + 1).log10() / _MAX_LEVEL


def _embedding_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(_PREFIX): value
        for name, value in state.items()
        if name.startswith(_PREFIX)
    }
