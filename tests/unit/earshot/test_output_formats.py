import csv
import io
import json

from earshot.output_formats import (
    Failure,
    Result,
    Success,
    format_audacity,
    format_csv,
    format_json,
    format_raven,
    format_table,
    format_timeline,
    format_timeline_csv,
)
from earshot.schemas import AudioInfo, CheckpointRef, Classification, RankedLabel, Segment

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


HOUR = SIREN.model_copy(
    update={
        "segments": [
            Segment(start=0, end=59.96, label="siren", probability=0.9),
            Segment(start=59.96, end=3540.25, label=None, reason="silent", probability=0),
            Segment(start=3540.25, end=3600, label="dog_bark", probability=0.5),
        ]
    }
)
LONG: list[Result] = [Success("hour.flac", HOUR), Failure("bad.wav", "no"), Success("a.wav", SIREN)]


def test_a_timeline_has_a_line_for_each_segment_in_hours() -> None:
    assert "".join(format_timeline(LONG)).splitlines() == [
        "file       start      end        label         probability",
        "hour.flac  0:00:00.0  0:01:00.0  siren         90.0%",
        "hour.flac  0:01:00.0  0:59:00.2  none: silent  0.0%",
        "hour.flac  0:59:00.2  1:00:00.0  dog_bark      50.0%",
        "a.wav      0:00:00.0  0:00:02.0  siren         93.1%",
    ]


def test_a_timeline_in_csv_has_seconds_and_what_failed() -> None:
    assert "".join(format_timeline_csv(LONG)).splitlines() == [
        "file,start,end,label,probability,reason,error",
        "hour.flac,0.0,59.96,siren,0.9,,",
        "hour.flac,59.96,3540.25,,0.0,silent,",
        "hour.flac,3540.25,3600.0,dog_bark,0.5,,",
        "bad.wav,,,,,,no",
        "a.wav,0.0,2.0,siren,0.9312,,",
    ]


def test_labels_for_audacity_are_those_that_there_are() -> None:
    assert "".join(format_audacity(LONG[:1])) == (
        "0.000000\t59.960000\tsiren\n3540.250000\t3600.000000\tdog_bark\n"
    )


def test_a_selection_table_for_raven_has_a_row_for_each_label() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(format_raven(LONG))), delimiter="\t"))
    assert [row["Selection"] for row in rows] == ["1", "2", "3"]
    assert [row["Label"] for row in rows] == ["siren", "dog_bark", "siren"]
    assert [row["Begin File"] for row in rows] == ["hour.flac", "hour.flac", "a.wav"]
    assert (rows[1]["Begin Time (s)"], rows[1]["End Time (s)"]) == ("3540.25", "3600.0")
    assert (rows[1]["Low Freq (Hz)"], rows[1]["High Freq (Hz)"]) == ("0", "8000.0")
    assert (rows[1]["View"], rows[1]["Channel"]) == ("Spectrogram 1", "1")
