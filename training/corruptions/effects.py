"""Each corruption of a recording as a record of its strength, which applies it to samples.

Samples are mono float32 in -1..1, shape `[samples]`, and come out as the 16 bits of a file would
hold them. All but `Tempo` keep their number.

Why this is not audiomentations: 0.43 wants soxr below 1.0, which the service is past; it draws
from the global state of `random` and NumPy, so that an answer for one clip depends on those
before; and it has neither G.711 nor Opus nor lost packets. What is hard is left to libraries that
the service has anyway: FFmpeg's encoders and its `atempo` (by PyAV), SciPy's filters, soxr.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfiltfilt

from training.corruptions.ffmpeg import G711, change_tempo, encode_and_decode, through_g711

Array = NDArray[np.float32]

_FULL_SCALE = 32_767
_PACKET_SECONDS = 0.02
_TELEPHONE_RATE = 8_000
_CODEC_RATE = 16_000
_ROOM_CUBIC_METRES = 60.0
_TALKER_METRES = 1.0
_AUDIBLE = 1e-3
"""of the loudest frame's amplitude: what is weaker is a gap in a background"""


class Effect(Protocol):
    """A corruption of fixed strength."""

    def apply(self, samples: Array, sample_rate: int, rng: Generator) -> Array:
        """Return `samples` corrupted; what is random in it comes from `rng` alone."""
        ...


@dataclass(frozen=True)
class Background:
    """Another sound in the background; `mix` does what `Effect.apply` does for the others."""

    snr_db: float
    """mean power of the recording over that of the background"""
    voices: int = 1
    """recordings that sound together"""

    def mix(self, samples: Array, backgrounds: list[Array], rng: Generator) -> Array:
        """Return `samples` with the sum of `backgrounds` behind them, each as loud as the others.

        Each begins at a random place and is repeated as often as needed; its gaps are cut out.
        Where the sum exceeds full scale, recording and background are turned down together.

        Raises ValueError when `backgrounds` is empty, or one of them is silent.
        """
        if not backgrounds:
            raise ValueError("no recordings to put in the background")
        noise = np.sum([_fill(each, samples.size, rng) for each in backgrounds], axis=0)
        gain = _rms(samples) / _rms(noise) * 10 ** (-self.snr_db / 20)
        return quantize(_below_full_scale(samples + np.float32(gain) * noise))


@dataclass(frozen=True)
class Room:
    """A room of 60 m³, its talker 1 m away.

    A direct sound and noise that decays exponentially, as in Polack's model of late
    reverberation (1988). The ratio of the two is that of a diffuse field: the critical distance
    is 0.057 m · sqrt(volume / RT60). The power stays as it was.
    """

    rt60: float
    """seconds in which the sound decays by 60 dB"""

    def impulse_response(self, sample_rate: int, rng: Generator) -> Array:
        """Return the response of the room, the direct sound first, until 60 dB below it."""
        length = round(self.rt60 * sample_rate)
        decay = 10 ** (-3 * np.arange(length) / length)
        response = rng.standard_normal(length) * decay
        critical_metres = 0.057 * np.sqrt(_ROOM_CUBIC_METRES / self.rt60)
        response *= _TALKER_METRES / critical_metres / np.sqrt(np.sum(response[1:] ** 2))
        response[0] = 1.0
        return response.astype(np.float32)

    def apply(self, samples: Array, sample_rate: int, rng: Generator) -> Array:
        """See `Effect.apply`."""
        response = self.impulse_response(sample_rate, rng)
        wet = fftconvolve(samples, response)[: samples.size].astype(np.float32)
        return quantize(_below_full_scale(wet * np.float32(_rms(samples) / _rms(wet))))


@dataclass(frozen=True)
class Telephone:
    """A line of 8 kHz: a band, and G.711 as often as exchanges convert between networks."""

    low_hz: float
    high_hz: float
    codings: tuple[G711, ...]

    def apply(self, samples: Array, sample_rate: int, rng: Generator) -> Array:  # noqa: ARG002
        """See `Effect.apply`."""
        line = soxr.resample(_whole_frame(samples, sample_rate), sample_rate, _TELEPHONE_RATE)
        band = butter(4, (self.low_hz, self.high_hz), "bandpass", fs=_TELEPHONE_RATE, output="sos")
        line = sosfiltfilt(band, line, padlen=27).astype(np.float32)
        for law in self.codings:
            line = through_g711(line, law)
        return quantize(_fit(soxr.resample(line, _TELEPHONE_RATE, sample_rate), samples.size))


