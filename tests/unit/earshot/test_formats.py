import csv
import io
import json

from earshot.formats import Answered, Failed, Outcome, as_csv, as_json, as_table
from earshot.schemas import CheckpointRef, Classification, Clip, RankedLabel

SIREN = Classification(
    task="urban-sound",
    label="siren",
    probability=0.9312,
    ranked=[
        RankedLabel(label="siren", probability=0.9312),
        RankedLabel(label="car_horn", probability=0.04),
    ],
    clip=Clip(seconds=2, sample_rate=16000, channels=1, format="wav"),
    checkpoint=CheckpointRef(task="urban-sound", window="hann", version="1"),
)
UNKNOWN = SIREN.model_copy(update={"label": None, "reason": "unfamiliar", "probability": 0.0})
OUTCOMES: list[Outcome] = [
    Answered("a, b.wav", SIREN),
    Failed("bad.wav", 'no "sound"'),
    Answered("[red]c.wav", UNKNOWN),
]


def test_a_table_has_a_line_for_each_answer() -> None:
    assert "".join(as_table(OUTCOMES)).splitlines() == [
        "file        label             probability  other labels",
        "a, b.wav    siren             93.1%        car_horn 4.0%",
        "[red]c.wav  none: unfamiliar  0.0%         siren 93.1%, car_horn 4.0%",
    ]
    assert "".join(as_table([])).split() == ["file", "label", "probability", "other", "labels"]


def test_json_has_the_whole_answers_and_the_errors() -> None:
    first, second, third = json.loads("".join(as_json(OUTCOMES)))
    assert first == {"file": "a, b.wav", **SIREN.model_dump(exclude_defaults=True)}
    assert "segments" not in first
    assert second == {"file": "bad.wav", "error": 'no "sound"'}
    assert (third["label"], third["reason"]) == (None, "unfamiliar")
    assert json.loads("".join(as_json([]))) == []


def test_csv_has_a_row_for_each_file() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(as_csv(OUTCOMES)))))
    assert rows[0] == {
        "file": "a, b.wav",
        "label": "siren",
        "probability": "0.9312",
        "ranked": "siren=0.9312 car_horn=0.04",
        "reason": "",
        "error": "",
    }
    assert (rows[1]["file"], rows[1]["label"]) == ("bad.wav", "")
    assert rows[1]["error"] == 'no "sound"'
    assert (rows[2]["label"], rows[2]["reason"]) == ("", "unfamiliar")


def test_answers_are_written_as_they_come() -> None:
    for write in (as_json, as_csv):
        outcomes = iter(OUTCOMES)
        text = write(outcomes)
        written = ""
        while "a, b.wav" not in written:
            written += next(text)
        assert next(outcomes) is OUTCOMES[1]
