"""A street scene with a known timeline: real clips of UrbanSound8K with gaps, posted to a service.

    python -m bench.street_scene --data DIR [--server URL] [--out scene.wav]

`DIR` holds `UrbanSound8K` as it is downloaded. Fold 1, which the clips are of, is held out of the
training of the checkpoints that come with Earshot. The clips are the first ones in the corpus' own
table that are in the foreground and last 3.5 s, one for each label and Freesound recording.
"""

import argparse
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from app.decoding.recording import read_recording
from earshot import DEFAULT_SERVER
from earshot.client import Client
from training.corpora.tables import existing, read_rows

SAMPLE_RATE = 22_050
_COLUMNS = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "class")
_FOREGROUND = "1"
_SHORTEST_SECONDS = 3.5


@dataclass(frozen=True)
class Stretch:
    """A part of a timeline, in seconds."""

    start: float
    end: float
    label: str | None
    """None: nothing is to be heard"""

    def overlap(self, other: "Stretch") -> float:
        """Seconds that both share."""
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


def choose(
    corpus: Path, *, fold: str = "1", count: int = 5, labels: Sequence[str] = ()
) -> list[tuple[str, Path]]:
    """The labels and files of the scene, in the order of the corpus' table.

    Args:
        corpus: folder of UrbanSound8K.
        fold: of the clips.
        count: clips to choose.
        labels: that they may have; any, where none are given.

    Raises CorpusError where the table is not as it should be or a file is missing.
    """
    table = corpus / "metadata" / "UrbanSound8K.csv"
    chosen: dict[str, Path] = {}
    heard = set()
    for line, row in read_rows(table, _COLUMNS):
        label, seconds = row["class"], float(row["end"]) - float(row["start"])
        if (row["fold"], row["salience"]) != (fold, _FOREGROUND) or seconds < _SHORTEST_SECONDS:
            continue
        if label in chosen or row["fsID"] in heard or (labels and label not in labels):
            continue
        heard.add(row["fsID"])
        path = corpus / "audio" / f"fold{fold}" / row["slice_file_name"]
        chosen[label] = existing(path, table, line)
        if len(chosen) == count:
            break
    return list(chosen.items())


def build(
    clips: Sequence[tuple[str, Path]], gap_seconds: float
) -> tuple[NDArray[np.float32], list[Stretch]]:
    """The scene, mono at `SAMPLE_RATE`, and its true timeline: a gap before each clip and after."""
    gap = np.zeros(round(gap_seconds * SAMPLE_RATE), np.float32)
    parts, truth = [gap], [Stretch(0.0, gap_seconds, None)]
    for label, path in clips:
        recording = read_recording(path.read_bytes(), sample_rate=SAMPLE_RATE, max_seconds=60.0)
        parts += [recording.samples, gap]
        for name, samples in ((label, recording.samples), (None, gap)):
            start = truth[-1].end
            truth.append(Stretch(start, start + samples.size / SAMPLE_RATE, name))
    return np.concatenate(parts), truth


def seconds_right(stretches: Sequence[Stretch], found: Sequence[Stretch]) -> float:
    """Seconds of `stretches` in which `found` has the same label."""
    return sum(
        one.overlap(other) for one in stretches for other in found if one.label == other.label
    )


def table(truth: Sequence[Stretch], found: Sequence[Stretch]) -> str:
    """Each true stretch, what was found in it, and how much of it was right, as Markdown."""
    heard_at_all = (stretch for stretch in truth if stretch.end > stretch.start)
    lines = ["| seconds | truth | found | right |", "| --- | --- | --- | --- |"]
    for stretch in heard_at_all:
        inside = [(other.label, stretch.overlap(other)) for other in found]
        heard = ", ".join(f"{_name(label)} {length:.1f} s" for label, length in inside if length)
        right = seconds_right([stretch], found) / (stretch.end - stretch.start)
        place = f"{stretch.start:.1f} to {stretch.end:.1f}"
        lines.append(f"| {place} | {_name(stretch.label)} | {heard} | {right:.0%} |")
    return "\n".join(lines)


def _name(label: str | None) -> str:
    return label or "nothing"


def _share_right(stretches: Sequence[Stretch], found: Sequence[Stretch]) -> str:
    seconds = sum(stretch.end - stretch.start for stretch in stretches)
    right = seconds_right(stretches, found)
    return f"{right:.1f} of {seconds:.1f} s right" + (
        f" ({right / seconds:.0%})" if seconds else ""
    )


def main() -> None:
    """Build the scene, post it and print its timeline beside the true one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--server", default=DEFAULT_SERVER, metavar="URL")
    parser.add_argument("--fold", default="1", help="of the clips (default: 1)")
    parser.add_argument("--count", type=int, default=5, help="of the clips (default: 5)")
    parser.add_argument("--labels", nargs="+", default=(), help="of the clips (default: any)")
    parser.add_argument("--gap", type=float, default=4.0, help="seconds (default: 4)")
    parser.add_argument("--hop", type=float, help="as of the service, seconds")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scene, as WAV")
    options = parser.parse_args()
    corpus = options.data / "UrbanSound8K"
    clips = choose(corpus, fold=options.fold, count=options.count, labels=options.labels)
    scene, truth = build(clips, options.gap)
    file = io.BytesIO()
    soundfile.write(file, scene, SAMPLE_RATE, format="WAV")
    if options.out is not None:
        options.out.write_bytes(file.getvalue())
    with Client(options.server) as client:
        answer = client.classify("urban-sound", file.getvalue(), hop=options.hop)
    found = [Stretch(each.start, each.end, each.label) for each in answer.segments or []]
    print(", ".join(path.name for _, path in clips))
    print(f"checkpoint {answer.checkpoint.window} {answer.checkpoint.version}\n")
    print(table(truth, found))
    sounds = [stretch for stretch in truth if stretch.label]
    gaps = [stretch for stretch in truth if not stretch.label]
    print(f"\nsounds: {_share_right(sounds, found)}; gaps: {_share_right(gaps, found)};")
    print(f"together: {_share_right(truth, found)}")


if __name__ == "__main__":
    main()
