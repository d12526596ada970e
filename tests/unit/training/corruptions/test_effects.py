import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import welch

from tests.support.sounds import RATE, tone
from training.corruptions import CORRUPTIONS
from training.corruptions.effects import (
    Background,
    Clipping,
    Codec,
    Effect,
    Gain,
    PacketLoss,
    Room,
    Telephone,
    Tempo,
    quantize,
)
from training.corruptions.severities import TEST_EFFECTS

Array = NDArray[np.float32]


def noise(seconds: float = 2.0, seed: int = 0, level: float = 0.1) -> Array:
    generator = np.random.default_rng(seed)
    return (level * generator.standard_normal(round(seconds * RATE))).clip(-1, 1).astype(np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def decibels(ratio: float) -> float:
    return float(10 * np.log10(ratio))


@pytest.mark.parametrize("snr_db", [20.0, 10.0, 0.0])
@pytest.mark.parametrize("voices", [1, 3])
def test_a_background_is_as_loud_as_asked_for(snr_db: float, voices: int) -> None:
    samples = tone(440, 3.0, amplitude=0.1)
    backgrounds = [noise(1.0, seed, level=0.01 * 5**seed) for seed in range(voices)]
    mixed = Background(snr_db, voices).mix(samples, backgrounds, np.random.default_rng(0))
    background = mixed - samples
    assert decibels(np.mean(samples**2) / np.mean(background**2)) == pytest.approx(snr_db, abs=0.1)


def test_a_background_that_is_too_loud_turns_all_down() -> None:
    samples = tone(440, 1.0, amplitude=0.9)
    mixed = Background(0.0).mix(samples, [noise()], np.random.default_rng(0))
    assert np.abs(mixed).max() == pytest.approx(1.0, abs=1e-4)
    # Least squares finds how far the recording was turned down: it and the noise are not alike.
    gain = samples @ mixed / (samples @ samples)
    rest = mixed - gain * samples
    assert decibels(gain**2 * np.mean(samples**2) / np.mean(rest**2)) == pytest.approx(0, abs=0.1)


def test_gaps_of_a_background_are_cut_out() -> None:
    burst = np.zeros(RATE, np.float32)
    burst[4_000:8_000] = noise(0.25)
    silence = np.full(RATE * 2, 1e-6, np.float32)
    mixed = Background(0.0).mix(silence + tone(440, 2.0, amplitude=0.1), [burst], rng())
    power = (mixed - tone(440, 2.0, amplitude=0.1)).reshape(-1, 1_600).std(axis=1)
    assert power.min() > 0.5 * power.max()


def test_a_silent_background_is_refused() -> None:
    with pytest.raises(ValueError, match="silent"):
        Background(10.0).mix(noise(), [np.zeros(RATE, np.float32)], rng())
    with pytest.raises(ValueError, match="no recordings"):
        Background(10.0).mix(noise(), [], rng())


@pytest.mark.parametrize("rt60", [0.3, 0.7, 1.2])
def test_a_room_decays_by_60_db_in_its_time(rt60: float) -> None:
    response = Room(rt60).impulse_response(RATE, rng()).astype(np.float64)
    # Schroeder's backward integration, and the slope of the decay from -5 to -35 dB (ISO 3382).
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0])
    first, last = np.argmax(level < -5), np.argmax(level < -35)
    slope = np.polyfit(np.arange(first, last) / RATE, level[first:last], 1)[0]
    assert -60 / slope == pytest.approx(rt60, rel=0.1)


@pytest.mark.parametrize(("rt60", "expected_db"), [(0.3, -1.87), (0.7, -5.55), (1.2, -7.90)])
def test_a_room_is_as_reverberant_as_a_diffuse_field(rt60: float, expected_db: float) -> None:
    response = Room(rt60).impulse_response(RATE, rng())
    assert decibels(1 / np.sum(response[1:] ** 2)) == pytest.approx(expected_db, abs=0.02)


