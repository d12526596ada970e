"""What `earshot evaluate` measures beyond held-out recordings, by the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.checkpoints import store
from app.checkpoints.store import ModelKey
from earshot.cli import main
from earshot.schemas import Metrics
from tests.support.sounds import RATE, make, write_esc50
from training.corruptions import CORRUPTIONS
from training.corruptions.material import noise_recordings, speech_recordings
from training.lengths import LENGTHS, loudest_part

KEY = ModelKey("urban-sound", "hann")


@pytest.fixture
def fresh_store(tmp_path: Path, trained_store: Path) -> Path:
    return shutil.copytree(trained_store, tmp_path / "store")


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    for seed in range(4):
        soundfile.write(folder / f"{seed}.wav", make("airplane", seed), RATE)
    return folder


def run(fresh_store: Path, sound_corpus: Path, *arguments: str) -> Metrics:
    main(
        [
            *("evaluate", "--task", "urban-sound", "--checkpoint", "hann"),
            *("--store", str(fresh_store), "--data", str(sound_corpus)),
            *("--cache", str(fresh_store.parent / "cache"), "--out", str(fresh_store.parent / "o")),
            *arguments,
        ]
    )
    metrics = store.load(fresh_store, KEY).card.metrics
    assert metrics is not None
    return metrics


def fails(fresh_store: Path, sound_corpus: Path, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        run(fresh_store, sound_corpus, *arguments)
    return str(stopped.value.code)


def test_corruptions_are_measured_into_the_card_and_gone_on_with(
    fresh_store: Path, sound_corpus: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--corruptions", "--noise", str(sounds), "--speech", str(sounds))
    metrics = run(fresh_store, sound_corpus, *options)
    robustness = metrics.robustness
    assert robustness is not None
    assert robustness.recordings == metrics.overall.clips
    assert robustness.clean.accuracy == metrics.overall.accuracy
    assert list(robustness.by_kind) == list(CORRUPTIONS)
    cells = [cell for cells in robustness.by_kind.values() for cell in cells]
    assert len(cells) == 27
    mean = sum(cell.accuracy for cell in cells) / 27
    assert robustness.relative_accuracy == pytest.approx(mean / robustness.clean.accuracy, abs=1e-3)
    assert "--corruptions" in metrics.commands["robustness"]
    assert "| urban-sound/hann | room | 0.7 s |" in capsys.readouterr().out

    folder = fresh_store.parent / "o" / "corruptions"
    times = {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    gone = folder / "room-2.npz"
    gone.unlink()
    assert run(fresh_store, sound_corpus, *options).robustness == robustness
    again = {path: path.stat().st_mtime_ns for path in folder.glob("*.npz")}
    assert {path for path in again if again[path] != times[path]} == {gone}
    other = run(fresh_store, sound_corpus, *options, "--seed", "1").robustness
    assert other is not None
    assert other.seed == 1
    assert gone.stat().st_mtime_ns > again[gone]

    evaluated = run(fresh_store, sound_corpus)
    assert evaluated.robustness == other


def test_evaluating_anew_keeps_what_it_did_not_measure(
    fresh_store: Path, sound_corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(fresh_store, sound_corpus, "--slices")
    checkpoint = store.load(fresh_store, KEY)
    metrics = checkpoint.card.metrics
    assert metrics is not None
    older = metrics.model_copy(update={"accuracy_fp32": 0.5})
    changed = {"metrics": older, "sibling_metrics": (older,), "temperature": 7.0}
    store.replace_card(checkpoint, checkpoint.card.model_copy(update=changed))
    after = run(fresh_store, sound_corpus)
    card = store.load(fresh_store, KEY).card
    assert card.temperature != 7.0
    assert after.slices == metrics.slices
    assert after.commands == metrics.commands
    assert after.accuracy_fp32 == 0.5
    assert card.sibling_metrics == (older,)
    assert "kept as they were measured before: slices" in caplog.text


def test_a_quick_look_leaves_the_card_alone(
    fresh_store: Path, sound_corpus: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (fresh_store / "urban-sound" / "hann" / "card.json").read_bytes()
    run(
        *(fresh_store, sound_corpus, "--corruptions", "--quick"),
        *("--noise", str(sounds), "--speech", str(sounds)),
    )
    assert (fresh_store / "urban-sound" / "hann" / "card.json").read_bytes() == before
    assert "| urban-sound/hann | tempo | 1.25 |" in capsys.readouterr().out


def test_slices_and_held_out_sources_are_measured(fresh_store: Path, sound_corpus: Path) -> None:
    sliced = run(fresh_store, sound_corpus, "--slices")
    assert "sex" not in sliced.slices
    ratios = sliced.slices["signal-to-noise ratio"]
    assert ratios["all"].recordings == sliced.overall.clips
    assert sum(each.recordings for each in ratios.values()) == 2 * sliced.overall.clips
    metrics = run(fresh_store, sound_corpus, "--protocol", "held-out")
    scores = metrics.generalization["held-out"]["urbansound8k"]
    assert scores.accuracy.value == metrics.overall.accuracy
    assert scores.groups == metrics.overall.groups
    assert metrics.slices == sliced.slices


def test_what_is_missing_is_told_before_the_run(
    fresh_store: Path, sound_corpus: Path, sounds: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert "noise needs ESC-50-master below --data, or a folder as --noise DIR" in fails(
        fresh_store, sound_corpus, "--corruptions"
    )
    assert "empty holds no recordings" in fails(
        fresh_store, sound_corpus, "--corruptions", "--noise", str(tmp_path / "empty")
    )
    assert "speech needs held-out speakers below --data (RAVDESS 17, 18, 19, 20; " in fails(
        fresh_store, sound_corpus, "--corruptions", "--noise", str(sounds)
    )
    assert "leave-corpus-out needs two at least" in fails(
        fresh_store, sound_corpus, "--protocol", "leave-corpus-out"
    )
    assert "no corpus that urban-sound/hann was not trained on" in fails(
        fresh_store, sound_corpus, "--protocol", "new-corpora"
    )
    assert "SONYC-UST" in fails(fresh_store, sound_corpus, "--protocol", "street-tags")
    assert "it has no OOD detector" in fails(fresh_store, sound_corpus, "--ood")


def test_a_card_that_is_not_filled_in_or_of_another_time_is_told(
    fresh_store: Path, sound_corpus: Path
) -> None:
    checkpoint = store.load(fresh_store, KEY)
    path = checkpoint.folder / store.CARD
    store.replace_card(checkpoint, checkpoint.card.model_copy(update={"metrics": None}))
    assert "has no metrics yet: run earshot evaluate without" in fails(
        fresh_store, sound_corpus, "--slices"
    )
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    assert "not a valid card: schema_version" in fails(fresh_store, sound_corpus, "--corruptions")


def test_tests_and_training_share_no_background(tmp_path: Path) -> None:
    write_esc50(tmp_path, clips=40)
    table = tmp_path / "ESC-50-master" / "meta" / "esc50.csv"
    heading, *rows = table.read_text().splitlines()
    fields = [row.split(",") for row in rows]
    for number, row in enumerate(fields):
        row[1] = str(number % 5 + 1)
    # The same source in a fold of each side, as a mistake in a table would have it.
    fields[1][3] = fields[4][3]
    table.write_text("\n".join([heading, *(",".join(row) for row in fields)]) + "\n")
    test, training = (noise_recordings(tmp_path, "emotion", side) for side in ("test", "training"))
    assert len(test) > 30
    assert len(training) > 30
    assert not {each.group for each in test} & {each.group for each in training}
    labelled = test[:3]
    assert not {each.group for each in labelled} & {
        each.group for each in noise_recordings(tmp_path, "emotion", "test", labelled)
    }


def test_voices_of_tests_are_those_that_are_held_out(tmp_path: Path) -> None:
    for actor in range(1, 21):
        folder = tmp_path / "RAVDESS" / f"Actor_{actor:02}"
        folder.mkdir(parents=True)
        (folder / f"03-01-01-01-01-01-{actor:02}.wav").touch()
    test, training = (speech_recordings(tmp_path, side) for side in ("test", "training"))
    assert {each.fold for each in test} == {"17", "18", "19", "20"}
    assert len(training) == 16


def test_the_report_is_what_the_cards_say(
    fresh_store: Path, sound_corpus: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = ("--noise", str(sounds), "--speech", str(sounds))
    metrics = run(fresh_store, sound_corpus, "--corruptions", "--recordings", "3", *sound)
    assert metrics.robustness is not None
    assert metrics.robustness.recordings == 3
    capsys.readouterr()
    out = fresh_store.parent / "figures"
    main(["robustness", "--store", str(fresh_store), "--out", str(out)])
    printed = capsys.readouterr().out
    relative = f"{metrics.robustness.relative_accuracy:.1%}"
    assert f"| urban-sound/hann | mean of all, relative to none |  | {relative} |" in printed
    assert (out / "robustness.png").read_bytes().startswith(b"\x89PNG")
    assert not (out / "ood.png").exists()
    json.dumps(metrics.model_dump(mode="json"))


def test_lengths_are_measured_into_the_card(
    fresh_store: Path, sound_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = run(fresh_store, sound_corpus, "--lengths")
    card = store.load(fresh_store, KEY).card
    short = card.short
    assert short is not None
    assert [each.seconds for each in short.lengths] == [
        length for length in LENGTHS if length < card.input.clip_seconds
    ]
    assert {each.recordings for each in short.lengths} == {metrics.overall.clips}
    assert short.whole_accuracy == pytest.approx(metrics.overall.accuracy, abs=0.05)
    needed = 0.5 * (short.whole_accuracy + 1 / len(card.labels))
    worth = [each.accuracy >= needed for each in short.lengths]
    at = [each.seconds for each in short.lengths].index(short.shortest_seconds)
    assert all(worth[at:])
    assert not at or not worth[at - 1]
    assert "--lengths" in short.command
    assert f"shortest with a label: {short.shortest_seconds:g} s" in capsys.readouterr().out


def test_the_loudest_part_is_the_one_with_most_power() -> None:
    samples = np.float32([0, 3, 0, 0, 2, -2, 2, 0])
    np.testing.assert_array_equal(loudest_part(samples, 3), [2, -2, 2])
    np.testing.assert_array_equal(loudest_part(samples, 1), [3])
    np.testing.assert_array_equal(loudest_part(samples, 20), samples)