@dataclass(frozen=True)
class Codec:
    """Opus or MP3 at a low bit rate, by the toss of a coin; wide band, 16 kHz."""

    opus_kbps: int
    mp3_kbps: int

    def apply(self, samples: Array, sample_rate: int, rng: Generator) -> Array:
        """See `Effect.apply`."""
        is_opus = bool(rng.integers(2))
        name: Literal["opus", "mp3"] = "opus" if is_opus else "mp3"
        kbps = self.opus_kbps if is_opus else self.mp3_kbps
        sent = soxr.resample(_whole_frame(samples, sample_rate), sample_rate, _CODEC_RATE)
        received, rate = encode_and_decode(sent, _CODEC_RATE, name, kbps)
        return quantize(_fit(soxr.resample(received, rate, sample_rate), samples.size))


@dataclass(frozen=True)
class Clipping:
    """A level that is too high for the recorder: the peaks are cut off.

    What remains is as loud as before, not turned up: networks normalise.
    """

    fraction: float
    """of the samples that are not zero"""

    def apply(self, samples: Array, sample_rate: int, rng: Generator) -> Array:  # noqa: ARG002
        """See `Effect.apply`."""
        level = np.abs(samples)
        if not level.any():
            return samples
        limit = np.float32(np.quantile(level[level > 0], 1 - self.fraction))
        return quantize(samples.clip(-limit, limit))


@dataclass(frozen=True)
class Gain:
    """A recording level that is too low or too high, in a file of 16 bits."""

    gain_db: float

    def apply(self, samples: Array, sample_rate: int, rng: Generator) -> Array:  # noqa: ARG002
        """See `Effect.apply`."""
        return quantize(samples * np.float32(10 ** (self.gain_db / 20)))


@dataclass(frozen=True)
class PacketLoss:
    """Packets of 20 ms that never came, silent without concealment."""

    fraction: float
    """of the packets that begin within the recording; at least one is lost, and one arrives"""

    def apply(self, samples: Array, sample_rate: int, rng: Generator) -> Array:
        """See `Effect.apply`."""
        frame = round(_PACKET_SECONDS * sample_rate)
        frames = -(-samples.size // frame)
        if frames < 2:
            return samples
        lost = np.zeros(frames, bool)
        count = min(max(1, round(self.fraction * frames)), frames - 1)
        lost[rng.permutation(frames)[:count]] = True
        received: Array = np.where(np.repeat(lost, frame)[: samples.size], np.float32(0), samples)
        return received


@dataclass(frozen=True)
class Tempo:
    """Faster or slower at the same pitch (FFmpeg's atempo, WSOLA)."""

    factor: float
    """above 1 is faster: the recording is shorter by it"""

    def apply(self, samples: Array, sample_rate: int, rng: Generator) -> Array:  # noqa: ARG002
        """See `Effect.apply`."""
        length = max(1, round(samples.size / self.factor))
        return quantize(_fit(change_tempo(samples, sample_rate, self.factor), length))


def quantize(samples: Array) -> Array:
    """Return `samples` as a file of 16 bits holds them, cut off at full scale."""
    steps = np.rint(samples.clip(-1, 1) * np.float32(_FULL_SCALE))
    return (steps / np.float32(_FULL_SCALE)).astype(np.float32)


def _fill(background: Array, length: int, rng: Generator) -> Array:
    """Return `length` samples of a background of unit power, from a random place on."""
    frame = min(320, background.size)
    frames = background[: background.size // frame * frame].reshape(-1, frame)
    level = np.abs(frames).max(axis=1)
    audible = frames[level > _AUDIBLE * level.max()].ravel()
    if audible.size == 0:
        raise ValueError("a background is silent")
    turned = np.roll(audible, -int(rng.integers(audible.size)))
    filled: Array = np.resize(turned, length)
    return filled / np.float32(_rms(filled))


def _whole_frame(samples: Array, sample_rate: int) -> Array:
    """Return `samples`, with zeros behind where they do not fill a packet."""
    return _fit(samples, max(samples.size, round(_PACKET_SECONDS * sample_rate)))


def _fit(samples: Array, length: int) -> Array:
    """Return the first `length` samples, with zeros behind where there are fewer."""
    fitted: Array = np.pad(samples[:length], (0, max(0, length - samples.size)))
    return fitted


def _below_full_scale(samples: Array) -> Array:
    return samples / np.float32(max(1.0, np.abs(samples).max()))


def _rms(samples: Array) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-12