def test_a_room_keeps_the_power_and_rings_on() -> None:
    click = np.zeros(RATE, np.float32)
    click[1_000] = 0.5
    wet = Room(0.3).apply(click, RATE, rng())
    assert np.abs(wet[:1_000]).max() == 0
    assert np.abs(wet).argmax() == 1_000
    assert np.abs(wet[1_800:3_000]).max() > 1e-3
    steady = noise(4.0)
    assert Room(0.7).apply(steady, RATE, rng()).std() == pytest.approx(steady.std(), rel=0.01)


@pytest.mark.parametrize("severity", [0, 1, 2])
def test_a_telephone_passes_its_band_and_nothing_else(severity: int) -> None:
    line = TEST_EFFECTS["telephone"][severity]
    assert isinstance(line, Telephone)
    sent = noise(10.0)
    heard = line.apply(sent, RATE, rng())
    frequencies, before = welch(sent, RATE, nperseg=2_048)
    after = welch(heard, RATE, nperseg=2_048)[1]
    gain_db = 10 * np.log10(after / before)

    def at(hertz: float) -> float:
        return float(gain_db[np.abs(frequencies - hertz) < 40].mean())

    # Filtered forwards and backwards, a Butterworth filter is 6 dB down at its edges.
    assert at(line.low_hz) == pytest.approx(-6, abs=1.5)
    assert at(line.high_hz) == pytest.approx(-6, abs=1.5)
    assert at(1_000) == pytest.approx(0, abs=1)
    assert at(line.low_hz / 3) < -25
    assert gain_db[frequencies > 4_100].max() < -40


@pytest.mark.parametrize("law", ["alaw", "mulaw"])
def test_g711_has_its_ratio_of_signal_to_noise(law: str) -> None:
    sent = tone(1_000, 2.0, amplitude=0.25)
    wide, coded = (
        Telephone(300, 3_400, codings).apply(sent, RATE, rng())  # type: ignore[arg-type]
        for codings in ((), (law,))
    )
    middle = slice(RATE // 2, -RATE // 2)
    ratio = np.mean(wide[middle] ** 2) / np.mean((coded - wide)[middle] ** 2)
    assert 35 < decibels(ratio) < 42  # ITU-T G.712 asks for 33 dB at least


def test_a_low_bit_rate_costs_more() -> None:
    speech_like = noise(2.0) * np.abs(tone(4, 2.0, amplitude=1.0))
    for seed in range(4):  # both codecs occur
        errors = [
            np.mean(
                (effect.apply(speech_like, RATE, np.random.default_rng(seed)) - speech_like) ** 2
            )
            for effect in TEST_EFFECTS["codec"]
            if isinstance(effect, Codec)
        ]
        assert errors[0] < errors[-1] < 1.5 * np.mean(speech_like**2)


@pytest.mark.parametrize("seed", range(4))
def test_codecs_take_off_their_delay(seed: int) -> None:
    click = np.zeros(RATE, np.float32)
    click[6_000:6_020] = 0.8
    heard = Codec(16, 32).apply(click, RATE, np.random.default_rng(seed))
    assert np.abs(heard).argmax() == pytest.approx(6_010, abs=160)


@pytest.mark.parametrize("fraction", [0.05, 0.15, 0.3])
def test_so_many_samples_are_clipped(fraction: float) -> None:
    samples = noise()
    clipped = Clipping(fraction).apply(samples, RATE, rng())
    top = np.abs(clipped) >= np.abs(clipped).max() - 1e-4
    assert np.mean(top) == pytest.approx(fraction, abs=0.01)
    np.testing.assert_allclose(clipped[~top], samples[~top], atol=1e-4)


def test_silence_around_a_shot_is_not_counted_as_clipped() -> None:
    samples = np.concatenate([np.zeros(9 * RATE, np.float32), noise(1.0)])
    clipped = Clipping(0.3).apply(samples, RATE, rng())
    assert clipped.std() > 0.2 * samples.std()
    assert not Clipping(0.3).apply(samples[:RATE], RATE, rng()).any()


def test_a_quiet_recording_keeps_few_of_its_16_bits() -> None:
    quiet = Gain(-40.0).apply(tone(440, 1.0, amplitude=0.5), RATE, rng())
    assert np.abs(quiet).max() == pytest.approx(0.005, rel=0.01)
    steps = np.unique(np.rint(quiet * 32_767))
    assert len(steps) <= 2 * 0.005 * 32_767 + 2
    np.testing.assert_allclose(steps, quiet_steps := np.rint(steps), atol=1e-3)
    assert quiet_steps.size > 100


def test_a_loud_recording_is_cut_off() -> None:
    loud = Gain(20.0).apply(tone(440, 1.0, amplitude=0.5), RATE, rng())
    assert np.abs(loud).max() == 1.0
    # A sine of ten times half the full scale is within it for asin(1/5) of each quarter.
    assert np.mean(np.abs(loud) == 1.0) == pytest.approx(1 - np.arcsin(0.2) / (np.pi / 2), abs=0.01)


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.25])
def test_so_many_packets_are_lost(fraction: float) -> None:
    samples = noise(10.0)
    heard = PacketLoss(fraction).apply(samples, RATE, rng())
    frames = heard.reshape(-1, RATE // 50)
    lost = ~frames.any(axis=1)
    assert np.mean(lost) == pytest.approx(fraction, abs=0.002)
    np.testing.assert_array_equal(frames[~lost], samples.reshape(frames.shape)[~lost])


def test_a_packet_at_least_is_lost_and_one_arrives() -> None:
    short = noise(0.04)
    heard = PacketLoss(0.02).apply(short, RATE, rng())
    assert np.mean(heard == 0) == pytest.approx(0.5)
    assert PacketLoss(0.25).apply(short[:100], RATE, rng()).any()


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.25])
def test_tempo_changes_the_length_and_keeps_the_pitch(factor: float) -> None:
    samples = tone(440, 3.0)
    changed = Tempo(factor).apply(samples, RATE, rng())
    assert changed.size == round(samples.size / factor)
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(changed.size)))
    assert spectrum.argmax() * RATE / changed.size == pytest.approx(440, abs=2)
    assert changed.std() == pytest.approx(samples.std(), rel=0.05)


