from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from training.corruptions import BACKGROUND_KINDS, CORRUPTIONS
from training.corruptions import augmentation as module
from training.corruptions.augmentation import Backgrounds, corrupt_for_training
from training.corruptions.backgrounds import BackgroundPool, BackgroundRecording
from training.corruptions.effects import Background
from training.corruptions.severities import TRAINING_EFFECTS

RATE = 16_000


def noise(seed: int, size: int = RATE) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


def backgrounds() -> Backgrounds:
    pool = BackgroundPool(
        [BackgroundRecording(f"{n}", f"group {n}", lambda n=n: noise(n)) for n in range(3)]
    )
    return dict.fromkeys(BACKGROUND_KINDS, pool)


@dataclass(frozen=True)
class _Spy:
    name: str
    drawn: Counter[str]

    def apply(
        self, samples: NDArray[np.float32], sample_rate: int, rng: Generator
    ) -> NDArray[np.float32]:
        self.drawn[self.name] += 1
        return samples


@pytest.mark.parametrize("given", [False, True])
def test_kinds_and_strengths_of_training_are_drawn_equally_often(
    given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: Counter[str] = Counter()
    mix = Background.mix

    def spy_on_mix(self: Background, *arguments: object) -> NDArray[np.float32]:
        drawn[f"background {self.snr_db} {self.voices}"] += 1
        return mix(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Background, "mix", spy_on_mix)
    spies = {
        kind: effects
        if kind in BACKGROUND_KINDS
        else tuple(_Spy(f"{kind} {strength}", drawn) for strength, _ in enumerate(effects))
        for kind, effects in TRAINING_EFFECTS.items()
    }
    monkeypatch.setattr(module, "TRAINING_EFFECTS", spies)
    rng = np.random.default_rng(0)
    for _ in range(900):
        corrupt_for_training(noise(9, 800), RATE, backgrounds() if given else {}, "group 0", rng)
    kinds = [kind for kind in CORRUPTIONS if given or kind not in BACKGROUND_KINDS]
    assert len(drawn) == sum(len(TRAINING_EFFECTS[kind]) for kind in kinds)
    of_gain = [drawn[f"gain {strength}"] for strength in range(3)]
    assert sum(of_gain) == pytest.approx(900 / len(kinds), rel=0.35)
    assert min(of_gain) > 0.5 * sum(of_gain) / 3


def test_corruptions_keep_a_recording_finite_and_below_full_scale() -> None:
    rng = np.random.default_rng(0)
    for seed in range(40):
        changed = corrupt_for_training(noise(seed, 9_000), RATE, backgrounds(), "group 0", rng)
        # A tempo of 0.95 is the slowest.
        assert 9_000 / 1.15 - 1 <= changed.size <= 9_000 / 0.95 + 1
        assert changed.dtype == np.float32
        assert np.abs(changed).max() <= 1


def test_the_background_is_never_of_the_recording_s_own_group() -> None:
    read: list[str] = []

    def reader(name: str) -> BackgroundRecording:
        def read_one() -> NDArray[np.float32]:
            read.append(name)
            return noise(1)

        return BackgroundRecording(name, name, read_one)

    pool = BackgroundPool([reader("own"), reader("other"), reader("third")])
    rng = np.random.default_rng(0)
    for _ in range(60):
        corrupt_for_training(noise(2, 800), RATE, {"noise": pool, "speech": pool}, "own", rng)
    assert set(read) == {"other", "third"}
