"""Recordings that have none of a task's labels, to train and to test OOD detection on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.corpora import CORPORA, LabeledRecording, load_corpora
from training.corpora.folders import load_folders
from training.splits import Split
from training.tasks import MUSIC, OodSource


@dataclass(frozen=True)
class OodRecordings:
    """Out-of-distribution recordings on both sides of a split."""

    train: Sequence[LabeledRecording]
    test: Mapping[str, Sequence[LabeledRecording]]
    """folder of the source -> recordings of other kinds and groups than those of `train`"""

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Return corpus and label of everything in `train`."""
        return tuple(sorted({f"{each.corpus}: {each.label}" for each in self.train}))


def load_ood_recordings(
    data: Path, sources: Sequence[OodSource], labelled: Sequence[LabeledRecording]
) -> OodRecordings:
    """Load the sources that are below `data`; either side may be empty.

    Args:
        data: the folder of the corpora.
        sources: of the task.
        labelled: all recordings of the task; their groups are left out.

    Raises CorpusError when a corpus that is there is not as expected.
    """
    splits = dict(_splits(data, sources))
    taken = {recording.group for recording in labelled}
    train = [each for split in splits.values() for each in split.train if each.group not in taken]
    taken |= {recording.group for recording in train}
    test = {
        folder: [recording for recording in split.test if recording.group not in taken]
        for folder, split in splits.items()
    }
    return OodRecordings(train, {folder: kept for folder, kept in test.items() if kept})


def _splits(data: Path, sources: Sequence[OodSource]) -> Iterator[tuple[str, Split]]:
    for source in sources:
        if source.corpus == MUSIC:
            folder = MUSIC
            found = load_folders(data / MUSIC) if (data / MUSIC).is_dir() else []
        else:
            folder = CORPORA[source.corpus].folder
            found = load_corpora(data, [source.corpus], optional=True)
        usable = [recording for recording in found if recording.label not in source.excluded]
        yield folder, _split(usable, source)


def _split(recordings: Sequence[LabeledRecording], source: OodSource) -> Split:
    if source.split == "labels":
        # Sounds that will be met later are of no kind that anyone thought of.
        odd = set(sorted({recording.label for recording in recordings})[1::2])
        tested = [recording.label in odd for recording in recordings]
    else:
        everything = source.split == "test"
        tested = [everything or recording.fold in source.test_folds for recording in recordings]
    sides: tuple[list[LabeledRecording], list[LabeledRecording]] = ([], [])
    for recording, is_test in zip(recordings, tested, strict=True):
        sides[is_test].append(recording)
    return Split(*sides)
