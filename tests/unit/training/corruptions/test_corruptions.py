from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earshot.cli import main
from tests.support.sounds import RATE, make, tone
from training.corruptions import BACKGROUND_KINDS, CORRUPTIONS, SEVERITIES, CorruptionKind
from training.corruptions.apply import corrupt
from training.corruptions.backgrounds import (
    BackgroundError,
    BackgroundPool,
    BackgroundRecording,
    CorruptionError,
    pool_of_folder,
)
from training.corruptions.effects import Background
from training.corruptions.severities import (
    TEST_EFFECTS,
    TEST_NOISE_FOLDS,
    TRAINING_EFFECTS,
    TRAINING_NOISE_FOLDS,
)

SPEECH = make("dog_bark", seed=1)


def pool(count: int = 5) -> BackgroundPool:
    sounds = {f"speaker {n}": tone(500 + 100 * n, 0.5) for n in range(count)}
    return BackgroundPool(
        [BackgroundRecording(name, name, lambda s=samples: s) for name, samples in sounds.items()]
    )


def test_there_are_nine_kinds_in_three_severities() -> None:
    assert len(CORRUPTIONS) == len(set(CORRUPTIONS)) == 9
    assert set(TEST_EFFECTS) == set(TRAINING_EFFECTS) == set(CORRUPTIONS)
    assert all(len(effects) == len(SEVERITIES) for effects in TEST_EFFECTS.values())
    for kind in CORRUPTIONS:
        for effect in (*TEST_EFFECTS[kind], *TRAINING_EFFECTS[kind]):
            assert isinstance(effect, Background) == (kind in BACKGROUND_KINDS)


def test_nothing_that_tests_use_is_for_training() -> None:
    assert not TEST_NOISE_FOLDS & TRAINING_NOISE_FOLDS
    for kind in CORRUPTIONS:
        for trained in TRAINING_EFFECTS[kind]:
            for tested in TEST_EFFECTS[kind]:
                shared = (vars(trained).items() & vars(tested).items()) - {("voices", 1)}
                assert not shared, f"{kind}: {trained} and {tested} share {shared}"


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(CORRUPTIONS), st.sampled_from(SEVERITIES), st.integers(0, 2**40))
def test_a_corruption_depends_on_name_kind_severity_and_seed(
    kind: CorruptionKind, severity: int, seed: int
) -> None:
    first, again = (
        corrupt(SPEECH, RATE, kind, severity, name="a.wav", seed=seed, backgrounds=pool())
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, SPEECH)


@pytest.mark.parametrize("kind", ["noise", "speech", "room", "packet-loss"])
def test_another_name_or_seed_is_another_corruption(kind: CorruptionKind) -> None:
    def heard(name: str, seed: int) -> NDArray[np.float32]:
        return corrupt(SPEECH, RATE, kind, 3, name=name, seed=seed, backgrounds=pool())

    assert not np.array_equal(heard("a.wav", 0), heard("b.wav", 0))
    assert not np.array_equal(heard("a.wav", 0), heard("a.wav", 1))


def test_severities_differ_by_strength_alone() -> None:
    weak, strong = (
        corrupt(SPEECH * 0.2, RATE, "noise", severity, name="a", backgrounds=pool()) - SPEECH * 0.2
        for severity in (1, 2)
    )
    np.testing.assert_allclose(strong, weak * np.sqrt(10), atol=1e-3)


def test_nobody_talks_in_the_background_of_himself() -> None:
    drawn = [
        each
        for seed in range(20)
        for each in pool(3).draw(2, np.random.default_rng(seed), "speaker 1")
    ]
    pitches = {int(np.abs(np.fft.rfft(np.resize(each, RATE))).argmax()) for each in drawn}
    assert pitches == {500, 700}
    with pytest.raises(BackgroundError, match="all recordings for the background are of speaker 0"):
        pool(1).draw(1, np.random.default_rng(0), "speaker 0")


