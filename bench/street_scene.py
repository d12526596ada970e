"""Classify a street scene with known labels: real clips of UrbanSound8K with gaps between them.

    python -m bench.street_scene --data DIR [--server URL] [--out scene.wav]

`DIR` holds `UrbanSound8K` as it is downloaded. Fold 1, which the clips are of, is held out of the
training of the checkpoints that come with Earshot. The clips are the first ones in the corpus' own
table that are in the foreground and last 3.5 s, one for each label and Freesound recording.
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from app.decoding.limits import AudioLimits
from app.decoding.recording import RecordingReader
from bench.tables import markdown_table
from earshot import DEFAULT_SERVER
from earshot.client import Client

SAMPLE_RATE = 22_050
_FOREGROUND = "1"
_MIN_SECONDS = 3.5


@dataclass(frozen=True)
class LabelSpan:
    """A part of a recording with one label."""

    start: float
    """seconds"""
    end: float
    """seconds"""
    label: str | None
    """None: silence"""

    def overlap(self, other: "LabelSpan") -> float:
        """Return the seconds that both share."""
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


def choose_clips(
    corpus: Path, *, fold: str = "1", count: int = 5, labels: Sequence[str] = ()
) -> list[tuple[str, Path]]:
    """Choose the labels and files of the scene, in the order of the corpus' table.

    Args:
        corpus: folder of UrbanSound8K.
        fold: of the clips.
        count: clips to choose.
        labels: that they may have; any, where none are given.

    Raises FileNotFoundError when the table or a file is missing.
    """
    table = corpus / "metadata" / "UrbanSound8K.csv"
    chosen: dict[str, Path] = {}
    sources = set()
    for line, row in enumerate(csv.DictReader(table.read_text().splitlines()), start=2):
        label, seconds = row["class"], float(row["end"]) - float(row["start"])
        if (row["fold"], row["salience"]) != (fold, _FOREGROUND) or seconds < _MIN_SECONDS:
            continue
        if label in chosen or row["fsID"] in sources or (labels and label not in labels):
            continue
        sources.add(row["fsID"])
        path = corpus / "audio" / f"fold{fold}" / row["slice_file_name"]
        if not path.is_file():
            raise FileNotFoundError(f"{table}, line {line}: {path} does not exist")
        chosen[label] = path
        if len(chosen) == count:
            break
    return list(chosen.items())


def build_scene(
    clips: Sequence[tuple[str, Path]], gap_seconds: float
) -> tuple[NDArray[np.float32], list[LabelSpan]]:
    """Return the scene, mono at `SAMPLE_RATE`, and its expected spans.

    A gap of silence stands before each clip and behind the last.
    """
    reader = RecordingReader(AudioLimits(max_seconds=60))
    gap = np.zeros(round(gap_seconds * SAMPLE_RATE), np.float32)
    parts, expected = [gap], [LabelSpan(0.0, gap_seconds, None)]
    for label, path in clips:
        recording = reader.read(path.read_bytes(), sample_rate=SAMPLE_RATE)
        parts += [recording.samples, gap]
        for name, samples in ((label, recording.samples), (None, gap)):
            start = expected[-1].end
            expected.append(LabelSpan(start, start + samples.size / SAMPLE_RATE, name))
    return np.concatenate(parts), expected


def seconds_right(expected: Sequence[LabelSpan], found: Sequence[LabelSpan]) -> float:
    """Return the seconds of `expected` in which `found` has the same label."""
    return sum(
        one.overlap(other) for one in expected for other in found if one.label == other.label
    )


def comparison_table(expected: Sequence[LabelSpan], found: Sequence[LabelSpan]) -> str:
    """Return a table of the expected spans, the labels found in each, and how much was right."""
    rows = []
    for span in (span for span in expected if span.end > span.start):
        inside = [(other.label, span.overlap(other)) for other in found]
        labels = ", ".join(f"{_name(label)} {length:.1f} s" for label, length in inside if length)
        right = seconds_right([span], found) / (span.end - span.start)
        rows.append(
            {
                "seconds": f"{span.start:.1f} to {span.end:.1f}",
                "expected": _name(span.label),
                "found": labels,
                "right": f"{right:.0%}",
            }
        )
    return markdown_table(rows)


def _name(label: str | None) -> str:
    return label or "nothing"


def _summary(expected: Sequence[LabelSpan], found: Sequence[LabelSpan]) -> str:
    seconds = sum(span.end - span.start for span in expected)
    right = seconds_right(expected, found)
    return f"{right:.1f} of {seconds:.1f} s right" + (
        f" ({right / seconds:.0%})" if seconds else ""
    )


def main() -> None:
    """Build the scene, classify it and print the labels found beside the expected ones."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--server", default=DEFAULT_SERVER, metavar="URL")
    parser.add_argument("--fold", default="1", help="of the clips (default: 1)")
    parser.add_argument("--count", type=int, default=5, help="of the clips (default: 5)")
    parser.add_argument("--labels", nargs="+", default=(), help="of the clips (default: any)")
    parser.add_argument("--gap", type=float, default=4.0, help="seconds (default: 4)")
    parser.add_argument("--hop-seconds", type=float, help="as of the service")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scene, as WAV")
    options = parser.parse_args()
    corpus = options.data / "UrbanSound8K"
    try:
        clips = choose_clips(corpus, fold=options.fold, count=options.count, labels=options.labels)
    except FileNotFoundError as error:
        sys.exit(str(error))
    scene, expected = build_scene(clips, options.gap)
    file = io.BytesIO()
    soundfile.write(file, scene, SAMPLE_RATE, format="WAV")
    if options.out is not None:
        options.out.write_bytes(file.getvalue())
    with Client(options.server) as client:
        answer = client.classify("urban-sound", file.getvalue(), hop_seconds=options.hop_seconds)
    found = [LabelSpan(each.start, each.end, each.label) for each in answer.segments or []]
    print(", ".join(path.name for _, path in clips))
    print(f"checkpoint {answer.checkpoint.name} {answer.checkpoint.version}\n")
    print(comparison_table(expected, found))
    sounds = [span for span in expected if span.label]
    silences = [span for span in expected if not span.label]
    print(f"\nsounds: {_summary(sounds, found)}; gaps: {_summary(silences, found)};")
    print(f"together: {_summary(expected, found)}")


if __name__ == "__main__":
    main()
