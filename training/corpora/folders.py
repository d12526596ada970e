"""Anyone's own recordings: a folder for each label."""

from collections.abc import Iterator
from pathlib import Path

from earshot.audio_formats import AUDIO_SUFFIXES, is_hidden, is_recording
from training.corpora.labeled_recording import CorpusError, LabeledRecording

CORPUS = "folders"
LICENCE = "not stated"
_SIDES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev"})
_LAYOUT = "expected <label>/<file> or <label>/<speaker or session>/<file>"


def load_folders(root: Path) -> list[LabeledRecording]:
    """Read `LABEL/FILE` and `LABEL/GROUP/.../FILE` below `root`.

    The folder below the label's names the group: a speaker, a recording session. It is the
    same group under every label. A file directly in the label's folder is a group of its own.
    Folds are the groups.

    Files count that `is_recording`.
    Links to folders elsewhere are followed, links back into `root` are not.

    Raises:
        CorpusError: `root` is no folder, has fewer than two labels, a label has no recording, or
            the folders are no labels but the sides of a split.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; {_LAYOUT}")
    labels = _folders(root, root)
    if not labels:
        raise CorpusError(f"{root}: no folders in it, so no labels; {_LAYOUT}")
    if len(labels) == 1:
        raise CorpusError(
            f"{root}: {labels[0].name} is the only label, at least two are needed; {_LAYOUT}"
        )
    if all(label.name.lower() in _SIDES for label in labels):
        sides = " and ".join(label.name for label in labels)
        raise CorpusError(
            f"{root}: {sides} are sides of a split, not labels; give a folder with <label>/ in it, "
            "with the recordings of all sides: what is held out is chosen by speaker or session"
        )
    return [recording for label in labels for recording in _labeled(label, root)]


def _labeled(label: Path, root: Path) -> list[LabeledRecording]:
    recordings = []
    for path in _files(label, root, set()):
        parts = path.relative_to(label).parts
        # A file's own group has a slash, which no folder's name can have.
        group = parts[0] if len(parts) > 1 else f"{label.name}/{path.name}"
        recordings.append(
            LabeledRecording(
                path=path,
                label=label.name,
                corpus=CORPUS,
                group=f"{CORPUS}:{group}",
                fold=group,
            )
        )
    if not recordings:
        known = " ".join(AUDIO_SUFFIXES)
        raise CorpusError(f"{label}: no recordings in this label's folder (known: {known})")
    return recordings


def _files(folder: Path, root: Path, entered: set[Path]) -> Iterator[Path]:
    """Yield the recordings below `folder`, entering no folder twice, whatever links to it."""
    if folder.resolve() in entered:
        return
    entered.add(folder.resolve())
    for path in _visible(folder):
        if is_recording(Path(path.name)) and not path.is_dir():
            if not path.is_file():
                raise CorpusError(f"{path}: not a file, or a link to one that does not exist")
            yield path
    for inner in _folders(folder, root):
        yield from _files(inner, root, entered)


def _folders(folder: Path, root: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir() and not _leads_back(path, root)]


def _leads_back(path: Path, root: Path) -> bool:
    """Return whether `path` is a link into `root`, or to a folder that holds it."""
    if not path.is_symlink():
        return False
    target, root = path.resolve(), root.resolve()
    return target.is_relative_to(root) or root.is_relative_to(target)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_hidden(Path(path.name)))
