"""Published corpora in their official layouts, each read into a list of labelled recordings."""

from collections.abc import Iterable
from pathlib import Path

from training.corpora import folders
from training.corpora.csv_tables import TABLE_CORPORA
from training.corpora.labeled_recording import Corpus, CorpusError, LabeledRecording
from training.corpora.named_files import NAMED_FILES_CORPORA

__all__ = ["CORPORA", "Corpus", "CorpusError", "LabeledRecording", "licence", "load_corpora"]

CORPORA: dict[str, Corpus] = {
    corpus.name: corpus for corpus in (*TABLE_CORPORA, *NAMED_FILES_CORPORA)
}


def load_corpora(
    data: Path, names: Iterable[str], *, optional: bool = False
) -> list[LabeledRecording]:
    """Read those of the named corpora that have a folder below `data`.

    Raises CorpusError when one that is there is not as expected, or when none is there and they
    are not `optional`.
    """
    corpora = [CORPORA[name] for name in names]
    roots = [(corpus, data / corpus.folder) for corpus in corpora]
    recordings = [
        recording for corpus, root in roots if root.is_dir() for recording in corpus.load(root)
    ]
    if not recordings and not optional:
        expected = ", ".join(corpus.folder for corpus in corpora)
        raise CorpusError(f"{data}: none of the folders {expected} is here")
    return recordings


def licence(corpus: str) -> str:
    """Return what the recordings of a corpus may be used for, as their publisher says."""
    return folders.LICENCE if corpus == folders.CORPUS else CORPORA[corpus].licence