def test_what_is_unknown_or_missing_is_told_with_what_is_accepted() -> None:
    with pytest.raises(CorruptionError, match="unknown kind 'fog'; there are noise, speech, room"):
        corrupt(SPEECH, RATE, "fog", 1, name="a")  # type: ignore[arg-type]
    with pytest.raises(CorruptionError, match="unknown severity 4; there are 1, 2 and 3"):
        corrupt(SPEECH, RATE, "gain", 4, name="a")
    with pytest.raises(CorruptionError, match="needs recordings to put in the background"):
        corrupt(SPEECH, RATE, "speech", 1, name="a")
    with pytest.raises(CorruptionError, match="no samples"):
        corrupt(SPEECH[:0], RATE, "gain", 1, name="a")


def test_the_command_writes_what_an_evaluation_hears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise = tmp_path / "noise"
    noise.mkdir()
    soundfile.write(noise / "rain.wav", make("drilling", seed=2), RATE)
    soundfile.write(tmp_path / "in.wav", SPEECH, RATE, subtype="PCM_16")
    out = tmp_path / "out.wav"
    arguments = (
        "corrupt",
        str(tmp_path / "in.wav"),
        str(out),
        "--kind",
        "noise",
        "--severity",
        "2",
    )
    main([*arguments, "--noise", str(noise)])
    written, rate = soundfile.read(out, dtype="float32")
    expected = corrupt(
        SPEECH, RATE, "noise", 2, name="in.wav", backgrounds=pool_of_folder(noise, RATE)
    )
    assert rate == RATE
    assert soundfile.info(out).subtype == "PCM_16"
    np.testing.assert_allclose(written, expected, atol=1e-4)
    main([*arguments, "--noise", str(noise), "--seed", "1"])
    assert not np.array_equal(soundfile.read(out, dtype="float32")[0], written)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("in.wav", "out.mp3", "--kind", "gain"), "expected a name that ends in .wav or .flac"),
        (("in.wav", "out.wav", "--kind", "speech"), "--kind speech needs --noise"),
        (("in.wav", "out.wav", "--kind", "noise", "--noise", "empty"), "empty holds no rec"),
        (("broken.wav", "out.wav", "--kind", "gain"), "broken.wav: the file is not sound"),
        (("missing.wav", "out.wav", "--kind", "gain"), "missing.wav"),
        (("in.wav", "nowhere/out.wav", "--kind", "gain"), "nowhere"),
    ],
)
def test_the_command_tells_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    soundfile.write(tmp_path / "in.wav", SPEECH, RATE)
    with pytest.raises(SystemExit, match=message):
        main(["corrupt", *arguments, "--severity", "1"])


def test_the_command_lists_kinds_and_severities(capsys: pytest.CaptureFixture[str]) -> None:
    for option, wrong in (("--kind", "fog"), ("--severity", "4")):
        with pytest.raises(SystemExit):
            main(["corrupt", "a.wav", "b.wav", option, wrong])
        assert f"invalid choice: {wrong!r}" in capsys.readouterr().err.replace("4 (", "'4' (")


def test_a_folder_of_backgrounds_is_read_at_the_rate_asked_for(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    soundfile.write(tmp_path / "deep" / "a.WAV", tone(440, 1.0, rate=8_000), 8_000)
    (tmp_path / "notes.txt").write_text("no sound")
    [samples] = pool_of_folder(tmp_path, RATE).draw(3, np.random.default_rng(0))
    assert samples.size == RATE
    assert np.abs(np.fft.rfft(samples)).argmax() == 440


def test_a_folder_without_sound_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackgroundError, match=r"is no folder"):
        pool_of_folder(tmp_path / "missing", RATE)
    with pytest.raises(BackgroundError, match=r"holds no recordings \(looked for .*\.wav"):
        pool_of_folder(tmp_path, RATE)
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(BackgroundError, match=r"a\.wav"):
        pool_of_folder(tmp_path, RATE)