def every_effect() -> list[Effect]:
    effects = [effect for kind in CORRUPTIONS for effect in TEST_EFFECTS[kind]]
    return [effect for effect in effects if not isinstance(effect, Background)]


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(every_effect()),
    st.integers(1, 6_000),
    st.sampled_from([8_000, 16_000, 22_050, 48_000]),
    st.integers(0, 100),
)
def test_every_effect_keeps_the_length_and_the_range(
    effect: Effect, length: int, rate: int, seed: int
) -> None:
    samples = noise(1.0, seed, level=0.3)[:length]
    before = samples.copy()
    heard = effect.apply(samples, rate, np.random.default_rng(seed))
    np.testing.assert_array_equal(samples, before)
    expected = max(1, round(length / effect.factor)) if isinstance(effect, Tempo) else length
    assert heard.shape == (expected,)
    assert heard.dtype == np.float32
    assert np.abs(heard).max() <= 1
    np.testing.assert_allclose(quantize(heard), heard, atol=1.6e-5)
    again = effect.apply(samples, rate, np.random.default_rng(seed))
    np.testing.assert_array_equal(again, heard)


@settings(deadline=None)
@given(
    st.floats(-5, 30),
    st.integers(1, 6_000),
    st.integers(1, 6_000),
    st.integers(1, 3),
    st.integers(0, 100),
)
def test_every_background_keeps_the_length_and_the_range(
    snr_db: float, length: int, background: int, voices: int, seed: int
) -> None:
    samples = noise(1.0, seed, level=0.5)[:length]
    backgrounds = [noise(1.0, 7 + voice)[:background] for voice in range(voices)]
    heard = Background(snr_db, voices).mix(samples, backgrounds, np.random.default_rng(seed))
    assert heard.shape == (length,)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1
