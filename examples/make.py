"""Make the recordings of this folder again: python examples/make.py

Those of a street are arithmetic, each after how the sound comes about: the reeds of a horn, the
throat of a dog, the strokes of a machine. They are seeded, so that they are the same each time. The
music is from the gallery. Voices are spoken by espeak-ng, which Debian has a package of.
`examples.json` says what each is, and tests/e2e/test_examples.py that the service hears it too.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal

RATE = 24_000
HERE = Path(__file__).parent
MUSIC = HERE.parent / "assets" / "genres" / "jazz" / "corner_swing.ogg"
PEAK = 0.6

Sound = NDArray[np.float64]


def siren(rng: np.random.Generator) -> Sound:
    """A wail: it rises to 1.4 kHz and falls, in a street that echoes."""
    position = (_times(6) / 3.5) % 1
    rising = 1 - np.exp(-6 * position)
    falling = np.exp(-6 * (position - 0.5)) * (1 - np.exp(-3))
    height = np.where(position < 0.5, rising, falling)
    phase = 2 * np.pi * np.cumsum(600 * (1400 / 600) ** height) / RATE
    tone = _harmonics(phase, [(1 if k % 2 else 0.5) / k for k in range(1, 9)])
    return _outdoors(_band(tone, 400, 4500), rng, seconds=1.0, wet=0.4)


def car_horn(rng: np.random.Generator) -> Sound:
    """A chord of three reeds: twice briefly, then long."""
    times = _times(4.8)
    chord = np.zeros(times.size)
    for hertz in (500, 410, 320):
        chord += _harmonics(2 * np.pi * hertz * times, [1 / k**0.6 for k in range(1, 16)])
    pressed = np.zeros(times.size)
    for start, end in ((0.3, 0.9), (1.2, 1.8), (2.2, 4.2)):
        pressed += np.clip(np.minimum((times - start) / 0.02, (end - times) / 0.03), 0, 1)
    return _outdoors(_band(chord * pressed, 350, 6000), rng, seconds=0.5, wet=0.25)


def jackhammer(rng: np.random.Generator) -> Sound:
    """Fourteen strokes a second on metal and ground, and the air that drives them."""
    strokes = np.zeros(5 * RATE)
    start = 0.05
    while start < 4.95:
        burst = rng.standard_normal(_samples(0.04)) * np.exp(-_times(0.04) / 0.006)
        _add(strokes, start, burst * (1 + 0.2 * rng.standard_normal()))
        start += (1 + 0.04 * rng.standard_normal()) / 14
    metal = np.sum([_resonance(strokes, hertz, 12) for hertz in (900, 1700, 2900)], axis=0)
    blows = _normalize(0.6 * strokes + metal + _low(strokes, 180))
    air = _normalize(_noise(strokes.size, rng, tilt=1))
    return _outdoors(blows + 0.3 * air, rng, seconds=0.35, wet=0.3)


def drilling(rng: np.random.Generator) -> Sound:
    """A motor under a load that changes, its gear, and what it grinds."""
    size = 5 * RATE
    load = 1 - 0.6 * signal.lfilter([0.0005], [1, -0.9995], rng.standard_normal(size))
    turns = 2 * np.pi * np.cumsum(220 * load) / RATE
    motor = _harmonics(turns, [rng.uniform(0.3, 1) / k**0.5 for k in range(1, 20)])
    gear = 1 + 0.4 * np.sin(turns / 9)
    grinding = _normalize(_band(rng.standard_normal(size), 1500, 9000))
    return _outdoors((_normalize(motor) + grinding) * gear, rng, seconds=0.4, wet=0.3)


def engine_idling(rng: np.random.Generator) -> Sound:
    """Four cylinders of unequal strength at 720 turns a minute, through an exhaust."""
    pulses = np.zeros(5 * RATE)
    cylinders = 1 + 0.15 * rng.standard_normal(4)
    start, number = 0.01, 0
    while start < 4.98:
        burst = np.exp(-_times(0.02) / 0.004) * (1 + 0.5 * rng.standard_normal(_samples(0.02)))
        _add(pulses, start, cylinders[number % 4] * burst)
        start += (1 + 0.02 * rng.standard_normal()) / 24
        number += 1
    exhaust = np.sum([_resonance(pulses, *each) for each in ((90, 3), (160, 4), (320, 5))], axis=0)
    fan = _normalize(_low(_noise(pulses.size, rng, tilt=1.5), 2500))
    engine = _normalize(exhaust + 0.05 * pulses) + 0.1 * fan
    return _outdoors(engine, rng, seconds=0.3, wet=0.2)


def air_conditioner(rng: np.random.Generator) -> Sound:
    """Moving air, the blades that move it and the hum of their motor."""
    times = _times(5)
    air = _normalize(_low(_noise(times.size, rng, tilt=1), 6000))
    air *= 1 + 0.05 * np.sin(2 * np.pi * 14 * times)
    hum = 0.05 * _harmonics(2 * np.pi * 120 * times, [1, 0.5, 0.3, 0.2, 0.1])
    grille = _normalize(_band(_noise(times.size, rng, tilt=0), 200, 800))
    return _normalize(air + hum + 0.3 * grille)


def dog_bark(rng: np.random.Generator) -> Sound:
    """Six barks: folds whose pitch rises and falls, through three resonances of a throat."""
    barks = np.zeros(4 * RATE)
    for start in (0.3, 0.75, 1.6, 2.05, 3.0, 3.4):
        size = _samples(0.17)
        position = np.arange(size) / size
        pitch = 1 + 0.5 * np.sin(np.pi * np.clip(1.15 * position, 0, 1))
        phase = 2 * np.pi * np.cumsum(430 * rng.uniform(0.95, 1.05) * pitch) / RATE
        folds = signal.sawtooth(phase) * (1 + 0.35 * np.sin(phase / 2))
        breath = 0.3 * rng.standard_normal(size)
        swell = np.minimum(position / 0.08, 1) * np.clip((1 - position) / 0.55, 0, 1) ** 1.2
        _add(barks, start, (folds + breath) * swell * rng.uniform(0.8, 1))
    throat = 0.1 * barks
    for number, each in enumerate(((620, 4), (1250, 6), (2400, 7)), start=1):
        throat += _resonance(barks, *each) / number
    return _outdoors(_band(throat, 250, 7000), rng, seconds=0.4, wet=0.2)


def gun_shot(rng: np.random.Generator) -> Sound:
    """Three shots: a crack, a boom and their echo between houses."""
    shots = np.zeros(4 * RATE)
    for start in (0.4, 1.9, 2.3):
        times = _times(0.4)
        crack = rng.standard_normal(times.size) * np.exp(-times / 0.002)
        boom = 2.8 * _low(rng.standard_normal(times.size) * np.exp(-times / 0.05), 900)
        _add(shots, start, (crack + boom) * rng.uniform(0.9, 1))
    return _outdoors(shots, rng, seconds=1.2, wet=0.6, high=3500, street=0.003)


def street_scene(_: np.random.Generator) -> Sound:
    """A dog, a siren and a jackhammer, with silence between them."""
    scene = np.zeros(24 * RATE)
    for start, sound in ((0, dog_bark), (8, siren), (18, jackhammer)):
        _add(scene, start, _normalize(sound(_generator())))
    return scene


SOUNDS: dict[str, Callable[[np.random.Generator], Sound]] = {
    each.__name__: each
    for each in (
        *(siren, car_horn, jackhammer, drilling, engine_idling),
        *(air_conditioner, dog_bark, gun_shot, street_scene),
    )
}


def main() -> None:
    """Write every file that examples.json lists."""
    for example in json.loads((HERE / "examples.json").read_text(encoding="utf-8")):
        path = HERE / example["file"]
        if "espeak" in example:
            write(path, *_speak(example["espeak"]))
        elif path.stem in SOUNDS:
            write(path, SOUNDS[path.stem](_generator()), RATE)
        else:
            music, rate = soundfile.read(MUSIC, stop=6 * 44_100)
            write(path, signal.resample_poly(music.mean(axis=1), 160, 147), 48_000 * rate // 44_100)


def write(path: Path, sound: Sound, rate: int) -> None:
    """Write a sound as Ogg Vorbis, with its peak where there is room above."""
    soundfile.write(path, PEAK * _normalize(sound), rate, format="OGG", subtype="VORBIS")


def _speak(arguments: Sequence[str]) -> tuple[Sound, int]:
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        subprocess.run(["espeak-ng", "-w", spoken, *arguments], check=True)
        sound, rate = soundfile.read(spoken)
    return sound, rate


def _generator() -> np.random.Generator:
    return np.random.default_rng(1)


def _samples(seconds: float) -> int:
    return int(seconds * RATE)


def _times(seconds: float) -> Sound:
    return np.arange(_samples(seconds)) / RATE


def _normalize(sound: Sound) -> Sound:
    return sound / np.abs(sound).max()


def _harmonics(phase: Sound, amplitudes: Sequence[float]) -> Sound:
    return np.sum([a * np.sin(k * phase) for k, a in enumerate(amplitudes, start=1)], axis=0)


def _noise(size: int, rng: np.random.Generator, *, tilt: float) -> Sound:
    """Noise whose power falls with frequency to the power of `tilt`."""
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    frequencies[0] = frequencies[1]
    return np.fft.irfft(spectrum * (frequencies / 1000) ** (-tilt / 2), size)


def _band(sound: Sound, low: float, high: float) -> Sound:
    return signal.sosfilt(signal.butter(2, [low, high], "band", fs=RATE, output="sos"), sound)


def _low(sound: Sound, high: float) -> Sound:
    return signal.sosfilt(signal.butter(2, high, "low", fs=RATE, output="sos"), sound)


def _resonance(sound: Sound, hertz: float, quality: float) -> Sound:
    return signal.lfilter(*signal.iirpeak(hertz, quality, fs=RATE), sound)


def _add(sound: Sound, start: float, part: Sound) -> None:
    first = _samples(start)
    sound[first : first + part.size] += part[: sound.size - first]


def _outdoors(
    sound: Sound,
    rng: np.random.Generator,
    *,
    seconds: float,
    wet: float,
    high: float = 5000,
    street: float = 0.02,
) -> Sound:
    """Add an echo that fades within `seconds`, and the noise of a street."""
    size = _samples(seconds)
    echo = _low(rng.standard_normal(size), high) * np.exp(-6.9 * np.arange(size) / size)
    echo /= np.sqrt(np.sum(echo**2))
    near = sound + wet * signal.fftconvolve(sound, echo)[: sound.size]
    return _normalize(near) + street * _normalize(_noise(sound.size, rng, tilt=2))


if __name__ == "__main__":
    main()
