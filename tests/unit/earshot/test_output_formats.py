import csv
import io
import json

from earshot.output_formats import (
    Failure,
    Result,
    Success,
    format_csv,
    format_json,
    format_table,
)
from earshot.schemas import AudioInfo, CheckpointRef, Classification, RankedLabel

SIREN = Classification(
    task="urban-sound",
    label="siren",
    probability=0.9312,
    ranked=[
        RankedLabel(label="siren", probability=0.9312),
        RankedLabel(label="car_horn", probability=0.04),
    ],
    audio=AudioInfo(seconds=2, sample_rate=16000, channels=1, format="wav"),
    checkpoint=CheckpointRef(task="urban-sound", name="hann", version="1"),
)
UNKNOWN = SIREN.model_copy(
    update={"label": None, "reason": "out_of_distribution", "probability": 0.0}
)
RESULTS: list[Result] = [
    Success("a, b.wav", SIREN),
    Failure("bad.wav", 'no "sound"'),
    Success("[red]c.wav", UNKNOWN),
]


def test_a_table_has_a_line_for_each_answer() -> None:
    assert "".join(format_table(RESULTS)).splitlines() == [
        "file        label                      probability  other labels",
        "a, b.wav    siren                      93.1%        car_horn 4.0%",
        "[red]c.wav  none: out_of_distribution  0.0%         siren 93.1%, car_horn 4.0%",
    ]
    assert "".join(format_table([])).split() == ["file", "label", "probability", "other", "labels"]


def test_json_has_the_whole_answers_and_the_errors() -> None:
    first, second, third = json.loads("".join(format_json(RESULTS)))
    assert first == {"file": "a, b.wav", **SIREN.model_dump(exclude_defaults=True)}
    assert "segments" not in first
    assert second == {"file": "bad.wav", "error": 'no "sound"'}
    assert (third["label"], third["reason"]) == (None, "out_of_distribution")
    assert json.loads("".join(format_json([]))) == []


def test_csv_has_a_row_for_each_file() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(format_csv(RESULTS)))))
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
    assert (rows[2]["label"], rows[2]["reason"]) == ("", "out_of_distribution")


def test_answers_are_written_as_they_come() -> None:
    for write in (format_json, format_csv):
        results = iter(RESULTS)
        text = write(results)
        written = ""
        while "a, b.wav" not in written:
            written += next(text)
        assert next(results) is RESULTS[1]
