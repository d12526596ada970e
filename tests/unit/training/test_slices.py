from pathlib import Path

import numpy as np
import pytest

from earshot.schemas import Estimate, GroupedScores
from tests.support.sounds import RATE, tone
from training.attributes import LANGUAGES, intensity_of, sex_of, signal_to_noise_db
from training.corpora import LabeledRecording
from training.slices import ALL, worse_slices
from training.tasks import TASKS


def recording(corpus: str, path: str, speaker: str) -> LabeledRecording:
    return LabeledRecording(Path(path), "sad", corpus, f"{corpus}:{speaker}", speaker)


@pytest.mark.parametrize(
    ("corpus", "speaker", "sex"),
    [
        *(("ravdess", "17", "male"), ("ravdess", "18", "female"), ("emodb", "11", "male")),
        *(("emodb", "13", "female"), ("emovo", "f1", "female"), ("emovo", "m3", "male")),
        *(("urdu", "SM4", "male"), ("urdu", "SF1", "female"), ("tess", "OAF", "female")),
        *(("cremad", "1001", None), ("urbansound8k", "1", None)),
    ],
)
def test_the_sex_of_a_speaker_is_told_where_the_corpus_tells_it(
    corpus: str, speaker: str, sex: str | None
) -> None:
    assert sex_of(recording(corpus, "a.wav", speaker)) == sex


def test_nemo_tells_it_in_its_table(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("file_id\tspeaker_id\tgender\na.wav\tWR0\tmale\n")
    path = str(tmp_path / "samples" / "a.wav")
    assert sex_of(recording("nemo", path, "WR0")) == "male"
    assert sex_of(recording("nemo", path, "XX0")) is None


def test_the_intensity_is_the_fourth_field_of_ravdess() -> None:
    assert intensity_of(recording("ravdess", "03-01-04-02-01-01-17.wav", "17")) == "strong"
    assert intensity_of(recording("ravdess", "03-01-04-01-01-01-17.wav", "17")) == "normal"
    assert intensity_of(recording("banglaser", "03-01-04-02-01-01-17.wav", "17")) is None


def test_every_corpus_of_voices_has_a_language() -> None:
    assert set(TASKS["emotion"].corpora) == set(LANGUAGES)


@pytest.mark.parametrize("ratio", [10.0, 30.0])
def test_the_signal_to_noise_ratio_is_loud_parts_over_pauses(ratio: float) -> None:
    loud, pause = tone(400, 1.0), tone(400, 1.0, amplitude=0.5 * 10 ** (-ratio / 20))
    assert signal_to_noise_db(np.concatenate([loud, pause]), RATE) == pytest.approx(ratio, abs=0.1)
    assert signal_to_noise_db(loud, RATE) == pytest.approx(0, abs=0.1)
    with_gap = np.concatenate([loud, np.zeros(RATE, np.float32)])
    assert signal_to_noise_db(with_gap, RATE) == pytest.approx(96)
    assert signal_to_noise_db(loud[:10], RATE) == signal_to_noise_db(loud * 0, RATE) == 0


def scores(value: float, low: float, high: float) -> GroupedScores:
    estimate = Estimate(value=value, low=low, high=high)
    return GroupedScores(recordings=10, groups=2, accuracy=estimate, uar=estimate)


def test_a_slice_is_worse_when_its_whole_interval_is() -> None:
    slices = {
        "sex": {
            ALL: scores(0.6, 0.5, 0.7),
            "female": scores(0.5, 0.45, 0.59),
            "male": scores(0.5, 0.4, 0.61),
        },
        "length": {ALL: scores(0.1, 0, 0.2), "below 1 s": scores(0.5, 0.4, 0.6)},
    }
    assert worse_slices(slices) == [("sex", "female")]
